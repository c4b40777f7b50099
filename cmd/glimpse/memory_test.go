package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTheLeastOfCgroupAndMachineIsTheLimit(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"cgroup 2":           {map[string]string{"sys/fs/cgroup/memory.max": "1048576\n", "proc/meminfo": "MemTotal: 4096 kB\n"}, 1 << 20},
		"cgroup 1":           {map[string]string{"sys/fs/cgroup/memory/memory.limit_in_bytes": "2097152\n", "proc/meminfo": "MemTotal: 4096 kB\n"}, 2 << 20},
		"cgroup without one": {map[string]string{"sys/fs/cgroup/memory.max": "max\n", "proc/meminfo": "MemFree: 1 kB\nMemTotal: 4096 kB\n"}, 4 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir() + "/"
			for file, text := range c.files {
				if err := os.MkdirAll(filepath.Dir(root+file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(root+file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got, ok := memoryLimit(root); !ok || got != c.want {
				t.Errorf("got %d %v, want %d", got, ok, c.want)
			}
		})
	}
}
