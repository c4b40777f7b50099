package systest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"glimpse/cmd/testenv"
)

// An upload's bytes are synced before its file gets its name, and the name is
// synced before the client hears of it: as the kernel sees the calls.
func TestAnUploadIsDurableBeforeItIsSeen(t *testing.T) {
	testenv.Need(t, "strace")
	file := filepath.Join(t.TempDir(), "in")
	random(t, file, 5<<20)
	n := testenv.Glimpse(t)
	a := on(t, n.API)
	id := a.create("durable", "raw")
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command("strace", "-f", "-y", "-qq", "-e", "trace=fsync,fdatasync,linkat,renameat,renameat2,rename", "-o", trace, "-p", strconv.Itoa(n.PID()))
	must(t, cmd.Start())
	until(t, "strace is attached", func() bool { return traced(n.PID()) })
	a.upload(id, file)
	must(t, cmd.Process.Signal(syscall.SIGINT))
	_ = cmd.Wait()
	b, err := os.ReadFile(trace)
	must(t, err)

	folder := filepath.Join(n.Dir, "images")
	var got []string
	for line := range strings.Lines(string(b)) {
		switch {
		case strings.Contains(line, "resumed>"):
		case strings.Contains(line, "sync(") && strings.Contains(line, "<"+folder+">"):
			got = append(got, "folder synced")
		case strings.Contains(line, "sync(") && strings.Contains(line, "<"+folder+"/"):
			got = append(got, "bytes synced")
		case strings.Contains(line, "link") && strings.Contains(line, `"`+id+`"`):
			got = append(got, "named")
		}
	}
	if want := "bytes synced, named, folder synced"; strings.Join(got, ", ") != want {
		t.Errorf("%s; want %s; trace:\n%s", strings.Join(got, ", "), want, b)
	}
}
