package swift

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"

	"glimpse/backends"

	"golang.org/x/sync/errgroup"
)

// removers is how many objects are removed at once.
const removers = 8

// quotePath is how X-Object-Manifest holds names.
func quotePath(s string) string { return url.PathEscape(s) }

func (s *Store) removeOne(ctx context.Context, p place, name string) error {
	_, err := s.again(ctx, p, call{method: http.MethodDelete, container: p.container, object: name})
	if errors.Is(err, backends.ErrNotFound) {
		return nil
	}
	return err
}

// remove removes objects of p's container; what is not there is no error. It goes
// on after a failure and reports the first.
func (s *Store) remove(ctx context.Context, p place, names iter.Seq[string]) error {
	var g errgroup.Group
	g.SetLimit(removers)
	for name := range names {
		g.Go(func() error { return s.removeOne(ctx, p, name) })
	}
	return g.Wait()
}

// unplace removes the object of a key if it is the upload's.
func (s *Store) unplace(ctx context.Context, p place, u upload) error {
	p.object = u.key
	h, err := s.ask(ctx, p, call{method: http.MethodHead, container: p.container, object: p.object})
	if errors.Is(err, backends.ErrNotFound) {
		return nil
	}
	if err != nil || h.Get(metaUpload) != u.id {
		return err
	}
	return s.removeOne(ctx, p, p.object)
}

// Delete removes the object and then its segments. One that stays is reported,
// and not as something to try again: the object itself is gone.
func (s *Store) Delete(ctx context.Context, at backends.Locator) error {
	p, err := s.find(at)
	if err != nil {
		return err
	}
	h, err := s.ask(ctx, p, call{method: http.MethodHead, container: p.container, object: p.object})
	if err != nil {
		return s.which(ctx, p, err)
	}
	var names []segment
	if h.Get(headerSLO) != "" {
		if names, err = s.static(ctx, p); err != nil {
			return err
		}
	}
	if _, err := s.ask(ctx, p, call{method: http.MethodDelete, container: p.container, object: p.object}); err != nil {
		return err
	}
	if err := s.deleteSegments(ctx, p, h.Get(headerDLO), names); err != nil {
		return fmt.Errorf("swift: the object is deleted, segments of it are left: %v", err) //nolint:errorlint // not to be tried again
	}
	return s.dropContainer(ctx, p)
}

// segment is one of a static large object.
type segment struct{ container, object string }

func (s *Store) deleteSegments(ctx context.Context, p place, manifest string, static []segment) error {
	var g errgroup.Group
	g.SetLimit(removers)
	for _, n := range static {
		g.Go(func() error {
			q := p
			q.container = n.container
			return s.removeOne(ctx, q, n.object)
		})
	}
	err := g.Wait()
	if manifest == "" {
		return err
	}
	container, prefix, err := splitManifest(manifest, p.object)
	if err != nil {
		return err
	}
	p.container = container
	return s.removeUnder(ctx, p, prefix)
}

// splitManifest reads where a dynamic large object has its segments. A prefix
// that does not begin with the object's own name may be that of other objects.
func splitManifest(manifest, object string) (container, prefix string, err error) {
	container, prefix, ok := strings.Cut(manifest, "/")
	container, cerr := url.PathUnescape(container)
	prefix, perr := url.PathUnescape(prefix)
	if !ok || cerr != nil || perr != nil || container == "" {
		return "", "", errors.New("the manifest is unreadable")
	}
	if rest, ok := strings.CutPrefix(prefix, object); !ok || rest == "" || rest[0] != '-' && rest[0] != '/' {
		return "", "", errors.New("the manifest names objects that may be others'")
	}
	return container, prefix, nil
}

// removeUnder removes the objects that are the prefix and a number.
func (s *Store) removeUnder(ctx context.Context, p place, prefix string) error {
	var failed error
	err := s.list(ctx, p, prefix, func(page []entry) error {
		err := s.remove(ctx, p, func(yield func(string) bool) {
			for _, e := range page {
				if number(strings.TrimPrefix(e.Name, prefix)) && !yield(e.Name) {
					return
				}
			}
		})
		if failed == nil {
			failed = err
		}
		return ctx.Err()
	})
	return errors.Join(failed, err)
}
