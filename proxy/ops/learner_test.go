package ops

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"

	"glimpse/backends/backendtest"
	"glimpse/cachestore/chunk"
	"glimpse/registry/image"
)

// residents makes all chunks of data resident, in the given order, telling of
// each.
func (b *bench) residents(o chunk.Object, data []byte, order []int) {
	for _, i := range order {
		b.cache.reside(o.Key, i, data[geometry.Off(i):][:geometry.Len(i, int64(len(data)))])
		b.Filled(o, i)
	}
}

func TestAFoldThatGivesTheHashMakesAManifest(t *testing.T) {
	for name, change := range map[string]func(*image.Image, []byte){
		"hash":     func(m *image.Image, d []byte) { m.HashAlgo, m.HashValue = ptr("sha512"), ptr(sha(d)) },
		"checksum": func(m *image.Image, d []byte) { m.Checksum = ptr(md5Of(d)) },
		"nothing":  func(*image.Image, []byte) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, nil)
				data := backendtest.Bytes(300)
				m := b.foreign(data, func(m *image.Image) { change(m, data) })
				d, err := b.Data(t.Context(), m)
				if err != nil {
					t.Fatal(err)
				}
				old := d.t.object
				if !b.Current(t.Context(), old) {
					t.Error("its name is not current before it has another one")
				}
				b.residents(old, data, []int{3, 0, 1, 4, 2})
				synctest.Wait()
				if s := b.Stats(); s.Learned != 1 || s.Mismatched != 0 {
					t.Fatalf("%+v", s)
				}
				d, err = b.Data(t.Context(), m)
				if err != nil {
					t.Fatal(err)
				}
				if now := d.t.object.Key; !now.Content() || b.cache.promoted[old.Key] != now {
					t.Errorf("%s, promoted to %s", now, b.cache.promoted[old.Key])
				}
				seg, err := b.Segment(t.Context(), d.t.object.Key, 0, geometry.Count(300))
				if err != nil || !seg.Complete() {
					t.Errorf("%v %v", seg, err)
				}
				if b.Current(t.Context(), old) || !b.Current(t.Context(), d.t.object) {
					t.Error("the former name is current, or the new one is not")
				}
				gone := old
				gone.Ref = "00000000-0000-0000-0000-000000000000/1"
				if b.Current(t.Context(), gone) {
					t.Error("a name of an image that is gone is current")
				}
				// A reader that began under the old name goes on.
				if s, err := b.OpenRange(t.Context(), old, 0, 10); err != nil {
					t.Error(err)
				} else {
					s.Close()
				}
			})
		})
	}
}

func TestBytesThatDoNotGiveTheHashAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		data := backendtest.Bytes(300)
		m := b.foreign(data, func(m *image.Image) { m.HashAlgo, m.HashValue = ptr("sha512"), ptr(sha([]byte("other"))) })
		d, err := b.Data(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		b.residents(d.t.object, data, []int{0, 1, 2, 3, 4})
		synctest.Wait()
		if s := b.Stats(); s.Learned != 0 || s.Mismatched != 1 || len(b.cache.dropped) != 1 {
			t.Errorf("%+v, dropped %v", s, b.cache.dropped)
		}
		if _, err := b.Data(t.Context(), m); image.KindOf(err) != image.Unavailable {
			t.Errorf("still served: %v", err)
		}
		if b.Current(t.Context(), d.t.object) {
			t.Error("bytes that are refused have a current name")
		}
	})
}

// A chunk that was evicted before its turn is waited for.
func TestAFoldWaitsForAChunkThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		data := backendtest.Bytes(300)
		d, err := b.Data(t.Context(), b.foreign(data, nil))
		if err != nil {
			t.Fatal(err)
		}
		b.residents(d.t.object, data, []int{0, 1, 3, 4})
		synctest.Wait()
		if s := b.Stats(); s.Learned != 0 {
			t.Fatal("learned without all chunks")
		}
		b.residents(d.t.object, data, []int{2})
		synctest.Wait()
		if s := b.Stats(); s.Learned != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestTooManyFoldsAreForgottenNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		data := backendtest.Bytes(200)
		for range 3 * maxFolds {
			d, err := b.Data(t.Context(), b.foreign(data, nil))
			if err != nil {
				t.Fatal(err)
			}
			b.residents(d.t.object, data, []int{0})
			synctest.Wait()
		}
		b.learner.mu.Lock()
		n := len(b.learner.mu.folds)
		b.learner.mu.Unlock()
		if n > maxFolds {
			t.Errorf("%d folds", n)
		}
	})
}

// A manifest that was damaged in the registry is told from bytes that were, and
// made anew from bytes that give the image's hash.
func TestADamagedManifestIsMadeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		data := backendtest.Bytes(300)
		m, err := b.upload(b.queued(nil), bytes.NewReader(data), -1)
		if err != nil {
			t.Fatal(err)
		}
		d, err := b.Data(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		count := geometry.Count(300)
		good, err := b.Segment(t.Context(), d.t.object.Key, 0, count)
		if err != nil {
			t.Fatal(err)
		}
		c, _, err := b.reg.Content(t.Context(), m.Locations[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		bad := good.Seal()
		bad[77] ^= 1
		if err := b.reg.PutContent(t.Context(), c, [][]byte{bad}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Segment(t.Context(), d.t.object.Key, 0, count); !errors.Is(err, chunk.ErrCorrupt) {
			t.Fatal(err)
		}
		b.residents(d.t.object, data, []int{0, 1, 2, 3, 4})
		synctest.Wait()
		again, err := b.Segment(t.Context(), d.t.object.Key, 0, count)
		if err != nil || !bytes.Equal(again, good) {
			t.Errorf("%v, another manifest", err)
		}
	})
}
