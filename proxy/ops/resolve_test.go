package ops

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"glimpse/backends/backendtest"
	"glimpse/backends/mem"
	"glimpse/cachestore/chunk"
	"glimpse/registry/image"
)

func sha(b []byte) string {
	s := sha512.Sum512(b)
	return hex.EncodeToString(s[:])
}

// A hash in a record is a claim: the owner of an image may set it to that of
// somebody else's bytes.
func TestAClaimedHashOpensNobodysBytes(t *testing.T) {
	b := newBench(t, nil)
	victim := []byte("somebody else's bytes")
	if _, err := b.upload(b.queued(nil), bytes.NewReader(victim), -1); err != nil {
		t.Fatal(err)
	}
	thief := b.foreign([]byte("the thief's own bytes"), func(m *image.Image) {
		m.HashAlgo, m.HashValue = ptr("sha512"), ptr(sha(victim))
	})
	d, err := b.Data(t.Context(), thief)
	if err != nil {
		t.Fatal(err)
	}
	if d.t.object.Key.Content() {
		t.Errorf("known by %s", d.t.object.Key)
	}
}

func TestWhoSharesBytes(t *testing.T) {
	for share, c := range map[string]struct{ same, other bool }{"verified": {true, true}, "project": {true, false}, "off": {false, false}} {
		t.Run(share, func(t *testing.T) {
			b := newBench(t, func(c *Config) { c.Share = share })
			key := func(owner string) chunk.Key {
				m, err := b.upload(b.queued(func(m *image.Image) { m.Owner = &owner }), strings.NewReader("same"), -1)
				if err != nil {
					t.Fatal(err)
				}
				d, err := b.Data(t.Context(), m)
				if err != nil {
					t.Fatal(err)
				}
				if seg, err := b.Segment(t.Context(), d.t.object.Key, 0, 1); err != nil || seg == nil {
					t.Errorf("no manifest under %s: %v", d.t.object.Key, err)
				}
				return d.t.object.Key
			}
			first, again, other := key("p"), key("p"), key("q")
			if (first == again) != c.same || (first == other) != c.other {
				t.Errorf("%s\n%s\n%s", first, again, other)
			}
		})
	}
}

