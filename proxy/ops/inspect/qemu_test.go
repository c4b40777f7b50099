package inspect

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"glimpse/cmd/testenv"
)

// qemu runs qemu-img in dir.
func qemu(t *testing.T, dir string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "qemu-img", args...)
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("qemu-img %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return out
}

// inspectFile streams a file as an upload would.
func inspectFile(t *testing.T, path string) Result {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	i := New()
	if _, err := io.CopyBuffer(struct{ io.Writer }{i}, struct{ io.Reader }{f}, make([]byte, 100_000)); err != nil {
		t.Fatal(err)
	}
	return i.Finish()
}

// What qemu-img writes is found as what it is, with the size that it reports.
func TestFilesOfQemu(t *testing.T) {
	testenv.Need(t, "qemu-img")
	dir := t.TempDir()
	data := make([]byte, 8<<20)
	copy(data[1<<20:], strings.Repeat("some data ", 100_000))
	if err := os.WriteFile(filepath.Join(dir, "source.raw"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		driver, options, format, problem string
	}{
		"raw":                     {"raw", "", "raw", ""},
		"qcow2 v2":                {"qcow2", "compat=0.10", "qcow2", ""},
		"qcow2 v3":                {"qcow2", "compat=1.1", "qcow2", ""},
		"qcow2 zstd, extended L2": {"qcow2", "extended_l2=on,cluster_size=128k", "qcow2", ""},
		"qcow2 data file":         {"qcow2", "data_file=data.raw", "qcow2", "data_file"},
		"qcow v1":                 {"qcow", "", "qcow2", "version"},
		"qed":                     {"qed", "", "qed", "banned"},
		"vmdk":                    {"vmdk", "subformat=monolithicSparse", "vmdk", ""},
		"vmdk v6":                 {"vmdk", "subformat=monolithicSparse,compat6", "vmdk", ""},
		"vmdk stream":             {"vmdk", "subformat=streamOptimized", "vmdk", ""},
		"vmdk flat":               {"vmdk", "subformat=monolithicFlat", "vmdk", "descriptor"},
		"vmdk split":              {"vmdk", "subformat=twoGbMaxExtentSparse", "vmdk", "descriptor"},
		"vhd":                     {"vpc", "subformat=dynamic,force_size=on", "vhd", ""},
		"vhd fixed":               {"vpc", "subformat=fixed,force_size=on", "vhd", ""},
		"vhdx":                    {"vhdx", "", "vhdx", ""},
		"vhdx fixed":              {"vhdx", "subformat=fixed,block_size=1M", "vhdx", ""},
		"vdi":                     {"vdi", "", "vdi", ""},
		"vdi static":              {"vdi", "static=on", "vdi", ""},
	} {
		t.Run(name, func(t *testing.T) {
			file := strings.ReplaceAll(strings.ReplaceAll(name, " ", "-"), ",", "")
			args := []string{"convert", "-f", "raw", "-O", c.driver}
			if c.options != "" {
				args = append(args, "-o", c.options)
			}
			qemu(t, dir, append(args, "source.raw", file)...)
			var info struct {
				VirtualSize int64 `json:"virtual-size"`
			}
			out := qemu(t, dir, "info", "-f", c.driver, "--output", "json", file)
			if err := json.Unmarshal(out, &info); err != nil {
				t.Fatal(err)
			}
			r := inspectFile(t, filepath.Join(dir, file))
			if r.Format != c.format {
				t.Errorf("found %+v, want %s", r, c.format)
			}
			if c.problem == "" {
				if len(r.Problems) > 0 || r.VirtualSize != info.VirtualSize {
					t.Errorf("%+v, want size %d and no problem", r, info.VirtualSize)
				}
				return
			}
			if len(r.Problems) != 1 || !strings.HasPrefix(r.Problems[0], c.problem+": ") {
				t.Errorf("problems %q, want %q", r.Problems, c.problem)
			}
		})
	}
}

func TestFilesOfQemuThatDependOnOthers(t *testing.T) {
	testenv.Need(t, "qemu-img")
	dir := t.TempDir()
	for _, c := range []struct{ driver, problem string }{{"qcow2", "backing_file"}, {"vmdk", "descriptor"}} {
		base, child := c.driver+".base", c.driver+".child"
		qemu(t, dir, "create", "-f", c.driver, base, "4M")
		qemu(t, dir, "create", "-f", c.driver, "-b", base, "-F", c.driver, child)
		r := inspectFile(t, filepath.Join(dir, child))
		if r.Format != c.driver || len(r.Problems) != 1 || !strings.HasPrefix(r.Problems[0], c.problem+": ") {
			t.Errorf("%s: %+v", c.driver, r)
		}
	}
}

func TestEncryptedDiskOfQemu(t *testing.T) {
	testenv.Need(t, "qemu-img")
	path := filepath.Join(t.TempDir(), "disk.luks")
	makeLUKS(t, path)
	r := inspectFile(t, path)
	if r.Format != "luks" || r.VirtualSize != 4<<20 || len(r.Problems) > 0 {
		t.Errorf("%+v", r)
	}
}

// makeLUKS tries again where qemu-img gives up: it times its key derivation, and
// on a busy or virtual machine the clock it uses often hasn't moved in between.
func makeLUKS(t *testing.T, path string) {
	t.Helper()
	for range 50 {
		out, err := exec.CommandContext(t.Context(), "qemu-img", "create", "-q", "-f", "luks",
			"--object", "secret,id=s,data=test", "-o", "key-secret=s,iter-time=10", path, "4M").CombinedOutput()
		if err == nil {
			return
		}
		if !strings.Contains(string(out), "accurate CPU usage") {
			t.Fatalf("%v: %s", err, out)
		}
	}
	t.Fatal("qemu-img can't time itself on this machine")
}
