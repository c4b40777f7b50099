package ops

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"glimpse/backends"
	"glimpse/backends/backendtest"
	"glimpse/backends/mem"
	"glimpse/registry/image"
)

func TestVerify(t *testing.T) {
	data := backendtest.Bytes(300)
	flipped := bytes.Clone(data)
	flipped[70] ^= 1
	zeroed := bytes.Clone(data)
	clear(zeroed[128:192])
	for name, c := range map[string]struct {
		now  []byte // in the store
		want Verdict
	}{
		"good":    {data, Verdict{Bytes: 300}},
		"flipped": {flipped, Verdict{Bytes: 300, Bad: []int{1}, HashDiffers: true}},
		"zeroed":  {zeroed, Verdict{Bytes: 300, Bad: []int{2}, HashDiffers: true}},
	} {
		b := newBench(t, nil)
		m, err := b.upload(b.queued(nil), bytes.NewReader(data), -1)
		if err != nil {
			t.Fatal(err)
		}
		b.store.Replace(m.ID, c.now)
		told := 0
		v, err := b.Verify(t.Context(), m, m.Locations[0], func(n int) { told += n })
		if err != nil || v.HashDiffers != c.want.HashDiffers || !slices.Equal(v.Bad, c.want.Bad) || v.Bytes != c.want.Bytes || told != 300 || v.Unproven {
			t.Errorf("%s: %+v, %v, told of %d bytes", name, v, err, told)
		}
		if v.Good() != (name == "good") {
			t.Errorf("%s: good is %v", name, v.Good())
		}
	}
}

func TestVerifyWithoutManifest(t *testing.T) {
	data := backendtest.Bytes(300)
	b := newBench(t, nil)
	sum := hashes["md5"]()
	sum.Write(data)
	right := b.foreign(data, func(m *image.Image) { m.Checksum = ptr(hexSum(sum)) })
	wrong := b.foreign(data, func(m *image.Image) { m.Checksum = ptr("00") })
	none := b.foreign(data, nil)
	gone := b.foreign(data, nil)
	for _, c := range []struct {
		m                 image.Image
		differs, unproven bool
	}{{right, false, false}, {wrong, true, false}, {none, false, true}} {
		v, err := b.Verify(t.Context(), c.m, c.m.Locations[0], nil)
		if err != nil || v.HashDiffers != c.differs || v.Unproven != c.unproven || v.Missing {
			t.Errorf("%+v, %v", v, err)
		}
	}
	if err := b.store.Delete(t.Context(), backends.Locator(gone.Locations[0].URL.Reveal())); err != nil {
		t.Fatal(err)
	}
	if v, err := b.Verify(t.Context(), gone, gone.Locations[0], nil); err != nil || !v.Missing || v.Good() {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestCopy(t *testing.T) {
	second := mem.NewParted("s", part)
	b := newBench(t, func(c *Config) {
		c.Stores = append(c.Stores, Store{ID: "second", Type: "mem", Backend: second}, Store{ID: "closed", Type: "mem", Backend: mem.New("c"), ReadOnly: true})
	})
	data := backendtest.Bytes(1000)
	m, err := b.upload(b.queued(nil), bytes.NewReader(data), -1)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Copy(t.Context(), m, "second", nil); err != nil {
		t.Fatal(err)
	}
	if m, err = b.reg.Get(t.Context(), m.ID); err != nil || len(m.Locations) != 2 || m.Locations[1].Metadata["store"] != "second" || second.Len() != 1 {
		t.Fatalf("%+v, %v, %d objects", m.Locations, err, second.Len())
	}
	if v, err := b.Verify(t.Context(), m, m.Locations[1], nil); err != nil || !v.Good() || v.Bytes != 1000 {
		t.Errorf("the copy: %+v, %v", v, err)
	}
	for store, want := range map[string]error{"second": ErrHasIt, "closed": nil, "nowhere": nil} {
		if err := b.Copy(t.Context(), m, store, nil); err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("to %s: %v", store, err)
		}
	}
	// Damaged bytes go nowhere.
	other, err := b.upload(b.queued(nil), bytes.NewReader(data), -1)
	if err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(data)
	bad[999] ^= 1
	b.store.Replace(other.ID, bad)
	if err := b.Copy(t.Context(), other, "second", nil); !errors.Is(err, errBad) || second.Len() != 1 {
		t.Errorf("%v, %d objects", err, second.Len())
	}
	// Nor does what was deleted meanwhile leave an object.
	b.store.Replace(other.ID, data)
	if err := b.Delete(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	b.store.Replace(other.ID, data)
	b.known.forget(other.Locations[0].ID)
	if err := b.Copy(t.Context(), other, "second", nil); err == nil || second.Len() != 1 {
		t.Errorf("%v, %d objects", err, second.Len())
	}
}
