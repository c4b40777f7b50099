package modeltest

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"path"
	"runtime"
	"time"

	"glimpse/backends"
	"glimpse/cachestore/chunk"
	"glimpse/proxy/ops"
	"glimpse/registry"
	"glimpse/registry/image"

	"github.com/google/uuid"
)

// patience bounds one deed: whatever waits longer waits for ever.
const patience = 10 * time.Second

// entry is what the model knows of one image.
type entry struct {
	id      string
	status  image.Status // image.Deleted where it is gone
	data    []byte       // while active or deactivated
	foreign bool         // another wrote the bytes
}

func (e *entry) readable() bool { return e.status == image.Active || e.status == image.Deactivated }

// world is a node and the model of it.
type world struct {
	*node
	entries []*entry
	litter  map[string]bool // bytes of others that a delete under faults may have left
}

func newWorld(t failer, dir string, o options) *world {
	return &world{node: newNode(t, dir, o), litter: map[string]bool{}}
}

// content makes bytes: random ones by seed, with the chunks of the mask zero.
func content(seed uint8, size, step int64, zeros uint64) []byte {
	b := make([]byte, size)
	r := rand.NewChaCha8([32]byte{seed})
	_, _ = r.Read(b)
	for i := range 64 {
		if at := int64(i) * step; zeros>>i&1 == 1 && at < size {
			clear(b[at:min(at+step, size)])
		}
	}
	return b
}

func (w *world) ctx() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

func ptr[T any](v T) *T { return &v }

// queued makes an image that waits for its data; nil where a fault forbids it.
func (w *world) queued() *entry {
	w.t.Helper()
	ctx, cancel := w.ctx()
	defer cancel()
	e := &entry{id: uuid.NewString(), status: image.Queued}
	before := w.f.total()
	_, err := w.writes.Create(ctx, image.Image{
		ID: e.id, Status: image.Queued, Visibility: image.Private, Owner: ptr("p"), DiskFormat: ptr("raw"), ContainerFormat: ptr("bare"),
	})
	if err != nil {
		w.excused("create", before, err)
		if _, gerr := w.reg.Get(ctx, e.id); gerr != nil {
			return nil
		}
	}
	w.entries = append(w.entries, e)
	return e
}

// excused fails unless a fault has fired since before, or the node is dead.
func (w *world) excused(what string, before int, err error) {
	w.t.Helper()
	if w.f.total() == before && !w.f.isDead() {
		w.t.Fatalf("%s failed without a fault: %v", what, err)
	}
}

// body is what a client sends.
type body struct {
	data      []byte
	announced int64
	breaks    bool                     // it ends with an error instead of io.EOF
	at        int64                    // bytes after which then is called
	then      func(context.CancelFunc) // what happens meanwhile
}

// upload gives e the body, and says whether it was acknowledged.
func (w *world) upload(e *entry, b body) bool {
	w.t.Helper()
	ctx, cancel := w.ctx()
	defer cancel()
	m, err := w.reg.Get(ctx, e.id)
	must(w.t, err)
	before := w.f.total()
	got, err := w.svc.Upload(ctx, ops.Upload{Image: m, Body: b.reader(cancel), Announced: b.announced})
	right := !b.breaks && (b.announced < 0 || b.announced == int64(len(b.data)))
	switch {
	case err == nil && e.status == image.Deleted:
		w.t.Fatalf("an upload to a deleted image was acknowledged")
	case err == nil && !right:
		w.t.Fatalf("a broken upload was acknowledged")
	case err == nil:
		if got.Status != image.Active || got.Size == nil || *got.Size != int64(len(b.data)) {
			w.t.Fatalf("an upload was acknowledged as %s", got.Status)
		}
		e.status, e.data = image.Active, b.data
		return true
	case right && b.then == nil:
		w.excused("an upload", before, err)
	}
	w.settle(e, b, right, w.f.total() > before || w.f.isDead())
	return false
}

// try uploads and leaves the model as it is.
func (w *world) try(e *entry, b body) error {
	ctx, cancel := w.ctx()
	defer cancel()
	m, err := w.reg.Get(ctx, e.id)
	if err == nil {
		_, err = w.svc.Upload(ctx, ops.Upload{Image: m, Body: b.reader(cancel), Announced: b.announced})
	}
	return err
}

func (b body) reader(cancel context.CancelFunc) io.Reader {
	var r io.Reader = bytes.NewReader(b.data)
	if b.then != nil {
		rest := bytes.NewReader(b.data[b.at:])
		r = io.MultiReader(bytes.NewReader(b.data[:b.at]), &meanwhile{func() { b.then(cancel) }}, rest)
	}
	if b.breaks {
		r = io.MultiReader(r, broken{})
	}
	return r
}

