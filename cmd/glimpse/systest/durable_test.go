package systest

import (
	"path/filepath"
	"strings"
	"testing"

	"glimpse/cmd/testenv"
)

// An upload's bytes are synced before its file gets its name, and the name is
// synced before the client hears of it: as the kernel sees the calls.
func TestAnUploadIsDurableBeforeItIsSeen(t *testing.T) {
	file := filepath.Join(t.TempDir(), "in")
	random(t, file, 5<<20)
	n := testenv.Glimpse(t)
	a := on(t, n.API)
	id := a.create("durable", "raw")
	trace := testenv.Strace(t, n.PID(), "fsync,fdatasync,linkat,renameat,renameat2,rename")
	a.upload(id, file)
	text := trace.Text()

	folder := filepath.Join(n.Dir, "images")
	var got []string
	for line := range strings.Lines(text) {
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
		t.Errorf("%s; want %s; trace:\n%s", strings.Join(got, ", "), want, text)
	}
}
