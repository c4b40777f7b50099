package systest

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"glimpse/cmd/testenv"
)

// An origin's file is overwritten at some moment of a cold download, in place or by
// another file's name: what is completed is the old version or the new one, never
// some of each; all else is cut or refused.
func TestAnOriginOverwrittenDuringAFillIsNeverMixed(t *testing.T) {
	const size = 24 << 20
	old, fresh := content(t, size), content(t, size)
	for name, manifest := range map[string]bool{"with a manifest": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			n := testenv.Glimpse(t, "stores.main.rate_limit=40MiB", "cache.memory.size=64MiB")
			a := on(t, n.API)
			seed := rand.Uint64()
			r := rand.New(rand.NewPCG(seed, 0))
			during := 0
			results := map[string]int{}
			for i := range rounds(8, 60) {
				id := version(t, n, a, old, manifest)
				file := filepath.Join(n.Dir, "images", id)
				resp, err := http.Get(n.URL("/v2/images/" + id + "/file"))
				must(t, err)
				after := r.Int64N(size)
				got := make([]byte, 0, size)
				got, err = take(resp.Body, got, after)
				must(t, err)
				must(t, overwrite(file, fresh, i%2 == 0))
				if int64(len(got)) < size {
					during++
				}
				got, err = take(resp.Body, got, size)
				resp.Body.Close()
				results[verdict(t, seed, got, err, old, fresh)]++

				// Who comes later gets one of them, or is refused.
				resp, err = http.Get(n.URL("/v2/images/" + id + "/file"))
				must(t, err)
				if resp.StatusCode == http.StatusOK {
					got, err = take(resp.Body, nil, size)
					verdict(t, seed, got, err, old, fresh)
				}
				resp.Body.Close()
				if code, body := a.text("DELETE", "/v2/images/"+id, ""); code != 204 {
					t.Fatal(code, body)
				}
			}
			t.Logf("%d overwrites, %d during a download: %v", rounds(8, 60), during, results)
			if during == 0 {
				t.Error("none fell into a download")
			}
		})
	}
}

// verdict names what was received, and fails on a complete mix.
func verdict(t *testing.T, seed uint64, got []byte, err error, old, fresh []byte) string {
	t.Helper()
	switch {
	case bytes.Equal(got, old) && err == nil:
		return "old"
	case bytes.Equal(got, fresh) && err == nil:
		return "new"
	case len(got) < len(old):
		return "cut"
	}
	t.Errorf("seed %d: a complete response is neither version (%v)", seed, err)
	return "mixed"
}

// take reads until there are so many bytes, or the end.
func take(from io.Reader, got []byte, upTo int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(from, upTo-int64(len(got))))
	return append(got, b...), err
}

func content(t *testing.T, size int) []byte {
	t.Helper()
	b := make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(rand.Uint64()), byte(rand.Uint64())})
	_, err := r.Read(b)
	must(t, err)
	return b
}

// version makes an active image of some bytes: uploaded, or as a Glance leaves it,
// with no hash at all.
func version(t *testing.T, n *testenv.Node, a api, data []byte, manifest bool) (id string) {
	t.Helper()
	id = a.create("v", "raw")
	if manifest {
		file := filepath.Join(t.TempDir(), "in")
		must(t, os.WriteFile(file, data, 0o600))
		a.upload(id, file)
		n.Stop() // so that nothing is in memory
		n.Start()
		return id
	}
	file := filepath.Join(n.Dir, "images", id)
	must(t, os.WriteFile(file, data, 0o600))
	located(t, n, id, "main", "file://"+file, len(data))
	return id
}

// located makes an image active at a URL, as another Glance would have.
func located(t *testing.T, n *testenv.Node, id, store, url string, size int) {
	t.Helper()
	db := registryOf(t, n)
	defer db.Close()
	_, err := db.Exec("UPDATE images SET status = 'active', size = ? WHERE id = ?", size, id)
	must(t, err)
	now := time.Now().UTC().Format("2006-01-02 15:04:05")
	_, err = db.Exec("INSERT INTO image_locations (image_id, value, meta_data, status, deleted, created_at, updated_at) VALUES (?, ?, ?, 'active', 0, ?, ?)",
		id, url, `{"store": "`+store+`"}`, now, now)
	must(t, err)
}

// overwrite puts other bytes into a file, or another file in its place.
func overwrite(file string, data []byte, inPlace bool) error {
	if inPlace {
		f, err := os.OpenFile(file, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.Write(data)
		return err
	}
	if err := os.WriteFile(file+".new", data, 0o600); err != nil {
		return err
	}
	if err := os.Rename(file+".new", file); err != nil {
		return fmt.Errorf("overwrite: %w", err)
	}
	return nil
}