// settle looks what an upload that failed has left of its image. Only faults
// excuse that it isn't queued.
func (w *world) settle(e *entry, b body, right, faults bool) {
	w.t.Helper()
	if e.status == image.Deleted {
		return
	}
	m, err := w.reg.Get(context.Background(), e.id)
	must(w.t, err)
	switch {
	case m.Status == image.Queued, m.Status == image.Saving && faults:
		e.status = m.Status
	case m.Status == image.Active && faults && right:
		e.status, e.data = image.Active, b.data
	default:
		w.t.Fatalf("an upload that failed left its image %s", m.Status)
	}
}

// meanwhile runs fn when it is read, and is empty.
type meanwhile struct{ fn func() }

func (m *meanwhile) Read([]byte) (int, error) { m.fn(); return 0, io.EOF }

var errBody = errors.New("the client is gone")

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errBody }

// read asks for a range as a client does, step bytes at a time or all at once
// (0), and leaves after some bytes if leave is not negative. Without a fault it
// has to succeed: at once where there never was one, else the second time, since
// the first may have joined a fill that began under a fault.
func (w *world) read(e *entry, off, n int64, step int, leave int64) {
	w.t.Helper()
	for tries := 0; ; tries++ {
		before, on := w.f.total(), w.f.on()
		err := w.readOnce(e, off, n, step, leave)
		if err == nil || leave >= 0 || on || w.f.total() > before || w.f.isDead() {
			return
		}
		if before == 0 || tries > 0 {
			w.t.Fatalf("image %s (foreign %v), range %d+%d of %d: no fault, and yet %v", e.id, e.foreign, off, n, len(e.data), err)
		}
	}
}

func (w *world) readOnce(e *entry, off, n int64, step int, leave int64) error {
	w.t.Helper()
	got, err := w.fetch(e, off, n, step, leave)
	if !e.readable() {
		if err == nil {
			w.t.Fatalf("an image that is %s was read", e.status)
		}
		return nil
	}
	want := e.data[off : off+n]
	// What came of a chunk before it was found damaged may be wrong: then the
	// response is cut.
	if (err == nil && leave < 0 || w.f.damage() == 0) && !bytes.HasPrefix(want, got) {
		w.t.Fatalf("image %s (foreign %v), range %d+%d of %d: %d bytes came that are not its own", e.id, e.foreign, off, n, len(e.data), len(got))
	}
	if err == nil && leave < 0 && len(got) != len(want) {
		w.t.Fatalf("range %d+%d of %d ended cleanly after %d bytes", off, n, len(e.data), len(got))
	}
	return err
}

func (w *world) fetch(e *entry, off, n int64, step int, leave int64) ([]byte, error) {
	ctx, cancel := w.ctx()
	defer cancel()
	m, err := w.leases.Get(ctx, e.id)
	if err != nil {
		return nil, err
	}
	d, err := w.svc.Data(ctx, m)
	if err != nil {
		return nil, err
	}
	r, err := d.Open(ctx, off, n)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var out bytes.Buffer
	switch {
	case leave >= 0:
		_, err = io.CopyN(&out, struct{ io.Reader }{r}, min(leave, n))
	case step > 0:
		_, err = io.CopyBuffer(&out, struct{ io.Reader }{r}, make([]byte, step))
	default:
		_, err = r.WriteTo(&out)
	}
	return out.Bytes(), err
}

// remove deletes an image that is there.
func (w *world) remove(e *entry) {
	w.t.Helper()
	ctx, cancel := w.ctx()
	defer cancel()
	m, err := w.reg.Get(ctx, e.id)
	must(w.t, err)
	before := w.f.total()
	if err = w.svc.Delete(ctx, m); err != nil {
		w.excused("a delete", before, err)
		if _, err := w.reg.Get(ctx, e.id); err == nil {
			return // it was not done
		}
	}
	if e.foreign && w.f.total() > before {
		for _, l := range m.Locations {
			w.litter[l.URL.Reveal()] = true
		}
	}
	e.status, e.data = image.Deleted, nil
}

// toggle moves an image between active and deactivated.
func (w *world) toggle(e *entry) {
	w.t.Helper()
	ctx, cancel := w.ctx()
	defer cancel()
	next := image.Deactivated
	if e.status == image.Deactivated {
		next = image.Active
	}
	before := w.f.total()
	_, err := w.writes.Update(ctx, e.id, func(m *image.Image) error { return m.SetStatus(next) })
	if err != nil {
		w.excused("a change of status", before, err)
		m, err := w.reg.Get(ctx, e.id)
		must(w.t, err)
		next = m.Status
	}
	e.status = next
}

