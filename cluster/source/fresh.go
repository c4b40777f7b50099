package source

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ring"
)

const (
	freshKind = "uploaded" // of the rumour
	mostFresh = 256        // images that wait for their turn
	maxText   = 64         // bytes of an image's id
	// A record may be seen late by the database that this node asks.
	freshTries = 3
	freshWait  = time.Second
)

// FreshConfig is what Fresh is made of.
type FreshConfig struct {
	Router *Router
	Rumors cluster.Rumors
	// Object finds an image's bytes by this node's own registry.
	Object func(ctx context.Context, imageID string) (chunk.Object, error)
	// Resident says whether a chunk is here.
	Resident func(o chunk.Object, index int) bool
	// From is a level over Router.ToUploader.
	From chunk.Source
	Rate *rate.Limiter // of bytes, with a burst of a chunk at least; nil: no bound
	Most int64         // bytes that are fetched of one image; 0: no bound
	Log  *slog.Logger
}

// Fresh brings the chunks of what was uploaded elsewhere to this node, where it is
// home to them. It is told of uploads by rumours, and believes of them only that
// it is worth a look: what the bytes are, and who has them, it finds out itself.
type Fresh struct {
	c       FreshConfig
	waiting chan fresh
	stop    func()

	fetched, missed, dropped atomic.Int64
}

// fresh is what a rumour says.
type fresh struct {
	Image string `json:"image"`
}

// FreshCounts are the counters of Fresh since its start.
type FreshCounts struct {
	Bytes   int64 // that were brought here
	Missed  int64 // chunks that the uploader had not kept, or could not give
	Dropped int64 // uploads that were heard of while too many waited
}

// NewFresh listens to rumours. Close ends that, and Run does the work.
func NewFresh(c FreshConfig) *Fresh {
	if c.Rate == nil {
		c.Rate = rate.NewLimiter(rate.Inf, 0)
	}
	f := &Fresh{c: c, waiting: make(chan fresh, mostFresh)}
	f.stop = c.Rumors.Hear(f.hear)
	return f
}

// Close listens no more.
func (f *Fresh) Close() { f.stop() }

// Counts returns the counters as they are now.
func (f *Fresh) Counts() FreshCounts {
	return FreshCounts{f.fetched.Load(), f.missed.Load(), f.dropped.Load()}
}

// Tell tells the others that an image was uploaded through this node.
func (f *Fresh) Tell(imageID string) {
	b, err := json.Marshal(fresh{imageID})
	if err == nil {
		err = f.c.Rumors.Spread(cluster.Rumor{Kind: freshKind, Body: b})
	}
	if err != nil {
		f.c.Log.Info("the other nodes were not told of an upload: they fetch it when it is asked for", "image", imageID, "error", err)
	}
}

func (f *Fresh) hear(x cluster.Rumor) {
	if x.Kind != freshKind {
		return
	}
	var u fresh
	if json.Unmarshal(x.Body, &u) != nil || u.Image == "" || len(u.Image) > maxText {
		return
	}
	select {
	case f.waiting <- u:
	default:
		f.dropped.Add(1)
	}
}

// Run fetches one upload after another, until ctx ends. Several may run, so that a
// small one need not wait for a large one; they share the rate.
func (f *Fresh) Run(ctx context.Context) {
	for {
		select {
		case u := <-f.waiting:
			f.fetch(ctx, u)
		case <-ctx.Done():
			return
		}
	}
}

// fetch brings here what this node is home to.
func (f *Fresh) fetch(ctx context.Context, u fresh) {
	r := f.c.Router
	if r.c.Members.Self().Role != ring.Member {
		return
	}
	o, err := f.object(ctx, u.Image)
	if err != nil {
		f.c.Log.Debug("an upload that was told of is not there", "image", u.Image, "error", err)
		return
	}
	g := r.c.Geometry
	if o.MemoryOnly || len(r.uploader(ctx, o)) == 0 {
		return // it is not worth the room, this node has it, or that one is gone
	}
	sum, owns := int64(0), false
	for i := range g.Count(o.Size) {
		if ctx.Err() != nil || f.c.Most > 0 && sum >= f.c.Most {
			return
		}
		if i%g.Extent == 0 {
			owns = r.OwnsHome(o, g.ExtentOf(i))
		}
		if !owns || f.c.Resident(o, i) {
			continue
		}
		if err := f.c.Rate.WaitN(ctx, int(g.Len(i, o.Size))); err != nil {
			return
		}
		n, err := f.chunk(ctx, o, i)
		sum += n
		f.fetched.Add(n)
		if err != nil {
			f.missed.Add(1)
		}
		if errors.Is(err, cluster.ErrAway) {
			return
		}
	}
}

func (f *Fresh) object(ctx context.Context, imageID string) (o chunk.Object, err error) {
	for range freshTries {
		if o, err = f.c.Object(ctx, imageID); err == nil {
			return o, nil
		}
		select {
		case <-time.After(freshWait):
		case <-ctx.Done():
			return o, context.Cause(ctx)
		}
	}
	return o, err
}

// chunk fills one.
func (f *Fresh) chunk(ctx context.Context, o chunk.Object, index int) (n int64, err error) {
	g := f.c.Router.c.Geometry
	st, err := f.c.From.OpenRange(ctx, o, g.Off(index), g.Len(index, o.Size))
	if err != nil {
		return 0, err
	}
	defer st.Close()
	for {
		p, err := st.Next()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		n += int64(len(p.Data))
	}
}
