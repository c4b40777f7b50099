package registrytest

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"glimpse/registry"
	"glimpse/registry/image"
)

var manifestTests = map[string]func(t *testing.T, r registry.Registry){
	"nothing is known":             testUnknown,
	"content is filed":             testContent,
	"the first contact stands":     testPin,
	"one of six pins":              testPinRush,
	"bad bytes":                    testBad,
	"a setting stands":             testSetting,
	"one of six settings stands":   testSettingRush,
	"settings differ by case":      testSettingCase,
	"a setting that can't be held": testSettingText,
}

func testUnknown(t *testing.T, r registry.Registry) {
	if _, ok, err := r.Content(t.Context(), 1001); ok || err != nil {
		t.Error(ok, err)
	}
	if _, ok, err := r.Pinned(t.Context(), 1001); ok || err != nil {
		t.Error(ok, err)
	}
	if node, err := r.Holder(t.Context(), 1001); node != "" || err != nil {
		t.Error(node, err)
	}
	if _, ok, err := r.Segment(t.Context(), "none", 0); ok || err != nil {
		t.Error(ok, err)
	}
}

func testContent(t *testing.T, r registry.Registry) {
	c := registry.Content{LocationID: 1002, Algo: "sha256", Hash: "h", Size: 7, Key: "k"}
	big := bytes.Repeat([]byte{0, '\'', '\\', 255}, 17000)         // about a full segment
	must(t, r.PutContent(t.Context(), c, [][]byte{{1, 2, 3}, {}})) // as if it had been damaged
	must(t, r.PutContent(t.Context(), c, [][]byte{big, {}}))
	got, ok, err := r.Content(t.Context(), 1002)
	if err != nil || !ok || got != c {
		t.Error(got, ok, err)
	}
	for i, want := range [][]byte{big, {}} {
		b, ok, err := r.Segment(t.Context(), "k", i)
		if err != nil || !ok || !bytes.Equal(b, want) {
			t.Errorf("segment %d: %d bytes %v %v", i, len(b), ok, err)
		}
	}
	if _, ok, err := r.Segment(t.Context(), "k", 2); ok || err != nil {
		t.Error(ok, err)
	}
	if _, ok, err := r.Segment(t.Context(), "K", 0); ok || err != nil {
		t.Error("keys differ by case", ok, err)
	}
	c.Key, c.Size = "k2", 8
	must(t, r.PutContent(t.Context(), c, nil))
	if got, _, err := r.Content(t.Context(), 1002); err != nil || got != c {
		t.Error(got, err)
	}
}

func testPin(t *testing.T, r registry.Registry) {
	first := registry.Pin{LocationID: 1003, Size: 1, Validator: "\"e1\""}
	got, err := r.Pin(t.Context(), first)
	if err != nil || got != first {
		t.Error(got, err)
	}
	got, err = r.Pin(t.Context(), registry.Pin{LocationID: 1003, Size: 2, Validator: "e2"})
	if err != nil || got != first {
		t.Error(got, err)
	}
}

func testPinRush(t *testing.T, r registry.Registry) {
	var wg sync.WaitGroup
	var all [6]registry.Pin
	for i := range all {
		wg.Go(func() {
			var err error
			if all[i], err = r.Pin(t.Context(), registry.Pin{LocationID: 1004, Size: int64(i)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, p := range all {
		if p != all[0] {
			t.Errorf("got %v and %v", p, all[0])
		}
	}
}

func testBad(t *testing.T, r registry.Registry) {
	wantKind(t, r.MarkBad(t.Context(), 1005), image.NotFound)
	_, err := r.Pin(t.Context(), registry.Pin{LocationID: 1005, Size: 1})
	must(t, err)
	must(t, r.MarkBad(t.Context(), 1005))
	must(t, r.MarkBad(t.Context(), 1005))
	p, ok, err := r.Pinned(t.Context(), 1005)
	if err != nil || !ok || !p.Bad || p.Size != 1 {
		t.Error(p, ok, err)
	}
}

func testSetting(t *testing.T, r registry.Registry) {
	for _, value := range []string{"one", "two"} {
		got, err := r.Setting(t.Context(), "s", value)
		if err != nil || got != "one" {
			t.Error(got, err)
		}
	}
}

func testSettingRush(t *testing.T, r registry.Registry) {
	var wg sync.WaitGroup
	var all [6]string
	for i := range all {
		wg.Go(func() {
			var err error
			if all[i], err = r.Setting(t.Context(), "rush", strings.Repeat("x", i+1)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, s := range all {
		if s != all[0] {
			t.Errorf("got %q and %q", s, all[0])
		}
	}
}

func testSettingCase(t *testing.T, r registry.Registry) {
	for _, name := range []string{"case", "CASE"} {
		got, err := r.Setting(t.Context(), name, name)
		if err != nil || got != name {
			t.Error(got, err)
		}
	}
}

func testSettingText(t *testing.T, r registry.Registry) {
	_, err := r.Setting(t.Context(), "bad", "🚀")
	if image.KindOf(err) != image.Invalid {
		t.Error(err)
	}
}
