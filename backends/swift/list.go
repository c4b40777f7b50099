package swift

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"glimpse/backends"
)

// entry is an object in a listing, or a container.
type entry struct {
	Name     string `json:"name"`
	Modified string `json:"last_modified"`
	Hash     string `json:"hash"`
	Bytes    int64  `json:"bytes"`
}

func (e entry) time() time.Time {
	t, _ := time.Parse("2006-01-02T15:04:05", strings.TrimSuffix(e.Modified, "Z")) // parses fractions too
	return t
}

const (
	pageEntries = 1000
	pageBytes   = 4 << 20 // a name has 1 kB at most
	maxManifest = 16 << 20
)

// list calls fn with each page of a container's objects, in the order of their
// names; of an account's containers where p has none.
func (s *Store) list(ctx context.Context, p place, prefix string, fn func([]entry) error) error {
	marker := ""
	for {
		q := url.Values{"format": {"json"}, "limit": {strconv.Itoa(pageEntries)}, "prefix": {prefix}, "marker": {marker}}
		var page []entry
		if err := s.fetch(ctx, p, call{method: http.MethodGet, container: p.container, query: q}, pageBytes, &page); err != nil {
			return err
		}
		if len(page) == 0 {
			return nil
		}
		if last := page[len(page)-1].Name; last > marker {
			marker = last
		} else {
			return errors.New("swift: a listing does not go on")
		}
		if err := fn(page); err != nil {
			return err
		}
	}
}

// fetch reads an answer in JSON of limited length.
func (s *Store) fetch(ctx context.Context, p place, c call, limit int64, to any) error {
	ctx, cancel := s.limited(ctx)
	defer cancel()
	resp, err := s.send(ctx, p, c)
	if err != nil {
		return err
	}
	defer discard(resp)
	switch {
	case resp.StatusCode == http.StatusNoContent:
		return nil
	case resp.StatusCode != http.StatusOK:
		return statusError(resp)
	}
	return decode(ctx, resp, limit, to)
}

// decode reads a body in JSON of limited length.
func decode(ctx context.Context, resp *http.Response, limit int64, to any) error {
	b, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return translate(ctx, err)
	}
	if int64(len(b)) > limit {
		return errors.New("swift: an answer is longer than any should be")
	}
	if json.Unmarshal(b, to) != nil {
		return errors.New("swift: an answer is unreadable")
	}
	return nil
}

// static reads the segments of a static large object.
func (s *Store) static(ctx context.Context, p place) (names []segment, err error) {
	var all []struct {
		Name string `json:"name"`
		Sub  bool   `json:"sub_slo"`
	}
	c := call{method: http.MethodGet, container: p.container, object: p.object, query: url.Values{"multipart-manifest": {"get"}}}
	if err := s.fetch(ctx, p, c, maxManifest, &all); err != nil {
		return nil, err
	}
	for _, n := range all {
		container, object, ok := strings.Cut(strings.TrimPrefix(n.Name, "/"), "/")
		if !ok || n.Sub {
			return nil, fmt.Errorf("swift: the manifest is one that this version does not delete: %w", errors.ErrUnsupported)
		}
		names = append(names, segment{container, object})
	}
	return names, nil
}

// Pending lists uploads that have their marker still, or segments without their
// object.
func (s *Store) Pending(ctx context.Context, fn func(backends.Locator, time.Time) error) error {
	return s.containers(ctx, func(p place) error {
		var o orphans
		err := s.list(ctx, p, "", func(page []entry) error {
			for _, e := range page {
				if err := o.next(e, func(u upload, at time.Time) error { return fn(s.locator(p, u.key), at) }); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil {
			err = o.end(func(u upload, at time.Time) error { return fn(s.locator(p, u.key), at) })
		}
		if errors.Is(err, backends.ErrNotFound) {
			err = nil // no container, no uploads
		}
		return err
	})
}

// containers calls fn with those that the store writes to.
func (s *Store) containers(ctx context.Context, fn func(place) error) error {
	p := place{account: s.own()}
	if err := s.tenantsOwn(ctx, &p); err != nil {
		return err
	}
	if s.c.Seed == 0 && !s.c.MultiTenant {
		p.container = s.c.Container
		return fn(p)
	}
	prefix := s.c.Container + "_"
	return s.list(ctx, p, prefix, func(page []entry) error {
		for _, e := range page {
			digits := strings.ReplaceAll(strings.TrimPrefix(e.Name, prefix), "-", "")
			if len(digits) > s.c.Seed && !s.c.MultiTenant {
				continue
			}
			p.container = e.Name
			if err := fn(p); err != nil {
				return err
			}
		}
		return nil
	})
}

// orphans finds uploads that are under way or left, in a listing in order: an
// object comes before its segments, and a segment before the marker.
type orphans struct {
	objects []string // those that the current name begins with
	current upload
	at      time.Time
	marked  bool
	owned   bool
}

func (o *orphans) next(e entry, fn func(upload, time.Time) error) error {
	for len(o.objects) > 0 && !strings.HasPrefix(e.Name, o.objects[len(o.objects)-1]) {
		o.objects = o.objects[:len(o.objects)-1]
	}
	u, marker, ok := uploadOf(e.Name)
	if !ok {
		o.objects = append(o.objects, e.Name)
		return o.end(fn)
	}
	if u != o.current {
		if err := o.end(fn); err != nil {
			return err
		}
		o.current = u
		for _, name := range o.objects {
			o.owned = o.owned || name == u.key
		}
	}
	o.marked = o.marked || marker
	if t := e.time(); t.After(o.at) {
		o.at = t
	}
	return nil
}

// end tells of the upload whose names have all been seen.
func (o *orphans) end(fn func(upload, time.Time) error) error {
	u, at, found := o.current, o.at, o.current.key != "" && (o.marked || !o.owned)
	o.current, o.at, o.marked, o.owned = upload{}, time.Time{}, false, false
	if !found {
		return nil
	}
	return fn(u, at)
}

// Abort takes the marker first: an upload without it can't be committed any more.
func (s *Store) Abort(ctx context.Context, at backends.Locator) error {
	p, err := s.find(at)
	if err != nil {
		return err
	}
	uploads := map[upload]bool{} // with a marker?
	err = s.list(ctx, p, p.object+uploadMark, func(page []entry) error {
		for _, e := range page {
			if u, marker, ok := uploadOf(e.Name); ok && u.key == p.object {
				uploads[u] = uploads[u] || marker
			}
		}
		return nil
	})
	if errors.Is(err, backends.ErrNotFound) {
		return nil
	}
	for u, marked := range uploads {
		err = errors.Join(err, s.abort(ctx, p, u, marked))
	}
	if err != nil || len(uploads) == 0 {
		return err
	}
	return s.dropContainer(ctx, p)
}

func (s *Store) abort(ctx context.Context, p place, u upload, marked bool) error {
	if marked {
		_, err := s.ask(ctx, p, call{method: http.MethodDelete, container: p.container, object: u.marker()})
		if err != nil && !errors.Is(err, backends.ErrNotFound) {
			return err
		}
		if err == nil { // ours to end, whatever its writer has placed
			if err := s.unplace(ctx, p, u); err != nil {
				return err
			}
		}
	}
	h, err := s.ask(ctx, p, call{method: http.MethodHead, container: p.container, object: p.object})
	switch {
	case err == nil && h.Get(metaUpload) == u.id:
		return nil // committed
	case err != nil && !errors.Is(err, backends.ErrNotFound):
		return err
	}
	return s.removeUnder(ctx, p, u.prefix())
}
