package sim

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"
)

// sample writes a log of a made-up month: days with a morning in which a class
// boots one image, single boots in between, images that are replaced by new
// versions, snapshots that are read once, and every night a copy of a sixth of the
// catalogue to another site.
func sample() []byte {
	m := newMaker("sample", 7)
	draw := zipf(m.Rand, 0.8, 200)
	once := 1_000_000
	for day := range 30 {
		for range 30 {
			m.pull(draw() + day/3)
			m.work(5)
			if m.IntN(8) == 0 {
				once++
				m.pull(once)
			}
		}
		class := draw() + day/3
		for range 5 {
			m.pull(class)
			m.work(8)
		}
		m.work(0)
		for i := range 33 {
			m.pull((day%6)*33 + i)
			m.work(1)
		}
		m.work(0)
	}
	var b bytes.Buffer
	fmt.Fprintln(&b, "# Made by sample in sample_test.go, not by a real cloud. TIME IMAGE OFFSET LENGTH SIZE")
	at := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
	const extent = 64 << 20
	for _, r := range m.t.Requests {
		at = at.Add(time.Duration(20+m.IntN(200)) * time.Second)
		fmt.Fprintf(&b, "%s i%d %d %d %d\n", at.Format(time.RFC3339), r.Image, r.From*extent, (r.To-r.From)*extent, m.t.Sizes[r.Image]*extent)
	}
	return b.Bytes()
}

// The committed sample is what its maker makes.
func TestTheSampleIsReproducible(t *testing.T) {
	if os.Getenv("GLIMPSE_UPDATE") != "" {
		if err := os.WriteFile("testdata/access.log", sample(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile("testdata/access.log")
	if err != nil || !bytes.Equal(b, sample()) {
		t.Errorf("testdata/access.log is another: %v", err)
	}
}