func TestAnImageWithoutDataHasNone(t *testing.T) {
	b := newBench(t, nil)
	gone := b.foreign([]byte("x"), nil)
	if err := b.store.Delete(t.Context(), "mem://m/"+"nothing"); err == nil {
		t.Fatal("deleted nothing")
	}
	if err := b.store.Delete(t.Context(), b.stores["main"].locator(gone.ID)); err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]image.Image{"queued": b.queued(nil), "gone from the store": gone} {
		if _, err := b.Data(t.Context(), m); !errors.Is(err, ErrNoData) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestARecordOfAnotherSizeIsRefused(t *testing.T) {
	b := newBench(t, nil)
	m := b.foreign([]byte("four"), func(m *image.Image) { m.Size = ptr(int64(5)) })
	if _, err := b.Data(t.Context(), m); image.KindOf(err) != image.Unavailable {
		t.Errorf("got %v", err)
	}
}

func TestOfSeveralLocationsTheHeaviestThatIsThere(t *testing.T) {
	other := mem.New("o")
	b := newBench(t, func(c *Config) {
		c.Stores = append(c.Stores, Store{ID: "heavy", Type: "mem", Weight: 10, Backend: other})
	})
	m := b.foreign([]byte("light"), func(m *image.Image) {
		m.Locations = append(m.Locations, image.Location{URL: "mem://o/x", Metadata: map[string]string{"store": "heavy"}, Status: "active"})
	})
	if got, err := b.read(m); err != nil || string(got) != "light" {
		t.Errorf("the heavy one has nothing: %q %v", got, err)
	}
	other.Replace("x", []byte("heavy"))
	if got, err := b.read(m); err != nil || string(got) != "heavy" {
		t.Errorf("%q %v", got, err)
	}
}

func TestTheOriginRefusesWhatItDoesNotKnow(t *testing.T) {
	b := newBench(t, nil)
	m := b.foreign(backendtest.Bytes(200), nil)
	d, err := b.Data(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	good := d.t.object
	for name, change := range map[string]func(*chunk.Object){
		"another key":       func(o *chunk.Object) { o.Key = "p:00" },
		"another size":      func(o *chunk.Object) { o.Size++; o.Key = "p:00" },
		"no reference":      func(o *chunk.Object) { o.Ref = "" },
		"unknown location":  func(o *chunk.Object) { o.Ref = m.ID + "/999" },
		"unknown image":     func(o *chunk.Object) { o.Ref = "nope/1" },
		"another's content": func(o *chunk.Object) { o.Key = chunk.ContentKey("sha512", sha([]byte("x")), 200, "") },
	} {
		o := good
		change(&o)
		if s, err := b.OpenRange(t.Context(), o, 0, 10); err == nil {
			s.Close()
			t.Errorf("%s: opened", name)
		}
	}
	for _, r := range [][2]int64{{-1, 1}, {0, 201}, {201, 1}} {
		if _, err := b.OpenRange(t.Context(), good, r[0], r[1]); !errors.Is(err, chunk.ErrRange) {
			t.Errorf("%v: %v", r, err)
		}
	}
}

func TestPiecesLieWithinChunks(t *testing.T) {
	b := newBench(t, nil)
	data := backendtest.Bytes(300)
	d, err := b.Data(t.Context(), b.foreign(data, nil))
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.OpenRange(t.Context(), d.t.object, 10, 200)
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	for {
		p, err := s.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if p.Off != 10+int64(len(got)) || p.Len != int64(len(p.Data)) || geometry.Index(p.Off) != p.Index || geometry.Index(p.Off+p.Len-1) != p.Index {
			t.Errorf("piece %+v", p)
		}
		got = append(got, p.Data...)
	}
	if !bytes.Equal(got, data[10:210]) {
		t.Error("other bytes")
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// What was put back from a backup has another time; its chunks are proved by the
// manifest. What has no manifest is not read any more.
func TestAnOriginThatChanged(t *testing.T) {
	b := newBench(t, nil)
	data := backendtest.Bytes(200)
	ours, err := b.upload(b.queued(nil), bytes.NewReader(data), -1)
	if err != nil {
		t.Fatal(err)
	}
	theirs := b.foreign(data, nil)
	if _, err := b.read(theirs); err != nil {
		t.Fatal(err)
	}
	b.store.Replace(ours.ID, data)
	b.store.Replace(theirs.ID, data)
	if got, err := b.read(ours); err != nil || !bytes.Equal(got, data) {
		t.Errorf("with a manifest: %v", err)
	}
	if _, err := b.read(theirs); err == nil {
		t.Error("without one it is read all the same")
	}
}

func TestSecretsStayOut(t *testing.T) {
	b := newBench(t, nil)
	m := b.foreign([]byte("x"), func(m *image.Image) {
		m.Locations[0].URL = "mem://user:hunter2@elsewhere/x"
	})
	_, err := b.Data(t.Context(), m)
	d, _ := b.Data(t.Context(), b.foreign([]byte("x"), nil))
	if err == nil || hasSecret(err, "hunter2") || strings.Contains(fmt.Sprintf("%v %+v", m, d.t.object), "hunter2") {
		t.Errorf("got %v", err)
	}
	if withoutUserinfo("swift://u:hunter2@h/c/o") != "swift://h/c/o" || strings.Contains(withoutUserinfo("://hunter2"), "hunter2") {
		t.Error("a password is part of a key")
	}
}

func TestDelete(t *testing.T) {
	b := newBench(t, nil)
	m, err := b.upload(b.queued(nil), strings.NewReader("x"), -1)
	if err != nil {
		t.Fatal(err)
	}
	protected := b.foreign([]byte("y"), func(m *image.Image) { m.Protected = true })
	if err := b.Delete(t.Context(), protected); image.KindOf(err) != image.Forbidden {
		t.Errorf("a protected image: %v", err)
	}
	shared := b.foreign([]byte("z"), func(o *image.Image) { o.Locations[0].URL = m.Locations[0].URL; o.Size = ptr(int64(1)) })
	if err := b.Delete(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if got, err := b.read(shared); err != nil || string(got) != "x" {
		t.Errorf("another image's bytes went too: %q %v", got, err)
	}
	if _, err := b.reg.Get(context.Background(), m.ID); image.KindOf(err) != image.NotFound {
		t.Errorf("still there: %v", err)
	}
	if err := b.Delete(t.Context(), shared); err != nil {
		t.Fatal(err)
	}
	if _, err := b.store.Stat(t.Context(), b.stores["main"].locator(m.ID)); err == nil {
		t.Error("the bytes outlived the last image")
	}
	if err := b.Delete(t.Context(), m); image.KindOf(err) != image.NotFound {
		t.Errorf("twice: %v", err)
	}
}
