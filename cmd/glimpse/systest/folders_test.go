package systest

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glimpse/cmd/testenv"
)

// Three nodes have a folder each as their store, and nothing that all of them see:
// any node takes an upload into its own, serves what lies in another's, and deletes
// it. The folders themselves say who has read and written what.
func TestNodesWithFoldersOfTheirOwn(t *testing.T) {
	dsn, join := testenv.MariaDB(t), ""
	var nodes []*testenv.Node
	var dirs []string
	for i := range 3 {
		dir := t.TempDir()
		own := testenv.Member(t, fmt.Sprint("n", i+1), dsn, join, dir)
		if join == "" {
			join = own[1][len("listen.gossip="):]
		}
		nodes = append(nodes, testenv.Glimpse(t, append(own, "stores.main.shared=false")...))
		dirs = append(dirs, dir)
	}
	together(t, nodes...)
	files := func() (counts [3]int) {
		for i, dir := range dirs {
			must(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
				if err == nil && d.Type().IsRegular() && !strings.HasPrefix(d.Name(), ".") {
					counts[i]++
				}
				return err
			}))
		}
		return counts
	}
	if got := files(); got != [3]int{} {
		t.Fatalf("files at first: %v", got)
	}
	// Through each node one image.
	var images []*webImage
	for i, n := range nodes {
		a, file := on(t, n.API), filepath.Join(t.TempDir(), "image")
		w := &webImage{t: t, data: content(t, 24<<20+i), id: a.create("own", "raw")}
		must(t, os.WriteFile(file, w.data, 0o600))
		a.upload(w.id, file)
		images = append(images, w)
	}
	if got := files(); got != [3]int{1, 1, 1} {
		t.Errorf("files after three uploads: %v", got)
	}
	clear := func() {
		for _, n := range nodes {
			n.Stop()
			must(t, os.RemoveAll(filepath.Join(n.Dir, "cache")))
		}
		for _, n := range nodes {
			n.Start()
		}
		together(t, nodes...)
	}
	clear() // what the uploads left in the caches
	for i, w := range images {
		for _, err := range w.storm(9, nodes...) {
			t.Errorf("image of n%d: %v", i+1, err)
		}
	}
	for i, n := range nodes {
		if got := int(metric(t, n, `glimpse_origin_read_bytes_total{for="fill",store="main"}`)); got != len(images[i].data) {
			t.Errorf("n%d has read %d bytes, of an image of %d", i+1, got, len(images[i].data))
		}
	}
	// A node that is away takes its images with it, which is no image without data.
	clear()
	nodes[0].Stop()
	together(t, nodes[1:]...)
	for _, n := range nodes[1:] {
		resp := on(t, n.API).do(http.MethodGet, "/v2/images/"+images[0].id+"/file", nil)
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("without its node: %s %.200s %v", resp.Status, body, err)
		}
		for _, w := range images[1:] {
			if err := w.fetch(n); err != nil {
				t.Error(err)
			}
		}
	}
	nodes[0].Start()
	together(t, nodes...)
	if err := images[0].fetch(nodes[1]); err != nil {
		t.Error(err)
	}
	store := func(n *testenv.Node, args ...string) string {
		t.Helper()
		return testenv.Run(t, nil, testenv.Binary(t), append(append([]string{"store"}, args...), n.Args()...)...)
	}
	if out := store(nodes[1], "verify", "main"); !strings.Contains(out, "1 images read, 0 bad, 2 in the folders of other nodes") {
		t.Errorf("store verify: %s", out)
	}
	// Out of the folders into a store that all have, each node its own.
	shared := []string{"--set", "stores.shared.type=file", "--set", "stores.shared.shared=true", "--set", "stores.shared.path=" + t.TempDir()}
	clean := append([]string{"clean"}, shared...)
	for i, n := range nodes {
		if out := store(n, append([]string{"copy", "--all", "--to", "shared"}, shared...)...); !strings.Contains(out, fmt.Sprintf("1 copied, %d there already, 0 failed", i)) {
			t.Errorf("store copy on n%d: %s", i+1, out)
		}
	}
	// It is deleted through another node, and removed by the one that has it.
	if code, body := on(t, nodes[2].API).text("DELETE", "/v2/images/"+images[0].id, ""); code != http.StatusNoContent {
		t.Fatal(code, body)
	}
	store(nodes[1], clean...)
	store(nodes[2], clean...)
	if code, _ := on(t, nodes[1].API).text("GET", "/v2/images/"+images[0].id+"/file", ""); code != http.StatusNotFound {
		t.Errorf("a deleted image: %d", code)
	}
	until(t, "its file is gone", func() bool { // by the node's own reaper, if that is first
		store(nodes[0], clean...)
		return files() == [3]int{0, 1, 1}
	})
}
