package ops

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"strings"
	"testing"
	"time"

	"glimpse/backends"
	"glimpse/backends/mem"
	"glimpse/cachestore/chunk"
	"glimpse/registry"
	"glimpse/registry/image"
	"glimpse/registry/memstore"

	"github.com/google/uuid"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// geometry is small, so that a few hundred bytes are several chunks.
var geometry = chunk.Geometry{Chunk: 64, Extent: 2}

func ptr[T any](v T) *T { return &v }

// bench is a service on memory twins.
type bench struct {
	*Service
	t     *testing.T
	reg   *faulty
	store *mem.Store
	cache *fakeCache
}

func newBench(t *testing.T, change func(*Config)) *bench {
	t.Helper()
	b := &bench{t: t, reg: &faulty{Registry: memstore.New(time.Minute)}, store: mem.New("m"), cache: newFakeCache()}
	c := Config{
		Registry: b.reg, Stores: []Store{{ID: "main", Type: "mem", Backend: b.store}}, DefaultStore: "main", Cache: b.cache,
		Secret: []byte("secret"), Share: "verified", Geometry: geometry, Limits: image.DefaultLimits(), HashAlgo: "sha512",
		RequireFormatMatch: true, NodeID: "n1", LeaseRenew: 5 * time.Millisecond,
	}
	if change != nil {
		change(&c)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	b.Service = s
	b.cache.origin = s
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return b
}

// queued makes an image that waits for its data.
func (b *bench) queued(change func(*image.Image)) image.Image {
	b.t.Helper()
	m := image.Image{
		ID: uuid.NewString(), Status: image.Queued, Visibility: image.Private, Owner: ptr("p"),
		DiskFormat: ptr("raw"), ContainerFormat: ptr("bare"),
	}
	if change != nil {
		change(&m)
	}
	m, err := b.reg.Create(b.t.Context(), m)
	if err != nil {
		b.t.Fatal(err)
	}
	return m
}

func (b *bench) upload(m image.Image, body io.Reader, announced int64) (image.Image, error) {
	return b.Upload(b.t.Context(), Upload{Image: m, Body: body, Announced: announced})
}

// clean asserts that a failed upload left nothing.
func (b *bench) clean(id string) {
	b.t.Helper()
	if n := b.store.Len(); n != 0 {
		b.t.Errorf("%d objects left in the store", n)
	}
	if err := b.store.Pending(b.t.Context(), func(backends.Locator, time.Time) error { return errors.New("half-done work left") }); err != nil {
		b.t.Error(err)
	}
	if n := b.cache.lent(); n != 0 {
		b.t.Errorf("%d buffers not given back", n)
	}
	m, err := b.reg.Get(b.t.Context(), id)
	if err == nil && m.Status != image.Queued {
		b.t.Errorf("the image is %s", m.Status)
	}
}

// foreign makes an active image as a Glance would: data in the store, a record
// with what the Glance claims, and nothing known to us.
func (b *bench) foreign(data []byte, change func(*image.Image)) image.Image {
	b.t.Helper()
	m := b.queued(nil)
	b.store.Replace(m.ID, data)
	m, err := b.reg.Update(b.t.Context(), m.ID, func(m *image.Image) error {
		m.Status, m.Size = image.Active, ptr(int64(len(data)))
		m.Locations = []image.Location{{URL: image.Secret("mem://m/" + m.ID), Metadata: map[string]string{"store": "main"}, Status: "active"}}
		if change != nil {
			change(m)
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return m
}

func (b *bench) read(m image.Image) ([]byte, error) {
	d, err := b.Data(b.t.Context(), m)
	if err != nil {
		return nil, err
	}
	body, err := d.Open(b.t.Context(), 0, d.Size)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var out bytes.Buffer
	_, err = body.WriteTo(&out)
	return out.Bytes(), err
}

func object(m image.Image) string { return path.Base(m.Locations[0].URL.Reveal()) }

// faulty is a registry whose Activate fails as told.
type faulty struct {
	registry.Registry
	before, after error // Activate and Adopt: refuse, or do it and lose the answer
	renewErr      error
	fired         int
	begun         chan string // tokens, if somebody listens
}

func (f *faulty) Begin(ctx context.Context, imageID, store, node string) (registry.Upload, error) {
	up, err := f.Registry.Begin(ctx, imageID, store, node)
	if err == nil && f.begun != nil {
		f.begun <- up.Token
	}
	return up, err
}

func (f *faulty) Activate(ctx context.Context, token string, a registry.Activation) (image.Image, error) {
	if f.before != nil {
		f.fired++
		return image.Image{}, f.before
	}
	m, err := f.Registry.Activate(ctx, token, a)
	if err == nil && f.after != nil {
		f.fired++
		return image.Image{}, f.after
	}
	return m, err
}

func (f *faulty) Adopt(ctx context.Context, token, holder string, fn func(*image.Image) error) (image.Image, error) {
	if f.before != nil {
		f.fired++
		return image.Image{}, f.before
	}
	m, err := f.Registry.Adopt(ctx, token, holder, fn)
	if err == nil && f.after != nil {
		f.fired++
		return image.Image{}, f.after
	}
	return m, err
}

func (f *faulty) Renew(ctx context.Context, token string) error {
	if f.renewErr != nil {
		f.fired++
		return f.renewErr
	}
	return f.Registry.Renew(ctx, token)
}

// slowBody gives data and then waits until it is interrupted.
type slowBody struct {
	data io.Reader
	stop chan struct{}
}

func (s *slowBody) Read(p []byte) (int, error) {
	n, err := s.data.Read(p)
	if errors.Is(err, io.EOF) {
		<-s.stop
		return n, errors.New("connection reset")
	}
	return n, err
}

func hasSecret(err error, secret string) bool {
	return err != nil && strings.Contains(err.Error(), secret)
}

func (s *Store) locator(key string) backends.Locator { return backends.Locator("mem://m/" + key) }

func md5Of(b []byte) string {
	h := hashes["md5"]()
	h.Write(b)
	return hexSum(h)
}
