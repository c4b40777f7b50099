package ops

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"glimpse/backends"
	"glimpse/backends/backendtest"
	"glimpse/cachestore/chunk"
	"glimpse/registry/image"

	"lukechampine.com/blake3"
)

func TestAnUploadIsHashedKeptAndAcknowledged(t *testing.T) {
	for _, size := range []int{0, 1, 63, 64, 65, 1000} {
		for _, announced := range []int64{int64(size), -1} {
			t.Run(fmt.Sprintf("%d of %d", size, announced), func(t *testing.T) {
				b := newBench(t, nil)
				data := backendtest.Bytes(size)
				if size > 200 {
					clear(data[64:128]) // a chunk of zeros
				}
				m, err := b.upload(b.queued(nil), iotest.OneByteReader(bytes.NewReader(data)), announced)
				if err != nil {
					t.Fatal(err)
				}
				sum, full := md5.Sum(data), sha512.Sum512(data)
				if m.Status != image.Active || *m.Size != int64(size) || *m.Checksum != hex.EncodeToString(sum[:]) || *m.HashValue != hex.EncodeToString(full[:]) || *m.HashAlgo != "sha512" {
					t.Errorf("got %+v", m)
				}
				if size > 0 && *m.VirtualSize != int64(size) {
					t.Errorf("virtual size %d", *m.VirtualSize)
				}
				if object(m) != m.ID || m.Locations[0].Metadata["store"] != "main" {
					t.Errorf("at %s, %v", m.Locations[0].URL.Reveal(), m.Locations[0].Metadata)
				}
				got, err := b.read(m)
				if err != nil || !bytes.Equal(got, data) {
					t.Errorf("%d bytes back, %v", len(got), err)
				}
				if n := b.cache.lent(); n != 0 {
					t.Errorf("%d buffers not given back", n)
				}
				if size == 0 {
					return
				}
				checkManifest(t, b, m, data)
			})
		}
	}
}

func checkManifest(t *testing.T, b *bench, m image.Image, data []byte) {
	t.Helper()
	d, err := b.Data(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	count := geometry.Count(d.Size)
	seg, err := b.Segment(t.Context(), d.t.object.Key, 0, count)
	if err != nil || seg == nil || seg.Chunks() != count {
		t.Fatalf("manifest: %v, %v", seg, err)
	}
	for i := range count {
		part := data[geometry.Off(i):][:geometry.Len(i, d.Size)]
		digest, zero, known := seg.At(i)
		if !known || zero != chunk.IsZero(part) || !zero && digest != blake3.Sum256(part) {
			t.Errorf("chunk %d of %d is wrong in the manifest", i, count)
		}
		if kept := b.cache.published[d.t.object.Key][i]; !bytes.Equal(kept, part) {
			t.Errorf("chunk %d is not kept", i)
		}
	}
	if !d.t.object.Key.Content() {
		t.Errorf("known as %s", d.t.object.Key)
	}
}

func TestABrokenBodyLeavesNothing(t *testing.T) {
	boom := image.Errorf(image.Timeout, "No data came.")
	for _, at := range []int{0, 1, 63, 64, 65, 128, 500} {
		b := newBench(t, nil)
		m := b.queued(nil)
		_, err := b.upload(m, io.MultiReader(bytes.NewReader(backendtest.Bytes(at)), iotest.ErrReader(boom)), 1000)
		if image.KindOf(err) != image.Timeout {
			t.Errorf("after %d bytes: %v", at, err)
		}
		b.clean(m.ID)
		if _, err := b.upload(m, bytes.NewReader([]byte("second")), -1); err != nil {
			t.Errorf("the next upload: %v", err)
		}
	}
}

// A body that was cut is no end, by whatever error the reader tells it.
func TestABodyThatWasCutIsNotWhole(t *testing.T) {
	for name, cut := range map[string]error{
		"bare": io.ErrUnexpectedEOF, "wrapped": image.Wrap(image.Invalid, io.ErrUnexpectedEOF, "The body could not be read to its end."), "an end within": fmt.Errorf("no chunk: %w", io.EOF),
	} {
		for _, at := range []int{0, 1, 63, 64, 65, 128, 500} {
			b := newBench(t, nil)
			m := b.queued(nil)
			_, err := b.upload(m, io.MultiReader(bytes.NewReader(backendtest.Bytes(at)), iotest.ErrReader(cut)), -1)
			if image.KindOf(err) != image.Invalid || err == nil {
				t.Errorf("%s, after %d bytes: %v", name, at, err)
			}
			b.clean(m.ID)
		}
	}
}

func TestWhatAnUploadIsRefusedFor(t *testing.T) {
	for name, c := range map[string]struct {
		change    func(*Config)
		image     func(*image.Image)
		body      string
		announced int64
		store     string
		want      image.Kind
	}{
		"unknown store":          {nil, nil, "x", -1, "attic", image.Invalid},
		"read-only store":        {func(c *Config) { c.Stores[0].ReadOnly = true }, nil, "x", -1, "", image.Gone},
		"no disk format":         {nil, func(m *image.Image) { m.DiskFormat = nil }, "x", -1, "", image.Invalid},
		"announced over cap":     {func(c *Config) { c.Limits.SizeCap = 10 }, nil, "x", 11, "", image.TooLarge},
		"over cap in the end":    {func(c *Config) { c.Limits.SizeCap = 10 }, nil, "12345678901", -1, "", image.TooLarge},
		"shorter than announced": {nil, nil, "x", 2, "", image.Invalid},
		"longer than announced":  {nil, nil, "xyz", 2, "", image.Invalid},
		"not of its format":      {nil, func(m *image.Image) { m.DiskFormat = ptr("qcow2") }, "not a qcow2", -1, "", image.Unsupported},
		"not queued":             {nil, func(m *image.Image) { m.Status = image.Saving }, "x", -1, "", image.Conflict},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, c.change)
			m := b.queued(c.image)
			_, err := b.Upload(t.Context(), Upload{Image: m, Body: bytes.NewReader([]byte(c.body)), Announced: c.announced, Store: c.store})
			if image.KindOf(err) != c.want || err == nil {
				t.Errorf("got %v", err)
			}
			if m.Status == image.Queued {
				b.clean(m.ID)
			}
		})
	}
}

