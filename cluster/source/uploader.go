package source

import (
	"context"
	"fmt"
	"time"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ring"
)

const (
	mostUploads = 4096             // objects whose uploader is remembered
	staleAfter  = 8                // asks in a row of which the uploader has nothing, until an upload is not fresh any more
	askAgain    = 10 * time.Second // after which the registry is asked anew for one that it did not know
)

// uploaded is who uploaded an object.
type uploaded struct {
	node   string    // "": nobody, as far as is known
	at     time.Time // when that was found out
	misses int       // how often it was asked since it had something last
}

// uploadedBy notes that a node has what was kept of an upload; "": none.
func (r *Router) uploadedBy(key chunk.Key, node string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.uploads.Add(key, uploaded{node: node, at: time.Now()})
}

// uploader returns the node through which an object came, if that is another one
// and is there. Where nothing is known of it yet the registry is asked, once.
func (r *Router) uploader(ctx context.Context, o chunk.Object) []ring.Node {
	r.mu.Lock()
	u, ok := r.uploads.Get(o.Key)
	r.mu.Unlock()
	if r.c.Uploader != nil && (!ok || u.node == "" && time.Since(u.at) > askAgain) {
		ctx, cancel := context.WithTimeout(ctx, r.c.LookFor)
		node, err := r.c.Uploader(ctx, o)
		cancel()
		if err != nil {
			node = ""
		}
		u.node = node
		r.uploadedBy(o.Key, node)
	}
	n, ok := r.c.Members.Ring().Node(u.node)
	if !ok || n.ID == r.c.Members.Self().ID {
		return nil
	}
	return []ring.Node{n}
}

// gave notes that a node had what was looked for; "": none had it.
func (r *Router) gave(key chunk.Key, node string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u, ok := r.uploads.Get(key)
	switch {
	case !ok || u.node == "":
		return
	case node == u.node:
		u.misses = 0
	case node == "":
		u.misses = min(u.misses+1, staleAfter)
	}
	r.uploads.Add(key, u)
}

// isFresh says whether the uploader of an object may still have what is not here.
func (r *Router) isFresh(key chunk.Key) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	u, ok := r.uploads.Peek(key)
	return ok && u.node != "" && u.misses < staleAfter
}

// ToUploader is what whoever uploaded an object has of it, and nothing else.
func (r *Router) ToUploader() chunk.Source { return toUploader{r} }

type toUploader struct{ r *Router }

func (t toUploader) OpenRange(ctx context.Context, o chunk.Object, off, n int64) (chunk.Stream, error) {
	nodes := t.r.uploader(ctx, o)
	if len(nodes) == 0 {
		return nil, fmt.Errorf("nobody is known to have uploaded it: %w", chunk.ErrUnavailable)
	}
	st, err := t.r.c.Peers.OpenRange(ctx, nodes[0], t.r.ask(o, cluster.Home, true), off, n)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", chunk.ErrUnavailable, err) // which another try would not mend
	}
	return given{st, nodes[0]}, nil
}
