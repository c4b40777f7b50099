package systest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"glimpse/cmd/testenv"
)

// twoZones starts three nodes: the first two in one zone, the last in another.
func twoZones(t *testing.T, dsn string, sets ...string) (nodes []*testenv.Node) {
	images, join := t.TempDir(), ""
	for i, zone := range []string{"a", "a", "b"} {
		own := testenv.Member(t, fmt.Sprint("n", i+1), dsn, join, images)
		if join == "" {
			join = own[1][len("listen.gossip="):]
		}
		nodes = append(nodes, testenv.Glimpse(t, append(append(own, "node.zone="+zone), sets...)...))
	}
	together(t, nodes...)
	return nodes
}

var chunkFile = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}$`)

// chunksOn are the files of chunks that a stopped node has on its disk.
func chunksOn(t *testing.T, n *testenv.Node) (files []string) {
	t.Helper()
	must(t, filepath.WalkDir(filepath.Join(n.Dir, "cache"), func(path string, d os.DirEntry, err error) error {
		if err == nil && chunkFile.MatchString(d.Name()) {
			files = append(files, path)
		}
		return err
	}))
	return files
}

// Bits flip in the caches of a whole zone, in every copy that it has, while its
// nodes are down. All are found by the reads that meet them, none reaches a client,
// and the right bytes come from the other zone: the origin gives nothing. Only what
// has rotted in both zones comes from there.
func TestBitsFlippedInAZoneAreRepairedFromTheOther(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	web := testenv.Nginx(t, "")
	dsn := testenv.MariaDB(t)
	db := database(t, dsn)
	nodes := twoZones(t, dsn, append([]string{"stores.web.cache=on", "cache.memory.size=64MiB"}, webStore...)...)
	zones := [][]*testenv.Node{nodes[:2], nodes[2:]}
	w := onWeb(t, nodes[0], web, 200<<20+4321)
	kept := func(zone int) bool {
		sum := 0.0
		for _, n := range zones[zone] {
			sum += metric(t, n, `glimpse_cache_bytes{tier="disk"}`)
		}
		return sum >= float64(len(w.data))
	}
	// read reads through every node: what one of them has it gives itself, so no copy
	// is left that nobody asked for.
	read := func(zone int) {
		t.Helper()
		until(t, "the disks of the zone have all", func() bool { // what had no room to be kept may be so the next time
			for _, n := range zones[zone] {
				if err := w.fetch(n); err != nil {
					t.Errorf("seed %d: zone %d: %v", seed, zone, err)
				}
			}
			for end := time.Now().Add(time.Second); !kept(zone) && time.Now().Before(end); {
				time.Sleep(20 * time.Millisecond)
			}
			return kept(zone)
		})
	}
	failures := func(zone int) (sum int) {
		for _, n := range zones[zone] {
			sum += int(metric(t, n, diskFailures))
		}
		return sum
	}
	// damage flips a bit of each chunk's file in some zones, and starts their nodes
	// again.
	damage := func(some ...int) (flips int) {
		t.Helper()
		for _, zone := range some {
			for _, n := range zones[zone] {
				if r.IntN(2) == 0 {
					n.Stop()
				} else {
					n.Kill()
				}
			}
		}
		for _, zone := range some {
			for _, n := range zones[zone] {
				for _, file := range chunksOn(t, n) {
					info, err := os.Stat(file)
					must(t, err)
					at := r.Int64N(info.Size())
					if r.IntN(2) == 0 { // the trailer
						at = info.Size() - 1 - r.Int64N(200)
					}
					must(t, flip(file, at, 1<<r.IntN(8)))
					flips++
				}
				n.Start()
			}
		}
		together(t, nodes...)
		return flips
	}
	// When the image has been hashed it has another key, and so other owners: the
	// caches begin anew.
	read(0)
	read(1)
	until(t, "the image is hashed", func() (is bool) {
		must(t, db.QueryRow("SELECT COUNT(*) > 0 FROM glimpse_content").Scan(&is))
		return is
	})
	for _, n := range nodes {
		n.Stop()
		must(t, os.RemoveAll(filepath.Join(n.Dir, "cache")))
		n.Start()
	}
	together(t, nodes...)
	once := w.given()
	read(0)
	read(1)
	if got := w.given() - once; got > 1.01 {
		t.Errorf("the origin gave %.4f copies at first", got)
	}
	before, total := w.given(), 0
	for round := range rounds(2, 24) {
		zone := round % 2
		n := damage(zone)
		read(zone)
		if found := failures(zone); found != n {
			t.Errorf("seed %d, round %d: %d of %d flips were found", seed, round, found, n)
		}
		total += n
	}
	if got := w.given() - before; got != 0 {
		t.Errorf("seed %d: the origin gave %.4f copies for what the other zone had", seed, got)
	}
	t.Logf("%d flips in one zone at a time were all found, and repaired from the other; the origin gave %.4f copies", total, w.given()-before)
	// Both zones at once.
	n := damage(0, 1)
	read(0)
	read(1)
	if found := failures(0) + failures(1); found != n {
		t.Errorf("seed %d: %d of %d flips in both zones were found", seed, found, n)
	}
	got := w.given() - before
	t.Logf("%d flips in both, all found: the origin gave %.4f copies", n, got)
	if got == 0 || got > 1.01 { // up to the bad block, what the other zone has is good
		t.Errorf("seed %d: the origin gave %.4f copies of what had rotted everywhere", seed, got)
	}
	if total < rounds(90, 1000) {
		t.Errorf("%d flips are too few to say anything", total)
	}
}