func TestAFormatMismatchIsLetPassWhereItIsNotRequired(t *testing.T) {
	b := newBench(t, func(c *Config) { c.RequireFormatMatch = false })
	if _, err := b.upload(b.queued(func(m *image.Image) { m.DiskFormat = ptr("qcow2") }), bytes.NewReader([]byte("raw")), -1); err != nil {
		t.Error(err)
	}
}

// breaking is a store whose writers fail.
type breaking struct {
	backends.Store
	create, write, commit error
	fired                 int
}

func (s *breaking) Create(ctx context.Context, key string, size int64) (backends.Writer, error) {
	if s.create != nil {
		s.fired++
		return nil, s.create
	}
	w, err := s.Store.Create(ctx, key, size)
	return &breakingWriter{w, s}, err
}

type breakingWriter struct {
	backends.Writer
	s *breaking
}

func (w *breakingWriter) Write(p []byte) (int, error) {
	if w.s.write != nil {
		w.s.fired++
		return 0, w.s.write
	}
	return w.Writer.Write(p)
}

func (w *breakingWriter) Commit(ctx context.Context) (backends.Locator, error) {
	if w.s.commit != nil {
		w.s.fired++
		return "", w.s.commit
	}
	return w.Writer.Commit(ctx)
}

func TestAStoreThatFailsFailsTheUpload(t *testing.T) {
	for name, c := range map[string]struct {
		s    breaking
		want image.Kind
	}{
		"at create": {breaking{create: backends.ErrUnavailable}, image.Unavailable},
		"full":      {breaking{create: backends.ErrFull}, image.TooLarge},
		"at write":  {breaking{write: backends.ErrFull}, image.TooLarge},
		"at commit": {breaking{commit: errors.New("disk on fire at file:///secret")}, image.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			s := c.s
			b := newBench(t, func(c *Config) { s.Store = c.Stores[0].Backend; c.Stores[0].Backend = &s })
			m := b.queued(nil)
			_, err := b.upload(m, bytes.NewReader(make([]byte, 10_000)), -1)
			if image.KindOf(err) != c.want || s.fired == 0 {
				t.Errorf("got %v, %d faults", err, s.fired)
			}
			var e *image.Error
			if errors.As(err, &e) && hasSecret(errors.New(e.Msg), "secret") {
				t.Errorf("the user is told %q", e.Msg)
			}
			b.clean(m.ID)
		})
	}
}

