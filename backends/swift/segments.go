package swift

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"

	"glimpse/backends"
	"glimpse/backends/httpread"
)

// A server makes each answer of a dynamic large object out of a listing, which costs
// it more than the bytes do: so ranges are read from the segments.

// layout is what a dynamic large object of one validator is made of.
type layout struct {
	manifest  string // the object's own state; it changes with each PUT
	container string
	pieces    []piece
}

// piece is a segment.
type piece struct {
	name      string
	validator string
	off, size int64 // in the object
}

// has says whether a range is laid out.
func (l *layout) has(off, n int64) bool {
	if l == nil || len(l.pieces) == 0 || n <= 0 {
		return false
	}
	last := l.pieces[len(l.pieces)-1]
	return off+n <= last.off+last.size
}

// version is a place's object of a validator.
type version struct {
	place
	validator string
}

const (
	maxLayouts  = 64 // are remembered
	maxSegments = 10_000
)

// layout returns what is known of a version.
func (s *Store) layout(v version) *layout {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.layouts[v]
}

// learn finds the segments of a version whose answer had the header h. One whose
// segments do not give the validator is read as the server makes it: that is the
// empty layout.
func (s *Store) learn(ctx context.Context, v version, h http.Header) {
	if h.Get(headerDLO) == "" || v.validator == "" || !s.c.NoReplace {
		return
	}
	s.mu.Lock()
	_, known := s.mu.layouts[v]
	if !known {
		if len(s.mu.layouts) >= maxLayouts {
			clear(s.mu.layouts)
		}
		s.mu.layouts[v] = &layout{} // others do not look too
	}
	s.mu.Unlock()
	if known {
		return
	}
	l, err := s.segments(ctx, v)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		delete(s.mu.layouts, v) // it is tried again
		return
	}
	s.mu.layouts[v] = l
}

// forget has a version read as the server makes it.
func (s *Store) forget(v version) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.layouts[v] = &layout{}
}

// segments lists those of a version.
func (s *Store) segments(ctx context.Context, v version) (*layout, error) {
	state, manifest, err := s.manifest(ctx, v.place)
	if err != nil || manifest == "" {
		return &layout{}, err
	}
	container, prefix, ok := strings.Cut(manifest, "/")
	container, cerr := url.PathUnescape(container)
	prefix, perr := url.PathUnescape(prefix)
	if !ok || cerr != nil || perr != nil {
		return &layout{}, nil
	}
	l := &layout{manifest: state, container: container}
	at, end, hash := v.place, int64(0), md5.New()
	at.container = container
	err = s.list(ctx, at, prefix, func(page []entry) error {
		if len(l.pieces)+len(page) > maxSegments {
			return errTooMany
		}
		for _, e := range page {
			l.pieces = append(l.pieces, piece{e.Name, fmt.Sprintf("e%s %d", e.Hash, e.Bytes), end, e.Bytes})
			end += e.Bytes
			_, _ = io.WriteString(hash, e.Hash)
		}
		return nil
	})
	if errors.Is(err, errTooMany) {
		return &layout{}, nil
	}
	if fmt.Sprintf("e%s %d", hex.EncodeToString(hash.Sum(nil)), end) != v.validator {
		return &layout{}, err
	}
	return l, err
}

var errTooMany = errors.New("swift: more segments than a server lists")

// manifest asks for the object itself: its state, and where its segments are, "" for
// one that is no dynamic large object.
func (s *Store) manifest(ctx context.Context, p place) (state, segments string, err error) {
	// Not by HEAD, to which Swift's answer may have a body; this one has none.
	h, err := s.ask(ctx, p, call{method: http.MethodGet, container: p.container, object: p.object, query: url.Values{"multipart-manifest": {"get"}}})
	if err != nil {
		return "", "", s.which(ctx, p, err)
	}
	if n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64); err != nil || n != 0 {
		return "", "", nil
	}
	return strings.Join([]string{h.Get("X-Timestamp"), h.Get("ETag"), h.Get(headerDLO)}, " "), h.Get(headerDLO), nil
}

// openSegments reads a range of what is laid out. Each segment's answer is compared
// with the listing, and the object is looked at once more before the last bytes.
func (s *Store) openSegments(ctx context.Context, v version, l *layout, off, n int64) (io.ReadCloser, error) {
	i := sort.Search(len(l.pieces), func(i int) bool { return l.pieces[i].off+l.pieces[i].size > off })
	p := v.place
	p.container = l.container
	r := &segmentReader{ctx: ctx, s: s, p: p, pieces: l.pieces[i:], off: off, end: off + n}
	if err := r.next(); err != nil {
		return nil, err
	}
	return httpread.Check("swift", r, n, func() error {
		state, _, err := s.manifest(ctx, v.place)
		if err == nil && state != l.manifest {
			err = fmt.Errorf("swift: %w", backends.ErrChanged)
		}
		return err
	}), nil
}

// segmentReader reads one segment after another.
type segmentReader struct {
	ctx      context.Context
	s        *Store
	p        place
	pieces   []piece // that are still to be begun
	off, end int64
	body     io.ReadCloser
}

// next begins the next segment; io.EOF where none is left or wanted.
func (r *segmentReader) next() error {
	if r.body != nil {
		r.body.Close()
		r.body = nil
	}
	for len(r.pieces) > 0 && r.pieces[0].size == 0 {
		r.pieces = r.pieces[1:]
	}
	if len(r.pieces) == 0 || r.off == r.end {
		return io.EOF
	}
	seg := r.pieces[0]
	r.pieces = r.pieces[1:]
	r.p.object = seg.name
	from, n := r.off-seg.off, min(r.end, seg.off+seg.size)-r.off
	body, _, _, err := r.s.get(r.ctx, r.p, seg.validator, from, n)
	if err != nil {
		return err
	}
	r.body, r.off = httpread.Check("swift", body, n, func() error { return nil }), r.off+n
	return nil
}

func (r *segmentReader) Read(p []byte) (int, error) {
	for {
		if r.body == nil {
			return 0, io.ErrUnexpectedEOF // it failed before
		}
		n, err := r.body.Read(p)
		if !errors.Is(err, io.EOF) {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
		if err := r.next(); err != nil {
			if errors.Is(err, backends.ErrNotFound) {
				err = fmt.Errorf("swift: a segment is gone: %w", backends.ErrChanged)
			}
			return 0, err
		}
	}
}

func (r *segmentReader) Close() error {
	if r.body == nil {
		return nil
	}
	return r.body.Close()
}
