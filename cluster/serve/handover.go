package serve

import (
	"context"
	"net/http"

	"glimpse/cluster"
	"glimpse/cluster/wire"
)

// Handover is what a node answers from of what others may take over from it, or
// have it take over.
type Handover interface {
	// Holdings lists what is here of the extents that the asker owns, a page that
	// fits wire.MaxAnswer. An error of kind "not available": this node does not
	// know yet what the asker owns.
	Holdings(ctx context.Context, q cluster.Claim) (cluster.Page, error)
	// Take has this node take over from another one what it owns now, and says what
	// came of it.
	Take(ctx context.Context, from string) (cluster.Account, error)
	// Vitals tells of this node.
	Vitals() cluster.Vitals
}

func (s *Server) lists(w http.ResponseWriter, r *http.Request) {
	a, ok := s.ask(w, r)
	if !ok {
		return
	}
	q, err := a.Claim(s.cfg.Geometry)
	if err != nil {
		s.refuseOpen(w, r, a, err)
		return
	}
	s.calling(w, r, a, func(ctx context.Context) ([]byte, error) {
		p, err := s.cfg.Handover.Holdings(ctx, q)
		if err != nil {
			return nil, err
		}
		return wire.EncodePage(p)
	})
}

func (s *Server) takes(w http.ResponseWriter, r *http.Request) {
	a, ok := s.ask(w, r)
	if !ok {
		return
	}
	s.calling(w, r, a, func(ctx context.Context) ([]byte, error) {
		done, err := s.cfg.Handover.Take(ctx, a.From)
		if err != nil {
			return nil, err
		}
		return wire.EncodeAccount(done)
	})
}

func (s *Server) vitals(w http.ResponseWriter, r *http.Request) {
	a, ok := s.ask(w, r)
	if !ok {
		return
	}
	s.calling(w, r, a, func(context.Context) ([]byte, error) {
		return wire.EncodeVitals(s.cfg.Handover.Vitals())
	})
}

// calling answers a call, if there is a place for it.
func (s *Server) calling(w http.ResponseWriter, r *http.Request, a wire.Ask, fn func(context.Context) ([]byte, error)) {
	if !s.place(w, r, s.calls) {
		return
	}
	defer s.calls.give()
	s.answer(w, r, a, s.call(fn))
}
