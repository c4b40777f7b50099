package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"glimpse/registry/image"
)

// Bounds of one pass of the reaper.
const (
	reapBatch   = 100            // attempts asked for at once
	reapMost    = 1000           // attempts looked at
	reapFailing = 3              // failures after which a store is left alone
	deleteTime  = time.Minute    // for the bytes of one attempt
	nodeAge     = 24 * time.Hour // after which a dead node's row goes
)

// Deleter removes bytes from a store; bytes that aren't there are no error. Its
// errors name no location.
type Deleter interface {
	DeleteLocator(ctx context.Context, store string, at image.Secret) error
}

// Reaper ends uploads whose node died, and removes the bytes of those that came
// to nothing. It may run on several nodes: each step may be repeated.
type Reaper struct {
	Uploads Uploads
	Deleter Deleter
	// Reach are the attempts whose bytes it removes; those of others, which it ends as
	// well, it leaves to other nodes.
	Reach Reach
	Nodes Nodes // whose rows are purged a day after their last beat; nil: none
	Log   *slog.Logger
}

// Pass looks at each lapsed upload. What fails is left for the next pass and is
// part of the error; it doesn't keep the pass from the others.
func (r *Reaper) Pass(ctx context.Context) (Report, error) {
	p := reapPass{Reaper: r, seen: map[string]bool{}, failing: map[string]int{}}
	purgeErr := p.purge(ctx)
	for len(p.seen) < reapMost {
		// Those that stay are listed again, ahead of the others.
		ups, err := r.Uploads.Lapsed(ctx, min(p.report.Kept+reapBatch, reapMost), r.Reach)
		if err != nil {
			return p.report, fmt.Errorf("reaper: %w", errors.Join(purgeErr, p.err, err))
		}
		if !p.all(ctx, ups) || ctx.Err() != nil {
			break
		}
	}
	if err := errors.Join(purgeErr, p.err, ctx.Err()); err != nil {
		return p.report, fmt.Errorf("reaper: %w", err)
	}
	return p.report, nil
}

type reapPass struct {
	*Reaper
	report  Report
	seen    map[string]bool // tokens
	failing map[string]int  // failures by store
	err     error           // the last one of each kind of work is enough
}

// purge removes the rows of nodes that are long gone.
func (p *reapPass) purge(ctx context.Context) error {
	if p.Nodes == nil {
		return nil
	}
	gone, err := p.Nodes.Purge(ctx, nodeAge)
	p.report.Seen += gone
	p.report.Done += gone
	return err
}

// all returns whether any attempt was new to this pass.
func (p *reapPass) all(ctx context.Context, ups []Upload) (fresh bool) {
	for _, up := range ups {
		if p.seen[up.Token] {
			continue
		}
		if ctx.Err() != nil {
			return false
		}
		fresh = true
		p.seen[up.Token] = true
		p.report.Seen++
		if p.one(ctx, up) {
			p.report.Done++
		} else {
			p.report.Kept++
		}
	}
	return fresh
}

// one returns whether nothing is left of the attempt.
func (p *reapPass) one(ctx context.Context, up Upload) bool {
	deletable, err := p.Uploads.Reap(ctx, up.Token)
	if err == nil && (!deletable || !p.Reach.Has(up)) {
		return false
	}
	if err == nil && p.failing[up.Store] >= reapFailing {
		return false
	}
	if err == nil {
		if err = p.remove(ctx, up); err != nil {
			p.failing[up.Store]++
		}
	}
	if err == nil {
		err = p.Uploads.Fail(ctx, up.Token, true)
	}
	if err != nil {
		p.err = fmt.Errorf("image %s, store %s: %w", up.ImageID, up.Store, err)
		return false
	}
	p.Log.InfoContext(ctx, "an upload that came to nothing is gone", "image", up.ImageID, "store", up.Store, "node", up.Node, "state", string(up.State))
	return true
}

func (p *reapPass) remove(ctx context.Context, up Upload) error {
	if up.Locator == "" {
		return nil // no byte was ever written
	}
	ctx, cancel := context.WithTimeout(ctx, deleteTime)
	defer cancel()
	return p.Deleter.DeleteLocator(ctx, up.Store, up.Locator)
}
