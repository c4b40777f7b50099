package sim

import (
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// compare replays a trace at a tenth of its footprint, a twentieth of that in
// memory.
func compare(t *testing.T, trace Trace) {
	t.Helper()
	foot := trace.Footprint()
	size := foot / 10
	memory := max(16, size/20)
	got, err := Store(t.Context(), trace, memory, size-memory)
	if err != nil {
		t.Fatal(err)
	}
	lru := LRU(trace, size)
	t.Logf("%s: %d reads of %d chunks, footprint %d, cache %d of which %d in memory", trace.Name, len(trace.Requests), got.Served, foot, size, memory)
	t.Logf("Glimpse: %v", got)
	t.Logf("LRU:     %v", lru)
	if got.Hits() < lru.Hits()+0.08 {
		t.Errorf("%.1f points more hits than LRU, want 8", 100*(got.Hits()-lru.Hits()))
	}
	if got.Writes() > 0.1 {
		t.Errorf("%.3f bytes written per served byte, want at most 0.1", got.Writes())
	}
}

func TestPopularity(t *testing.T) { compare(t, Popularity(1, 2500)) }

func TestStorms(t *testing.T) { compare(t, Storms(2, 60)) }

func TestChurn(t *testing.T) { compare(t, Churn(3, 4000)) }

// With room for all everything is kept: the origin gives each byte once.
func TestRoomLeftMeansAllIsKept(t *testing.T) {
	trace := Popularity(4, 300)
	foot := trace.Footprint()
	trace.Requests = append(trace.Requests, trace.Requests...)
	got, err := Store(t.Context(), trace, 64, foot+64)
	if err != nil {
		t.Fatal(err)
	}
	if got.Missed != foot {
		t.Errorf("the origin gave %d chunks of %d", got.Missed, foot)
	}
}

func TestReplay(t *testing.T) {
	name := os.Getenv("GLIMPSE_SIM_LOG")
	if name == "" {
		name = "testdata/access.log"
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	trace, err := ReadLog(name, f, 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, trace)
}

func TestABadLogIsRefused(t *testing.T) {
	for _, line := range []string{"t i 0 1", "t i 5 6 10", "t i -1 1 10", "t i 0 0 10", "t i x 1 10"} {
		if _, err := ReadLog("log", strings.NewReader(line), 1); err == nil {
			t.Errorf("%q was taken", line)
		}
	}
}