func TestAnImageDeletedMeanwhileEndsTheUpload(t *testing.T) {
	b := newBench(t, nil)
	m := b.queued(nil)
	body := &slowBody{bytes.NewReader(make([]byte, 300)), make(chan struct{})}
	errs := make(chan error, 1)
	go func() {
		_, err := b.Upload(t.Context(), Upload{Image: m, Body: body, Announced: -1, Interrupt: func() { close(body.stop) }})
		errs <- err
	}()
	for {
		if s, err := b.reg.Get(t.Context(), m.ID); err != nil || s.Status == image.Saving {
			break
		}
	}
	if err := b.Delete(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if err := <-errs; image.KindOf(err) != image.Gone {
		t.Errorf("got %v", err)
	}
	b.clean(m.ID)
}

func TestARefusedActivationRemovesTheObject(t *testing.T) {
	b := newBench(t, nil)
	m := b.queued(nil)
	b.reg.before = image.Errorf(image.Gone, "over")
	if _, err := b.upload(m, bytes.NewReader([]byte("x")), -1); image.KindOf(err) != image.Gone || b.reg.fired == 0 {
		t.Errorf("got %v", err)
	}
	b.clean(m.ID)
}

func TestALostAnswerOfTheRegistryDeletesNothing(t *testing.T) {
	b := newBench(t, nil)
	m := b.queued(nil)
	b.reg.after = image.Errorf(image.Unavailable, "connection lost")
	got, err := b.upload(m, bytes.NewReader([]byte("x")), -1)
	if err != nil || got.Status != image.Active || b.reg.fired != 1 {
		t.Fatalf("the record was there to read: %v", err)
	}
	second := b.queued(nil)
	b.reg.after, b.reg.before = nil, image.Errorf(image.Unavailable, "away")
	if _, err := b.upload(second, bytes.NewReader([]byte("y")), -1); image.KindOf(err) != image.Unavailable {
		t.Errorf("got %v", err)
	}
	if n := b.store.Len(); n != 2 {
		t.Errorf("%d objects, want both: nobody knows", n)
	}
	if m, err := b.reg.Get(t.Context(), second.ID); err != nil || m.Status != image.Saving {
		t.Errorf("%s %v", m.Status, err)
	}
}

// An attempt that lapsed and was reaped comes back when another has won.
func TestAnOvertakenUploadCannotTouchTheWinner(t *testing.T) {
	b := newBench(t, nil)
	m := b.queued(nil)
	late := &slowBody{bytes.NewReader([]byte("late")), make(chan struct{})}
	errs := make(chan error, 1)
	b.reg.begun = make(chan string, 2)
	b.reg.renewErr = image.Errorf(image.Unavailable, "away")
	go func() {
		_, err := b.Upload(t.Context(), Upload{Image: m, Body: &thenEOF{late}, Announced: -1})
		errs <- err
	}()
	token := <-b.reg.begun
	if err := b.reg.Fail(t.Context(), token, false); err != nil {
		t.Fatal(err)
	}
	won, err := b.upload(m, bytes.NewReader([]byte("winner")), -1)
	if err != nil {
		t.Fatal(err)
	}
	close(late.stop)
	if err := <-errs; err == nil {
		t.Error("the late one was acknowledged too")
	}
	got, err := b.read(won)
	if err != nil || string(got) != "winner" {
		t.Errorf("%q, %v", got, err)
	}
}

// thenEOF ends a slow body cleanly once it was released.
type thenEOF struct{ s *slowBody }

func (r *thenEOF) Read(p []byte) (int, error) {
	n, err := r.s.Read(p)
	if err != nil {
		err = io.EOF
	}
	return n, err
}

// The connection lives on: what ends the upload's own context must not touch it.
func TestAFinishedUploadInterruptsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		interrupted := false
		_, err := b.Upload(t.Context(), Upload{Image: b.queued(nil), Body: bytes.NewReader([]byte("x")), Announced: 1, Interrupt: func() { interrupted = true }})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if interrupted {
			t.Error("its connection was interrupted")
		}
	})
}

// An upload that gets no buffer of the cache goes to the origin all the same, with
// the same hashes; only what had a buffer is kept.
func TestAnUploadDoesNotNeedTheCache(t *testing.T) {
	for _, size := range []int{0, 1, 64, 65, 128, 192, 1000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c *scarce
				b := newBench(t, func(cfg *Config) {
					c = &scarce{fakeCache: cfg.Cache.(*fakeCache)}
					cfg.Cache = c
					cfg.LeaseRenew = time.Hour
				})
				data := backendtest.Bytes(size)
				if size > 500 {
					clear(data[64:128]) // zeros without a buffer
					clear(data[128:192])
				}
				m, err := b.upload(b.queued(nil), bytes.NewReader(data), -1)
				if err != nil {
					t.Fatal(err)
				}
				full := sha512.Sum512(data)
				if got, err := b.read(m); err != nil || !bytes.Equal(got, data) || *m.HashValue != hex.EncodeToString(full[:]) {
					t.Errorf("%d bytes back, %v, hash %s", len(got), err, *m.HashValue)
				}
				if n := b.cache.lent(); n != 0 {
					t.Errorf("%d buffers not given back", n)
				}
				if size == 0 {
					return
				}
				d, err := b.Data(t.Context(), m)
				if err != nil {
					t.Fatal(err)
				}
				count := geometry.Count(d.Size)
				seg, err := b.Segment(t.Context(), d.t.object.Key, 0, count)
				if err != nil || seg.Chunks() != count {
					t.Fatal(seg, err)
				}
				for i := range count {
					part := data[geometry.Off(i):][:geometry.Len(i, d.Size)]
					digest, zero, known := seg.At(i)
					if !known || zero != chunk.IsZero(part) || !zero && digest != blake3.Sum256(part) {
						t.Errorf("chunk %d of %d is wrong in the manifest", i, count)
					}
					if _, kept := b.cache.published[d.t.object.Key][i]; kept != (i%2 == 0) {
						t.Errorf("chunk %d: kept is %v", i, kept)
					}
				}
			})
		})
	}
}
