package ops

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"glimpse/backends"
	"glimpse/registry"
	"glimpse/registry/image"
)

// SweepIdle is how long nothing was written to half-done work before Sweep ends
// it. The slowest client that is served needs most of a day for one part of an
// upload.
const SweepIdle = 24 * time.Hour

// Bounds of one sweep of a store.
const (
	sweepTime = 10 * time.Minute
	sweepMost = 1000
)

// Sweep ends the half-done work in the stores that no attempt answers for: its row
// is gone with the image.
// Only keys that end in a token of ours are looked at: what a Glance writes to the
// same store, and a first upload under the bare id of its image, are never
// touched. What has an attempt is the reaper's. Should the writer live all the
// same, it can't commit any more: what is committed is never touched.
func (s *Service) Sweep(ctx context.Context, idle time.Duration) (registry.Report, error) {
	var r registry.Report
	var errs []error
	for i := range s.cfg.Stores {
		st := &s.cfg.Stores[i]
		if st.ReadOnly || !st.Backend.Caps().Pending {
			continue
		}
		if err := s.sweepStore(ctx, st, idle, &r); err != nil {
			errs = append(errs, fmt.Errorf("store %s: %w", st.ID, err))
		}
	}
	return r, errors.Join(errs...)
}

func (s *Service) sweepStore(ctx context.Context, st *Store, idle time.Duration, r *registry.Report) error {
	ctx, cancel := context.WithTimeout(ctx, sweepTime)
	defer cancel()
	found := map[backends.Locator]time.Time{} // the last write of any writer
	// All are listed before the first goes.
	err := st.Backend.Pending(ctx, func(at backends.Locator, written time.Time) error {
		if _, _, ours := tokenKey(at); ours && (len(found) < sweepMost || !found[at].IsZero()) && written.After(found[at]) {
			found[at] = written
		}
		return nil
	})
	for at, written := range found {
		if ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		r.Seen++
		ended, serr := s.sweepOne(ctx, st, at, time.Since(written) >= idle)
		if ended {
			r.Done++
		} else {
			r.Kept++
		}
		err = errors.Join(err, serr)
	}
	return err
}

func (s *Service) sweepOne(ctx context.Context, st *Store, at backends.Locator, old bool) (ended bool, err error) {
	id, token, _ := tokenKey(at)
	if !old {
		return false, nil
	}
	if wanted, err := s.wanted(ctx, id, token, at); err != nil || wanted {
		return false, err
	}
	if err := st.Backend.Abort(ctx, at); err != nil {
		return false, err
	}
	s.cfg.Log.InfoContext(ctx, "half-done work that nobody goes on with is gone", "image", id, "store", st.ID)
	return true, nil
}

// wanted says whether an attempt or a location answers for what is half done. The
// image's own locations are compared by the key alone: the credentials in a
// locator may have changed since.
func (s *Service) wanted(ctx context.Context, id, token string, at backends.Locator) (bool, error) {
	if is, err := s.cfg.Registry.Attempted(ctx, token); err != nil || is {
		return is, err
	}
	if is, err := s.cfg.Registry.Named(ctx, image.Secret(at.Reveal())); err != nil || is {
		return is, err
	}
	m, err := s.cfg.Registry.Get(ctx, id)
	if image.KindOf(err) == image.NotFound {
		return false, nil
	}
	for _, l := range m.Locations {
		if strings.Contains(l.URL.Reveal(), id+"-"+token) {
			return true, nil
		}
	}
	return false, err
}

// keyWithToken is the key of every attempt but the first upload of an image. No
// Glance gives such a name.
var keyWithToken = regexp.MustCompile(`^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-([0-9a-f]{32})$`)

// tokenKey reads the image and the token in a locator. Not every one is a URL to
// the letter: in Glance's for S3 the secret is written as it is.
func tokenKey(at backends.Locator) (imageID, token string, ok bool) {
	for part := range strings.SplitSeq(at.Reveal(), "/") {
		if m := keyWithToken.FindStringSubmatch(part); m != nil {
			return m[1], m[2], true
		}
	}
	return "", "", false
}
