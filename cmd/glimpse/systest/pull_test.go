package systest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"glimpse/cmd/testenv"
)

// puller runs glimpse pull, or push, against an endpoint.
type puller struct {
	t        *testing.T
	endpoint string
	env      []string
}

// run returns the exit code and what was said.
func (p puller) run(args ...string) (code int, out, said string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 3*time.Minute)
	defer cancel()
	cmd := p.command(ctx, args...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

func (p puller) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, testenv.Binary(p.t), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	for _, v := range testenv.Environ() {
		if !strings.HasPrefix(v, "OS_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	if p.endpoint != "" {
		cmd.Env = append(cmd.Env, "OS_IMAGE_ENDPOINT="+p.endpoint)
	}
	cmd.Env = append(cmd.Env, p.env...)
	return cmd
}

// ok runs what must succeed, and returns what was said.
func (p puller) ok(args ...string) (out, said string) {
	p.t.Helper()
	code, out, said := p.run(args...)
	if code != 0 {
		p.t.Fatalf("%v ended with %d: %s", args, code, said)
	}
	return out, said
}

// sparse writes a file of which one part in three is data, and returns how many
// bytes that is.
func sparse(t *testing.T, file string, size int64) (data int64) {
	t.Helper()
	f, err := os.Create(file)
	must(t, err)
	defer f.Close()
	must(t, f.Truncate(size))
	b := make([]byte, 5<<20)
	for off := int64(0); off < size; off += 15 << 20 {
		b := b[:min(int64(len(b)), size-off)]
		_, err := rand.Read(b)
		must(t, err)
		_, err = f.WriteAt(b, off)
		must(t, err)
		data += int64(len(b))
	}
	return data
}

// allocated is what a file takes of the disk.
func allocated(t *testing.T, file string) int64 {
	t.Helper()
	st, err := os.Stat(file)
	must(t, err)
	return st.Sys().(*syscall.Stat_t).Blocks * 512
}

// nothingElse says that a pull has left the file alone.
func nothingElse(t *testing.T, file string) {
	t.Helper()
	left, err := filepath.Glob(file + "?*")
	must(t, err)
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestPullFromOneNode(t *testing.T) {
	n := testenv.Glimpse(t)
	a, dir := on(t, n.API), t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	data := sparse(t, in, 100<<20+777)
	id := a.create("pulled", "raw")
	a.upload(id, in)
	p := puller{t: t, endpoint: n.URL("")}
	_, said := p.ok("pull", "pulled", out)
	t.Log(said)
	testenv.Run(t, nil, "cmp", in, out)
	nothingElse(t, out)
	if got := allocated(t, out); got > data+data/4 {
		t.Errorf("%d bytes on disk, %d are data", got, data)
	}
	if !strings.Contains(said, "sha512 is right") {
		t.Error(said)
	}
	if sent := metric(t, n, `glimpse_sent_bytes_total{tier="memory"}`) + metric(t, n, `glimpse_sent_bytes_total{tier="origin"}`) + metric(t, n, `glimpse_sent_bytes_total{tier="disk"}`); sent > float64(data)*1.7 {
		t.Errorf("%.0f bytes were sent for %d of data", sent, data) // whole chunks around the data
	}
	piped, _ := p.ok("pull", "-q", id, "-")
	want, err := os.ReadFile(in)
	must(t, err)
	if piped != string(want) {
		t.Errorf("%d other bytes on the standard output", len(piped))
	}
	// A file that is there is replaced.
	must(t, os.WriteFile(out, []byte("before"), 0o600))
	p.ok("pull", id, out)
	testenv.Run(t, nil, "cmp", in, out)
}
