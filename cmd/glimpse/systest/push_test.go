package systest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glimpse/cmd/testenv"
)

// A push that does not come to an end leaves no image; formats are told by the
// bytes.
func (c *clustered) push(t *testing.T) {
	testenv.Need(t, "qemu-img")
	dir, in, nodes := t.TempDir(), c.file, c.nodes
	p, _ := c.to(t, 0)
	made, said := p.ok("push", in, "--name", "pushed")
	t.Log(said)
	id := strings.TrimSpace(made)
	if m := on(t, nodes[1].API).show(id); m["os_hash_value"] != sha(t, in) || m["name"] != "pushed" || m["disk_format"] != "raw" {
		t.Errorf("%v", m)
	}
	qcow := filepath.Join(dir, "disk")
	testenv.Run(t, nil, "qemu-img", "create", "-q", "-f", "qcow2", qcow, "1G")
	made, _ = p.ok("push", "-q", qcow)
	if m := on(t, nodes[0].API).show(strings.TrimSpace(made)); m["disk_format"] != "qcow2" || m["virtual_size"] != float64(1<<30) {
		t.Errorf("%v", m)
	}
	// By the standard input.
	cmd := p.command(t.Context(), "push", "-q", "-", "--disk-format", "raw", "--name", "piped")
	f, err := os.Open(in)
	must(t, err)
	defer f.Close()
	cmd.Stdin = f
	text, err := cmd.Output()
	must(t, err)
	on(t, nodes[0].API).same(strings.TrimSpace(string(text)), in)

	// Refused, for what the bytes are not.
	code, _, said := p.run("push", "-q", in, "--disk-format", "qcow2", "--name", "refused")
	if code != 1 {
		t.Errorf("refused: %d %s", code, said)
	}
	// Interrupted.
	slow := p.command(t.Context(), "push", "-q", "-", "--disk-format", "raw", "--name", "interrupted")
	r, w, err := os.Pipe()
	must(t, err)
	defer w.Close()
	slow.Stdin = r
	must(t, slow.Start())
	r.Close()
	_, err = w.Write(make([]byte, 1<<20))
	must(t, err)
	until(t, "the upload has begun", func() bool {
		_, text := on(t, nodes[0].API).text("GET", "/v2/images?name=interrupted", "")
		return strings.Contains(text, `"saving"`)
	})
	must(t, slow.Process.Signal(os.Interrupt))
	_ = slow.Wait()
	if code := slow.ProcessState.ExitCode(); code != 130 {
		t.Errorf("interrupted: %d", code)
	}
	_, list := on(t, nodes[0].API).text("GET", "/v2/images", "")
	for _, name := range []string{"refused", "interrupted"} {
		if strings.Contains(list, name) {
			t.Errorf("an image is left: %s", list)
		}
	}
}
