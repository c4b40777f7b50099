package swift

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"time"

	"glimpse/backends"
)

// Create prepares an object.
func (s *Store) Create(ctx context.Context, key string, size int64) (backends.Writer, error) {
	p, err := s.at(ctx, key)
	if err != nil {
		return nil, err
	}
	return s.create(ctx, p, size)
}

func (s *Store) create(ctx context.Context, p place, size int64) (backends.Writer, error) {
	if !named(p.object) {
		return nil, errors.New("swift: the key is not a name")
	}
	return &writer{s: s, ctx: ctx, p: p, up: upload{p.object, newUpload()}, size: size}, nil
}

// writer sends segments under names of its own.
type writer struct {
	s    *Store
	ctx  context.Context
	p    place
	up   upload
	size int64 // -1: unknown

	gather   backends.Gather
	begun    bool // the marker may be there
	ready    bool // the marker is there
	last     bool // a part was short
	segments int  // that may be there
	written  int64
	small    []byte // all of an object that is not cut
	placed   bool   // the object may be there
	err      error
	done     bool
}

func (w *writer) Locator() backends.Locator { return w.s.locator(w.p, w.up.key) }

// each is how many segments there are of one size. Listings show 10,000 objects,
// and a server tells the size of what is in one listing only: a size of 64 MiB
// reaches 20 TiB.
const each = 1000

// PartSize doubles after each thousand segments.
func (w *writer) PartSize() int64 { return min(w.s.c.PartSize<<min(w.segments/each, 32), maxPart) }

func (w *writer) Write(p []byte) (int, error) {
	if err := w.begin(w.ctx); err != nil {
		return 0, err
	}
	if w.size >= 0 && w.written+int64(len(p)) > w.size {
		return 0, w.tooLong()
	}
	return w.gather.Write(w, p)
}

func (w *writer) tooLong() error {
	return fmt.Errorf("swift: more than the %d bytes announced", w.size)
}

// begin makes the marker, and the container where that is wanted.
func (w *writer) begin(ctx context.Context) error {
	if w.ready || w.err != nil {
		return w.err
	}
	if w.done {
		return errEnded
	}
	w.begun = true
	err := w.mark(ctx)
	if err == nil {
		_, _, err = w.s.head(ctx, w.p)
		switch {
		case err == nil:
			err = fmt.Errorf("swift: %w", backends.ErrExists)
		case errors.Is(err, backends.ErrNotFound):
			err = nil
		}
	}
	w.ready, w.err = err == nil, err
	return err
}

func (w *writer) mark(ctx context.Context) error {
	c := call{method: http.MethodPut, container: w.p.container, object: w.up.marker()}
	_, err := w.s.again(ctx, w.p, c)
	if errors.Is(err, backends.ErrNotFound) {
		if !w.s.c.CreateContainer {
			return fmt.Errorf("swift: container %s does not exist; create_container_on_put can have it made", w.p.container)
		}
		room := call{method: http.MethodPut, container: w.p.container}
		if w.s.c.MultiTenant {
			room.header = map[string]string{headerWrite: acl(w.s.c.AdminTenants)}
		}
		if _, err = w.s.again(ctx, w.p, room); err == nil {
			_, err = w.s.again(ctx, w.p, c)
		}
	}
	if err != nil {
		return err
	}
	return w.s.heeds(ctx, w.p, c)
}

// heeds sees once that a server of which NoReplace is claimed refuses to replace:
// the object of c is there.
func (s *Store) heeds(ctx context.Context, p place, c call) error {
	s.mu.Lock()
	known := !s.c.NoReplace || s.mu.checked
	s.mu.Unlock()
	if known {
		return nil
	}
	c.header = map[string]string{"If-None-Match": "*"}
	_, err := s.again(ctx, p, c)
	if err == nil {
		return errors.New("swift: this server replaces objects in spite of If-None-Match: conditional_put must be false")
	}
	if !errors.Is(err, backends.ErrChanged) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.checked = true
	return nil
}

// WritePart sends a segment, again from its start where the server was away.
func (w *writer) WritePart(bufs ...[]byte) error {
	if err := w.begin(w.ctx); err != nil {
		return err
	}
	if err := w.part(bufs); err != nil {
		w.err = err
	}
	return w.err
}

