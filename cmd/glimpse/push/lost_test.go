package push

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"glimpse/cmd/glimpse/imageapi"
)

// own is an id that was asked for.
const own = "11111111-2222-3333-4444-555555555555"

// An answer that is lost on its way leaves no record behind, nor does it end a push
// that can go on.
func TestLostAnswers(t *testing.T) {
	type answer = func(w http.ResponseWriter, r *http.Request, try int) bool
	// lost does what is asked for, and does not say so, in the first n tries.
	lost := func(s *service, n int) answer {
		return func(w http.ResponseWriter, r *http.Request, try int) bool {
			if try < n {
				s.record(r)
				hangUp(w)
			}
			return try < n
		}
	}
	unavailable := func(n int) answer {
		return func(w http.ResponseWriter, _ *http.Request, try int) bool {
			if try < n {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return try < n
		}
	}
	for name, c := range map[string]struct {
		tell   func(s *service)
		id     string
		code   imageapi.Code
		said   string
		there  bool // an image is left
		creats int  // requests
	}{
		"of the record":              {func(s *service) { s.create = lost(s, 1) }, "", 0, "", true, 2},
		"of a record of one's own":   {func(s *service) { s.create = lost(s, 1) }, own, 0, "", true, 2},
		"of the record, each time":   {func(s *service) { s.create = lost(s, 9) }, "", imageapi.Unreachable, "", false, 3},
		"of one's own, each time":    {func(s *service) { s.create = lost(s, 9) }, own, imageapi.Unreachable, "", false, 3},
		"no record":                  {func(s *service) { s.create = unavailable(9) }, "", imageapi.Unreachable, "", false, 3},
		"a record late":              {func(s *service) { s.create = unavailable(2) }, "", 0, "", true, 3},
		"a record that stays":        {func(s *service) { s.create, s.remove = lost(s, 9), unavailable(9) }, "", imageapi.Unreachable, "which may have been made, could not be removed", true, 3},
		"of looking at it":           {func(s *service) { s.show = unavailable(1) }, "", 0, "", true, 1},
		"of removing it":             {func(s *service) { s.put, s.remove = unavailable(9), unavailable(1) }, "", imageapi.Unreachable, "", false, 3},
		"an image that stays":        {func(s *service) { s.put, s.remove = unavailable(9), unavailable(9) }, "", imageapi.Unreachable, "could not be removed", true, 1},
		"an id that is there before": {func(s *service) { s.made = []string{own} }, own, imageapi.Failed, "already", true, 0},
		"of the upload": {func(s *service) {
			s.put = func(w http.ResponseWriter, r *http.Request, _ int) bool {
				var b bytes.Buffer
				_, _ = b.ReadFrom(r.Body)
				s.mu.Lock()
				s.data[r.PathValue("id")] = b.Bytes()
				s.mu.Unlock()
				hangUp(w)
				return true
			}
		}, "", 0, "", true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, nil, func(b []byte) []byte { return b })
			c.tell(s)
			data := bytes.Repeat([]byte("data"), 10_000)
			p := s.push(t, data, false)
			if c.id != "" {
				p.Attributes["id"] = c.id
			}
			m, proof, err := p.Run(t.Context())
			if imageapi.CodeOf(err) != c.code || (err == nil) != (c.code == 0) || err != nil && !strings.Contains(err.Error(), c.said) {
				t.Errorf("%v", err)
			}
			left := s.left()
			if len(left) > 1 || (len(left) == 1) != c.there || err == nil && (m.ID != left[0] || proof != "sha512" || !bytes.Equal(s.data[m.ID], data)) {
				t.Errorf("left: %v, and pushed %q by %q", left, m.ID, proof)
			}
			if s.tries[0] != c.creats {
				t.Errorf("%d records were asked for", s.tries[0])
			}
		})
	}
}

// Who interrupts a push while its record is being made leaves none, though it may be
// made only after it could have been removed.
func TestInterruptedWhileTheRecordIsMade(t *testing.T) {
	s := newService(t, nil, func(b []byte) []byte { return b })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	asked := make(chan struct{})
	s.remove = func(_ http.ResponseWriter, _ *http.Request, try int) bool {
		if try == 0 {
			close(asked)
		}
		return false
	}
	s.create = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		b, _ := io.ReadAll(r.Body)
		cancel()
		select {
		case <-r.Context().Done(): // nobody waits for it
			<-asked
			time.Sleep(100 * time.Millisecond)
		case <-time.After(200 * time.Millisecond):
		}
		r.Body = io.NopCloser(bytes.NewReader(b))
		return false
	}
	_, _, err := s.push(t, []byte("data"), false).Run(ctx)
	s.Close() // it has answered
	if !errors.Is(err, context.Canceled) || len(s.made) != 1 || len(s.left()) != 0 {
		t.Errorf("%v; made %v, left %v", err, s.made, s.left())
	}
}
