package systest

import (
	"bytes"
	"database/sql"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glimpse/cmd/testenv"
)

const diskFailures = `glimpse_chunk_verify_failures_total{source="disk"}`

// flips is a node with two images in its disk tier, and bits of their files that
// flip.
type flips struct {
	*testing.T
	n     *testenv.Node
	a     api
	files map[string]string // of each image
	r     *rand.Rand
	found int // in the lives of the node that are over
}

// Single bits flip in the cache's files, in bytes and in trailers, while the node
// runs, while it is stopped and after it was killed: each is found by the read
// that meets it, none reaches a client, and what comes from the origin instead
// takes its place.
func TestFlippedBitsInTheCacheAreFoundAndRepaired(t *testing.T) {
	seed := rand.Uint64()
	f := &flips{T: t, files: map[string]string{}, r: rand.New(rand.NewPCG(seed, 0))}
	f.n = testenv.Glimpse(t, "stores.main.cache=on", "cache.memory.size=32MiB")
	f.a = on(t, f.n.API)
	for name, size := range map[string]int64{"one": 64 << 20, "other": 40<<20 + 123} {
		file := filepath.Join(t.TempDir(), name)
		random(t, file, size)
		if name == "one" { // chunks of zeros among the others
			must(t, zero(file, 8<<20, 16<<20))
		}
		id := f.a.create(name, "raw")
		f.a.upload(id, file)
		f.files[id] = file
	}
	f.readAll()
	f.again(f.n.Stop) // what had no room while it was written is read and kept now
	f.readAll()

	total := 0
	for round := range rounds(44, 200) {
		end := f.n.Stop
		var bad int
		switch round % 3 {
		case 0:
			bad = f.flipAll()
			f.readAll() // finds what memory does not hold
		case 1:
			f.n.Stop()
			bad = f.flipAll()
			f.n.Start()
			end = f.n.Kill
			f.readAll()
		case 2:
			f.n.Kill()
			bad = f.flipAll()
			f.n.Start()
			f.readAll()
		}
		total += bad
		f.again(end)
		f.readAll()
		if got := f.found + f.failures(); got != total {
			t.Fatalf("seed %d, round %d: %d of %d flips were found", seed, round, got, total)
		}
	}
	f.again(f.n.Stop)
	f.readAll()
	if n := f.failures(); n != 0 {
		t.Errorf("seed %d: %d chunks on disk were not repaired", seed, n)
	}
	t.Logf("%d flips, all found and repaired", total)
	if total < 1000 {
		t.Errorf("%d flips are too few to say anything", total)
	}
}

// again restarts the node, so that nothing is in memory.
func (f *flips) again(end func()) {
	f.Helper()
	f.found += f.failures()
	end()
	f.n.Start()
}

func (f *flips) failures() int { return int(metric(f.T, f.n, diskFailures)) }

func (f *flips) readAll() {
	f.Helper()
	for id, file := range f.files {
		f.a.same(id, file)
	}
	until(f.T, "the disk has all", func() bool {
		return metric(f.T, f.n, `glimpse_cache_bytes{tier="disk"}`) >= 88<<20
	})
}

// flipAll flips a bit of each chunk's file, and of what else lies with them. It
// returns how many chunks it has damaged.
func (f *flips) flipAll() (chunks int) {
	f.Helper()
	must(f.T, filepath.WalkDir(filepath.Join(f.n.Dir, "cache"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(d.Name(), "lock") || d.Name() == "clean" {
			return err
		}
		info, err := d.Info()
		if err != nil || info.Size() == 0 {
			return err
		}
		at := f.r.Int64N(info.Size())
		if isChunk := strings.Count(d.Name(), "-") == 2; isChunk {
			chunks++
			if f.r.IntN(2) == 0 { // the trailer
				at = info.Size() - 1 - f.r.Int64N(200)
			}
		}
		return flip(path, at, 1<<f.r.IntN(8))
	}))
	return chunks
}

func flip(path string, at int64, bit byte) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		return err
	}
	b[0] ^= bit
	_, err = f.WriteAt(b[:], at)
	return err
}

func zero(path string, from, to int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt(make([]byte, to-from), from)
	return err
}

// A bit that flips at the origin is found by the manifest: the response is cut,
// the log and a metric say so, and all is well when the bit is right again.
func TestAFlippedBitAtTheOriginIsReportedAndNeverServed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "in")
	const size = 20 << 20
	random(t, file, size)
	n := testenv.Glimpse(t)
	a := on(t, n.API)
	id := a.create("damaged", "raw")
	a.upload(id, file)
	stored := filepath.Join(n.Dir, "images", id)
	fired := 0
	for _, at := range []int64{0, 5<<20 + 1, size - 1} {
		n.Stop()
		must(t, flip(stored, at, 16))
		fired++
		n.Start()
		resp := a.do("GET", "/v2/images/"+id+"/file", nil)
		got, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if chunkEnd := min(size, (at>>22+1)<<22); resp.StatusCode == 200 && err == nil || got > chunkEnd-64<<10 {
			t.Errorf("a bit at %d: %s, %d bytes, %v", at, resp.Status, got, err)
		}
		if metric(t, n, `glimpse_chunk_verify_failures_total{source="origin"}`) == 0 {
			t.Errorf("a bit at %d is not counted", at)
		}
		must(t, flip(stored, at, 16))
		a.same(id, file)
	}
	if !strings.Contains(n.Log(), "wrong digest") {
		t.Error("the log does not say so")
	}
	t.Logf("%d flips at the origin", fired)
}

// Bits that flip in the manifests that the registry keeps: the image is served all
// the same, right, and its manifest is made anew.
func TestAFlippedBitInAManifestIsFoundAndRepaired(t *testing.T) {
	file := filepath.Join(t.TempDir(), "in")
	random(t, file, 30<<20)
	must(t, zero(file, 8<<20, 16<<20))
	n := testenv.Glimpse(t)
	a := on(t, n.API)
	id := a.create("manifest", "raw")
	a.upload(id, file)
	manifest := func() (b []byte) {
		db := registryOf(t, n)
		defer db.Close()
		must(t, db.QueryRow("SELECT data FROM glimpse_manifest").Scan(&b))
		return b
	}
	good := manifest()
	fired := 0
	for range rounds(3, 20) {
		n.Stop()
		bad := bytes.Clone(good)
		bad[rand.IntN(len(bad))] ^= 1 << rand.IntN(8)
		db := registryOf(t, n)
		_, err := db.Exec("UPDATE glimpse_manifest SET data = ?", bad)
		must(t, err)
		must(t, db.Close())
		fired++
		n.Start()
		a.same(id, file)
		until(t, "the manifest is right again", func() bool { a.same(id, file); return bytes.Equal(manifest(), good) })
	}
	if !strings.Contains(n.Log(), "manifest in the registry is damaged") {
		t.Error("the log does not say so")
	}
	t.Logf("%d flips", fired)
}

func registryOf(t *testing.T, n *testenv.Node) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(n.Dir, "registry.db")+"?_pragma=busy_timeout(5000)")
	must(t, err)
	return db
}