func (w *writer) part(bufs [][]byte) error {
	n := int64(0)
	for _, b := range bufs {
		n += int64(len(b))
	}
	switch {
	case n == 0:
		return nil
	case w.last:
		return errors.New("swift: a part after the last one")
	case n > w.PartSize():
		return errors.New("swift: a part longer than PartSize")
	case w.size >= 0 && w.written+n > w.size:
		return w.tooLong()
	}
	w.last = n < w.PartSize()
	if w.last && w.segments == 0 && n < w.s.c.Small {
		w.written = n
		for _, b := range bufs {
			w.small = append(w.small, b...)
		}
		return nil
	}
	w.segments++
	h := map[string]string{"ETag": sum(bufs), "Content-Type": "application/octet-stream"}
	_, err := w.s.again(w.ctx, w.p, call{method: http.MethodPut, container: w.p.container, object: w.up.segment(w.segments), header: h, body: bufs})
	if err != nil {
		return err
	}
	w.written += n
	return nil
}

func sum(bufs [][]byte) string {
	h := md5.New()
	for _, b := range bufs {
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil))
}

var errEnded = errors.New("swift: the upload was ended")

// Commit makes the object, then takes the marker away: who finds it gone has lost
// against an Abort.
func (w *writer) Commit(ctx context.Context) (backends.Locator, error) {
	if w.done {
		return "", errEnded
	}
	err := w.begin(ctx)
	if err == nil {
		err = w.gather.Flush(w)
	}
	if err == nil {
		w.err = w.commit(ctx)
		err = w.err
	}
	if err != nil {
		return "", err
	}
	w.done = true
	return w.Locator(), nil
}

func (w *writer) commit(ctx context.Context) error {
	if w.size >= 0 && w.written != w.size {
		return fmt.Errorf("swift: %d bytes written, %d announced", w.written, w.size)
	}
	if err := w.put(ctx); err != nil {
		return err
	}
	if err := w.seen(ctx); err != nil {
		return err
	}
	_, err := w.s.again(ctx, w.p, call{method: http.MethodDelete, container: w.p.container, object: w.up.marker()})
	if errors.Is(err, backends.ErrNotFound) {
		return errEnded
	}
	return err
}

// put makes the object: of its bytes, or of its segments.
func (w *writer) put(ctx context.Context) error {
	c := call{method: http.MethodPut, container: w.p.container, object: w.up.key, header: map[string]string{
		"If-None-Match": "*", "Content-Type": "application/octet-stream",
		metaUpload: w.up.id, metaSize: strconv.FormatInt(w.written, 10),
	}}
	if w.segments > 0 {
		c.header[headerDLO] = quotePath(w.p.container) + "/" + quotePath(w.up.prefix())
	} else {
		c.body = [][]byte{w.small}
		c.header["ETag"] = sum(c.body)
	}
	if !w.s.c.NoReplace { // the best that can be done
		switch _, _, err := w.s.head(ctx, w.p); {
		case err == nil:
			return fmt.Errorf("swift: %w", backends.ErrExists)
		case !errors.Is(err, backends.ErrNotFound):
			return err
		}
	}
	w.placed = true
	_, err := w.s.again(ctx, w.p, c)
	if !errors.Is(err, backends.ErrChanged) {
		return err
	}
	if h, _, herr := w.s.head(ctx, w.p); herr == nil && h.Get(metaUpload) == w.up.id {
		return nil // an earlier try had done it although it seemed to fail
	}
	w.placed = false
	return fmt.Errorf("swift: %w", backends.ErrExists)
}

// seen waits until the server sees the object whole, and that it is this
// upload's.
func (w *writer) seen(ctx context.Context) error {
	for try := 0; ; try++ {
		h, _, err := w.s.head(ctx, w.p)
		if err == nil && h.Get(metaUpload) != w.up.id {
			w.placed = false
			return fmt.Errorf("swift: %w", backends.ErrExists)
		}
		if err == nil || !errors.Is(err, backends.ErrUnavailable) || try > w.s.c.Tries {
			return err
		}
		select {
		case <-time.After(200 * time.Millisecond << min(try, 5)):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// cancelTime bounds a Cancel, whose writer's context may be over.
const cancelTime = time.Minute

// Cancel takes away the object where it was placed and not confirmed, the
// segments, and the marker last.
func (w *writer) Cancel() error {
	if w.done {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), cancelTime)
	defer cancel()
	if w.placed {
		if err := w.s.unplace(ctx, w.p, w.up); err != nil {
			return err
		}
	}
	names := map[string]bool{}
	for n := range w.segments {
		names[w.up.segment(n+1)] = true
	}
	err := w.s.remove(ctx, w.p, maps.Keys(names))
	if err == nil && w.begun {
		if err = w.s.removeOne(ctx, w.p, w.up.marker()); err == nil {
			err = w.s.dropContainer(ctx, w.p)
		}
	}
	if err == nil {
		w.done, w.small, w.gather = true, nil, backends.Gather{}
	}
	return err
}
