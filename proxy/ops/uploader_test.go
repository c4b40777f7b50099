package ops

import (
	"bytes"
	"errors"
	"testing"

	"glimpse/backends/backendtest"
	"glimpse/registry/image"
)

// Whoever hears of an upload finds the bytes under the name that the uploader has
// kept them by, and who that is.
func TestAnUploadIsToldOfWhenItsBytesCanBeRead(t *testing.T) {
	var b *bench
	var heard []string
	b = newBench(t, func(c *Config) {
		c.Uploaded = func(id string) {
			heard = append(heard, id)
			o, err := b.Fresh(t.Context(), id)
			if err != nil || len(b.cache.published[o.Key]) == 0 {
				t.Errorf("what is kept as %q can't be read yet: %v", o.Key, err)
			}
			if node, err := b.Uploader(t.Context(), o); err != nil || node != "n1" {
				t.Errorf("uploaded by %q, %v", node, err)
			}
		}
	})
	m, err := b.upload(b.queued(nil), bytes.NewReader(backendtest.Bytes(1000)), -1)
	if err != nil {
		t.Fatal(err)
	}
	if len(heard) != 1 || heard[0] != m.ID {
		t.Errorf("heard of %q", heard)
	}
	// Of what has no bytes nothing is told.
	empty, err := b.upload(b.queued(nil), bytes.NewReader(nil), -1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.upload(b.queued(func(m *image.Image) { m.DiskFormat = ptr("qcow2") }), bytes.NewReader([]byte("not a qcow2")), -1); err == nil {
		t.Error("it was not refused")
	}
	if len(heard) != 1 {
		t.Errorf("heard of %q", heard)
	}
	if _, err := b.Fresh(t.Context(), empty.ID); !errors.Is(err, ErrNoData) {
		t.Errorf("of an empty image: %v", err)
	}
}
