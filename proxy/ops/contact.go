package ops

import (
	"context"
	"errors"
	"sync"

	"glimpse/backends"
	"glimpse/cachestore/chunk"
	"glimpse/registry"
	"glimpse/registry/image"

	"golang.org/x/sync/singleflight"
)

// Steward makes the first contact with an object's origin through another node. Of
// the object the Ref is known, and the zone. ok is false where this node is the
// one to make it. A size and validator that it returns are pinned.
type Steward func(ctx context.Context, o chunk.Object) (found chunk.Object, ok bool, err error)

// contact finds what is to be pinned of a location that nobody has read yet, by
// the node whose task that is. seen says which one may.
func (s *Service) contact(ctx context.Context, m image.Image, l image.Location, st *Store, b backends.Store, seen chunk.Object) (registry.Pin, error) {
	if s.cfg.Steward == nil {
		return s.contactHere(ctx, m.ID, l, st, b)
	}
	return s.together(ctx, "by the steward: "+ref(m.ID, l.ID), func(ctx context.Context) (registry.Pin, error) {
		unseen := seen
		unseen.Size, unseen.Ref = -1, ref(m.ID, l.ID)
		o, ok, err := s.cfg.Steward(ctx, unseen)
		switch {
		case errors.Is(err, chunk.ErrNotFound):
			return registry.Pin{}, backends.ErrNotFound
		case err != nil:
			return registry.Pin{}, kinded(err)
		case ok:
			return s.cfg.Registry.Pin(ctx, registry.Pin{LocationID: l.ID, Size: o.Size, Validator: o.Validator})
		}
		return s.contactHere(ctx, m.ID, l, st, b)
	})
}

// contactHere makes the contact and pins what it finds.
func (s *Service) contactHere(ctx context.Context, imageID string, l image.Location, st *Store, b backends.Store) (registry.Pin, error) {
	return s.together(ctx, ref(imageID, l.ID), func(ctx context.Context) (registry.Pin, error) {
		// Another may have been through since the caller looked.
		if p, ok, err := s.cfg.Registry.Pinned(ctx, l.ID); err != nil || ok {
			return p, err
		}
		info, err := b.Stat(ctx, backends.Locator(l.URL.Reveal()))
		if err != nil {
			return registry.Pin{}, notFoundOr(s.missingHere(st, err))
		}
		return s.cfg.Registry.Pin(ctx, registry.Pin{LocationID: l.ID, Size: info.Size, Validator: info.Validator})
	})
}

// together does a thing once for many who come at once. Who leaves does not end it
// for the others; contactTime does, and Close, which waits for it.
func (s *Service) together(ctx context.Context, what string, fn func(context.Context) (registry.Pin, error)) (registry.Pin, error) {
	if !s.contacts.begin() {
		return registry.Pin{}, unavailable(errClosed)
	}
	c := s.contacts.DoChan(what, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), contactTime)
		defer cancel()
		defer context.AfterFunc(s.contacts.ctx, cancel)()
		return fn(ctx)
	})
	select {
	case <-ctx.Done():
		go func() { <-c; s.contacts.running.Done() }()
		return registry.Pin{}, context.Cause(ctx)
	case r := <-c:
		s.contacts.running.Done()
		p, _ := r.Val.(registry.Pin)
		return p, r.Err
	}
}

var errClosed = errors.New("the service is closed")

// contacts are those that are being made, here and by stewards.
type contacts struct {
	singleflight.Group
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup // who waits for one, and for those who left somebody in their place

	mu     sync.Mutex
	closed bool
}

// begin adds to what close waits for, until it does.
func (c *contacts) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.running.Add(1)
	}
	return !c.closed
}

// close ends them, and waits for that while ctx lasts.
func (c *contacts) close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	done := make(chan struct{})
	go func() { c.running.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// FirstContact answers another node that makes this one the steward: with the
// size and the validator that are pinned of an object's location, which it pins if
// nobody has. chunk.ErrUnresolved where the registry or this node's stores don't
// lead there.
func (s *Service) FirstContact(ctx context.Context, o chunk.Object) (chunk.Object, error) {
	id, location, err := parseRef(o.Ref)
	if err != nil {
		return o, chunk.ErrUnresolved
	}
	p, ok, err := s.cfg.Registry.Pinned(ctx, location)
	if err == nil && !ok {
		p, err = s.firstContact(ctx, id, location)
	}
	switch {
	case err == nil:
		o.Size, o.Validator = p.Size, p.Validator
		return o, nil
	case ctx.Err() != nil:
		return o, context.Cause(ctx)
	case errors.Is(err, backends.ErrNotFound):
		return o, chunk.ErrNotFound
	case errors.Is(err, backends.ErrUnavailable):
		s.cfg.Log.Warn("the first contact with a location failed", "image", id, "location", location, "error", err)
		return o, chunk.ErrUnavailable
	}
	return o, chunk.ErrUnresolved
}

func (s *Service) firstContact(ctx context.Context, id string, location int64) (registry.Pin, error) {
	m, err := s.cfg.Images.Get(ctx, id)
	if err != nil {
		return registry.Pin{}, err
	}
	for _, l := range m.Locations {
		if st := s.storeOf(l); l.ID == location && st != nil {
			return s.contactHere(ctx, id, l, st, st.Backend)
		}
	}
	return registry.Pin{}, chunk.ErrUnresolved
}
