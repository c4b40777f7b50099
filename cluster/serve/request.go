package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ca"
	"glimpse/cluster/wire"
)

// ask reads and checks what all requests have in common.
func (s *Server) ask(w http.ResponseWriter, r *http.Request) (wire.Ask, bool) {
	return s.askOf(w, r, wire.MaxAsk)
}

// askOf is ask with another bound of the body, bytes.
func (s *Server) askOf(w http.ResponseWriter, r *http.Request, most int64) (wire.Ask, bool) {
	s.roll(w)
	if r.Method != http.MethodPost {
		s.refuse(w, r, http.StatusMethodNotAllowed, errors.New("asks are POSTed"))
		return wire.Ask{}, false
	}
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(handshake))
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	_ = rc.SetReadDeadline(time.Time{})
	if err != nil {
		status := http.StatusBadRequest
		if tooMuch := (*http.MaxBytesError)(nil); errors.As(err, &tooMuch) {
			status = http.StatusRequestEntityTooLarge
		}
		s.refuse(w, r, status, err)
		return wire.Ask{}, false
	}
	a, err := wire.Decode(b)
	if err != nil {
		s.refuse(w, r, http.StatusBadRequest, err)
		return a, false
	}
	if r.TLS != nil {
		if id, err := ca.Peer(r.TLS); err != nil || id != a.From {
			s.refuse(w, r, http.StatusForbidden, fmt.Errorf("an ask in the name of node %.64q by node %q", a.From, id))
			return a, false
		}
	}
	if a.To != s.cfg.Node {
		s.refuse(w, r, http.StatusMisdirectedRequest, fmt.Errorf("an ask to node %.64q, and this is %s", a.To, s.cfg.Node))
		return a, false
	}
	return a, true
}

// roll gives the asker time anew to take bytes.
func (s *Server) roll(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.cfg.Patience))
}

// refuse answers with a status, counts it, and says so in one line.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, status int, why error) {
	if status == http.StatusForbidden || status == http.StatusMisdirectedRequest {
		s.counts.refused.Add(1)
	} else {
		s.counts.bad.Add(1)
	}
	s.warn("an ask was refused", why.Error(), r.RemoteAddr)
	s.roll(w)
	http.Error(w, why.Error(), status)
}

// unknown answers a question of a later version, which is no fault of the asker's:
// nothing is counted or warned of while a cluster is rolled. What is asked is not read.
func (s *Server) unknown(w http.ResponseWriter, r *http.Request) {
	s.cfg.Log.DebugContext(r.Context(), "a question of a later version", slog.String("path", r.URL.Path), slog.String("from", r.RemoteAddr))
	s.roll(w)
	http.Error(w, "this node does not know the question", http.StatusNotFound)
}

// place takes a place, or turns the asker away.
func (s *Server) place(w http.ResponseWriter, r *http.Request, p places) bool {
	if p.take() {
		s.counts.asks.Add(1)
		return true
	}
	s.counts.busy.Add(1)
	s.say(s.busy, "asks are put off", fmt.Sprintf("there are %d of this kind already: %s", cap(p), r.URL.Path), r.RemoteAddr)
	http.Error(w, "busy, ask again", http.StatusServiceUnavailable)
	return false
}

func (s *Server) places(q cluster.Ask) places {
	switch {
	case q.ResidentOnly:
		return s.resident
	case q.Level == cluster.Home:
		return s.home
	default:
		return s.zone
	}
}

func (s *Server) opens(w http.ResponseWriter, r *http.Request) {
	a, ok := s.ask(w, r)
	if !ok {
		return
	}
	if err := a.CheckOpen(s.cfg.Geometry); err != nil {
		s.refuseOpen(w, r, a, err)
		return
	}
	p := s.places(a.Ask)
	if !s.place(w, r, p) {
		return
	}
	defer p.give()
	s.answer(w, r, a, s.pull(a))
}

func (s *Server) stats(w http.ResponseWriter, r *http.Request) {
	a, ok := s.ask(w, r)
	if !ok {
		return
	}
	if err := wire.CheckObject(a.Object); err != nil {
		s.refuse(w, r, http.StatusBadRequest, err)
		return
	}
	if !s.place(w, r, s.stat) {
		return
	}
	defer s.stat.give()
	s.answer(w, r, a, s.call(func(ctx context.Context) ([]byte, error) {
		o, err := s.cfg.Local.Stat(ctx, a.Object)
		if err != nil {
			return nil, err
		}
		return wire.EncodeObject(o)
	}))
}

func (s *Server) drops(w http.ResponseWriter, r *http.Request) {
	a, ok := s.ask(w, r)
	if !ok {
		return
	}
	if a.Image == "" || len(a.Image) > 64 {
		s.refuse(w, r, http.StatusBadRequest, errors.New("a drop without an image's id"))
		return
	}
	if !s.place(w, r, s.calls) {
		return
	}
	defer s.calls.give()
	s.answer(w, r, a, s.call(func(ctx context.Context) ([]byte, error) {
		return nil, s.cfg.Local.Drop(ctx, a.Image)
	}))
}

// refuseOpen answers an ask for bytes that makes no sense here.
func (s *Server) refuseOpen(w http.ResponseWriter, r *http.Request, a wire.Ask, err error) {
	switch {
	case errors.Is(err, wire.ErrGeometry):
		s.refuse(w, r, http.StatusConflict, fmt.Errorf("node %s asks for chunks of %d bytes by %d, here they are of %d by %d", a.From, a.Geometry.Chunk, a.Geometry.Extent, s.cfg.Geometry.Chunk, s.cfg.Geometry.Extent))
	case errors.Is(err, chunk.ErrRange):
		s.refuse(w, r, http.StatusRequestedRangeNotSatisfiable, err)
	default:
		s.refuse(w, r, http.StatusBadRequest, err)
	}
}

func (s *Server) pings(w http.ResponseWriter, r *http.Request) {
	a, ok := s.ask(w, r)
	if !ok || !s.place(w, r, s.calls) {
		return
	}
	defer s.calls.give()
	s.answer(w, r, a, s.call(func(context.Context) ([]byte, error) { return []byte(s.cfg.Node), nil }))
}