// adopt makes an active image as a Glance would, with the hashes that it claims.
func (w *world) adopt(data []byte, md5Too, sha512Too bool) {
	w.t.Helper()
	e := w.queued()
	if e == nil {
		return
	}
	at := w.put(e.id, data)
	_, err := w.reg.Update(context.Background(), e.id, func(m *image.Image) error {
		m.Status, m.Size = image.Active, ptr(int64(len(data)))
		if md5Too {
			sum := md5.Sum(data)
			m.Checksum = ptr(hex.EncodeToString(sum[:]))
		}
		if sha512Too {
			sum := sha512.Sum512(data)
			m.HashAlgo, m.HashValue = ptr("sha512"), ptr(hex.EncodeToString(sum[:]))
		}
		m.Locations = []image.Location{{URL: image.Secret(at.Reveal()), Metadata: map[string]string{"store": "main"}, Status: "active"}}
		return nil
	})
	must(w.t, err)
	w.leases.Drop(e.id)
	e.status, e.data, e.foreign = image.Active, data, true
}

// audit walks the registry, the store and the cache when all faults are over and
// the reaper has come by once.
func (w *world) audit() {
	w.t.Helper()
	w.disk.Fail(nil)
	w.f.heal()
	w.lapse()
	ctx, cancel := w.ctx()
	defer cancel()
	_, err := w.reaper.Pass(ctx)
	must(w.t, err)
	left, err := w.reg.Lapsed(ctx, 1000, registry.Reach{})
	must(w.t, err)
	if len(left) > 0 {
		w.t.Fatalf("the reaper left %d uploads, of them one %s", len(left), left[0].State)
	}
	w.auditRecords(ctx)
	w.auditStore(ctx)
	w.auditCache(ctx)
}

func (w *world) auditRecords(ctx context.Context) {
	w.t.Helper()
	for _, e := range w.entries {
		m, err := w.reg.Get(ctx, e.id)
		if e.status == image.Deleted {
			if image.KindOf(err) != image.NotFound {
				w.t.Fatalf("a deleted image is %s: %v", m.Status, err)
			}
			continue
		}
		must(w.t, err)
		if e.status == image.Saving {
			e.status = image.Queued
		}
		if m.Status != e.status {
			w.t.Fatalf("an image is %s and should be %s", m.Status, e.status)
		}
		leased, err := w.leases.Get(ctx, e.id)
		if err != nil || leased.Status != e.status {
			w.t.Fatalf("an image is leased as %s and should be %s: %v", leased.Status, e.status, err)
		}
		if e.readable() {
			w.read(e, 0, int64(len(e.data)), 0, -1)
			w.auditHashes(m, e)
		}
	}
}

func (w *world) auditHashes(m image.Image, e *entry) {
	w.t.Helper()
	sum := sha512.Sum512(e.data)
	if !e.foreign && (m.HashValue == nil || *m.HashValue != hex.EncodeToString(sum[:])) {
		w.t.Fatalf("the record has another hash than the bytes")
	}
}

// auditStore: an object for each location, a location for each object, and
// nothing half done.
func (w *world) auditStore(ctx context.Context) {
	w.t.Helper()
	want := 0
	for _, e := range w.entries {
		if !e.readable() {
			continue
		}
		m, err := w.reg.Get(ctx, e.id)
		must(w.t, err)
		for _, l := range m.Locations {
			want++
			info, err := w.store.Stat(ctx, backends.Locator(l.URL.Reveal()))
			if err != nil || info.Size != int64(len(e.data)) {
				w.t.Fatalf("object %s of an acknowledged image: %d bytes, %v", path.Base(l.URL.Reveal()), info.Size, err)
			}
		}
	}
	for at := range w.litter {
		if _, err := w.store.Stat(ctx, backends.Locator(at)); err == nil {
			want++
		}
	}
	if n := w.objects(); n != want {
		w.t.Fatalf("%d objects in the store, %d are named", n, want)
	}
	if n := w.halfDone(); n != 0 {
		w.t.Fatalf("%d half-done uploads in the store", n)
	}
}

// auditCache: no chunk under the name of an upload, once what is written and
// moved on disk behind the upload's back has been.
func (w *world) auditCache(ctx context.Context) {
	w.t.Helper()
	for w.cache.Stats().SlabsDirty > 0 && ctx.Err() == nil {
		runtime.Gosched()
	}
	for _, token := range w.f.attempts() {
		o := chunk.Object{Key: chunk.UploadKey(token), Size: 16 * w.o.Chunk}
		for w.known(o) {
			if ctx.Err() != nil {
				w.t.Fatalf("the disk still has chunks of an upload that is over")
			}
			runtime.Gosched()
		}
		for i := range 16 {
			ok, err := w.cache.Peek(ctx, o, i, func([]byte) error { return nil })
			if err != nil || ok {
				w.t.Fatalf("chunk %d of an upload that is over is still in the cache: %v", i, err)
			}
		}
	}
}

// known says whether the disk or the ledger has a chunk of the object.
func (w *world) known(o chunk.Object) bool {
	for _, digests := range w.cache.Digests(o.Key, 16) {
		for i := range digests.Chunks() {
			if _, _, known := digests.At(i); known {
				return true
			}
		}
	}
	return false
}
