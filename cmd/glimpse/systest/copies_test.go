package systest

import (
	"bytes"
	"context"
	"database/sql"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"glimpse/backends"
	"glimpse/backends/open"
	"glimpse/cmd/testenv"
)

// gate is a web server whose answers stop in the middle until it is opened.
type gate struct {
	*httptest.Server
	waits chan struct{} // a reader has come to the middle
	open  chan struct{} // closed
}

func newGate(t *testing.T, data []byte) *gate {
	g := &gate{waits: make(chan struct{}, 100), open: make(chan struct{})}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		http.ServeContent(w, r, "", time.Time{}, &halting{bytes.NewReader(data), g, r.Context(), int64(len(data) / 2)})
	}))
	t.Cleanup(g.Close)
	return g
}

type halting struct {
	*bytes.Reader
	g   *gate
	ctx context.Context
	at  int64
}

func (b *halting) Read(p []byte) (int, error) {
	left := b.at - (b.Size() - int64(b.Len()))
	if left > 0 {
		return b.Reader.Read(p[:min(int64(len(p)), left)])
	}
	select {
	case b.g.waits <- struct{}{}:
	default:
	}
	select {
	case <-b.g.open:
	case <-b.ctx.Done():
		return 0, io.ErrUnexpectedEOF
	}
	return b.Reader.Read(p)
}

// A copy that is killed in the middle leaves half-done work; when its lease has
// lapsed it is ended. A copy under way beside it is not, and comes to its end.
func TestWhatAKilledCopyLeaves(t *testing.T) {
	for name, second := range map[string]func(t *testing.T) (keys map[string]any){
		"file": func(t *testing.T) map[string]any { return map[string]any{"type": "file", "path": t.TempDir()} },
		"s3": func(t *testing.T) map[string]any {
			s := testenv.Versitygw(t)
			return map[string]any{
				"type": "s3", "endpoint": s.URL, "bucket": "copies", "access_key": s.Access, "secret_key": s.Secret, "create_bucket": true, "part_size": "8MiB",
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			killACopy(t, second(t))
		})
	}
}

func killACopy(t *testing.T, keys map[string]any) {
	data := content(t, 24<<20)
	sets := []string{"stores.web.type=http", "stores.web.allowed_hosts=[127.0.0.1]"}
	for k, v := range keys {
		if b, ok := v.(bool); ok {
			v = map[bool]string{true: "true", false: "false"}[b]
		}
		sets = append(sets, "stores.second."+k+"="+v.(string))
	}
	n := testenv.Glimpse(t, sets...)
	a := on(t, n.API)
	args := func(args ...string) []string { return append(append([]string{"store"}, args...), n.Args()...) }
	clean := func(want string) {
		t.Helper()
		if out := testenv.Run(t, nil, testenv.Binary(t), args("clean")...); !strings.Contains(out, want) {
			t.Errorf("store clean: %s, not %s", out, want)
		}
	}
	half := halfDone(t, keys)
	begin := func() (*exec.Cmd, *gate, *bytes.Buffer) {
		t.Helper()
		g, id := newGate(t, data), a.create("copied", "raw")
		located(t, n, id, "web", g.URL+"/image", len(data))
		var out bytes.Buffer
		cmd := exec.Command(testenv.Binary(t), args("copy", "--to", "second", id)...)
		cmd.Env, cmd.Stdout, cmd.Stderr = testenv.Environ(), &out, &out
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		before := half()
		must(t, cmd.Start())
		select {
		case <-g.waits:
		case <-time.After(time.Minute):
			t.Fatalf("the copy does not read: %s", &out)
		}
		for half() != before+1 { // the bytes are on their way through the copy
			if t.Context().Err() != nil {
				t.Fatal("nothing is half done")
			}
			time.Sleep(20 * time.Millisecond)
		}
		return cmd, g, &out
	}

	killed, _, _ := begin()
	must(t, killed.Process.Kill())
	_ = killed.Wait()
	clean("0 half-done uploads and copies ended, 1 left alone")
	lapse(t, n)
	live, g, out := begin()
	clean("1 left alone") // the node's reaper may have been first
	if left := half(); left != 1 {
		t.Errorf("%d copies are half done, and one is under way", left)
	}
	close(g.open)
	if err := live.Wait(); err != nil {
		t.Errorf("the copy under way: %v\n%s", err, out)
	}
	clean("0 half-done uploads and copies ended, 0 left alone")
	if out := testenv.Run(t, nil, testenv.Binary(t), args("verify", "second")...); !strings.Contains(out, "1 images read, 0 bad") {
		t.Errorf("store verify: %s", out)
	}
	if left := half(); left != 0 {
		t.Errorf("%d copies left half done", left)
	}
}

// halfDone counts what is half done in a store.
func halfDone(t *testing.T, keys map[string]any) func() int {
	t.Helper()
	c, err := open.Decode("second", keys, open.Dirs{Data: t.TempDir(), Config: t.TempDir()})
	must(t, err)
	s, err := open.Open(t.Context(), "second", c)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return func() (n int) {
		t.Helper()
		must(t, s.Pending(t.Context(), func(backends.Locator, time.Time) error { n++; return nil }))
		return n
	}
}

// lapse ends every lease of an upload or a copy.
func lapse(t *testing.T, n *testenv.Node) {
	t.Helper()
	d, err := sql.Open("sqlite", filepath.Join(n.Dir, "registry.db")+"?_pragma=busy_timeout(5000)")
	must(t, err)
	defer d.Close()
	_, err = d.ExecContext(t.Context(), "UPDATE glimpse_uploads SET lease_until = 0 WHERE state = 'live'")
	must(t, err)
}
