package ops

import (
	"bytes"
	"maps"
	"testing"

	"glimpse/backends"
	"glimpse/backends/mem"
)

// What a store says of a place is in the record of an upload and of a copy; the
// store's id is not its to say.
func TestAStoresMetadataIsRecorded(t *testing.T) {
	tell := func(at backends.Locator) map[string]string {
		return map[string]string{"id": "mount-1", "mountpoint": "/mnt", "store": "other"}
	}
	b := newBench(t, func(c *Config) {
		c.Stores[0].Metadata = tell
		c.Stores = append(c.Stores, Store{ID: "second", Type: "mem", Backend: mem.New("s"), Metadata: tell})
	})
	m, err := b.upload(b.queued(nil), bytes.NewReader([]byte("data")), -1)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Copy(t.Context(), m, "second", nil); err != nil {
		t.Fatal(err)
	}
	if m, err = b.reg.Get(t.Context(), m.ID); err != nil || len(m.Locations) != 2 {
		t.Fatalf("%d locations, %v", len(m.Locations), err)
	}
	for i, store := range []string{b.DefaultStore(), "second"} {
		want := map[string]string{"id": "mount-1", "mountpoint": "/mnt", "store": store}
		if got := m.Locations[i].Metadata; !maps.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
}
