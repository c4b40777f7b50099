package serve

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ca"
	"glimpse/cluster/wire"
)

// Local is what this node answers from.
type Local interface {
	// OpenRange is asked for n bytes from off, all of one extent; n is -1 for all of
	// an object of unknown size. ctx bounds the whole stream.
	OpenRange(ctx context.Context, q cluster.Ask, off, n int64) (chunk.Stream, error)
	// Stat finds size and validator, and pins them.
	Stat(ctx context.Context, o chunk.Object) (chunk.Object, error)
	// Drop forgets a cached record.
	Drop(ctx context.Context, imageID string) error
}

// Far is what a node does for those that can't be dialled.
type Far interface {
	// Members answers a list of nodes with this node's own.
	Members(from string, book []byte) ([]byte, error)
	// Link takes a connection over, and returns when it has ended.
	Link(from string, c net.Conn)
	// Open connects to a node that has a link to this one.
	Open(id string) (net.Conn, error)
}

// Config of a Server. What is 0 or nil has a default.
type Config struct {
	Node     string // this node's id
	Geometry chunk.Geometry
	Local    Local
	Handover Handover     // nil: the node answers as one that does not know of it
	Identity *ca.Identity // nil: plain text, on loopback only
	Log      *slog.Logger // nil: slog.Default
	Far      Far          // nil: all are dialled

	Zone, Home, Resident int // asks under way, by level; those for what is resident apart
	Stats                int // each may wait for an origin
	Calls                int // drops and pings
	Links, Ways          int // links to edge nodes, and connections that lead on to them
	Conns                int
	Beat                 time.Duration // between waiting frames
	Patience             time.Duration // for an asker that takes no bytes
}

func (c *Config) defaults() {
	set(&c.Zone, 256)
	set(&c.Home, 256)
	set(&c.Resident, 128)
	set(&c.Stats, 128)
	set(&c.Calls, 128)
	set(&c.Links, 1024)
	set(&c.Ways, 1024)
	set(&c.Conns, 4096)
	set(&c.Beat, 200*time.Millisecond)
	set(&c.Patience, 30*time.Second)
	if c.Log == nil {
		c.Log = slog.Default()
	}
}

func set[T comparable](v *T, to T) {
	if *v == *new(T) {
		*v = to
	}
}

const (
	maxHeader = 8 << 10
	// handshake bounds TLS and the headers, body the ask.
	handshake = 5 * time.Second
	idle      = 2 * time.Minute
)

// quiet is how often it is said that a bound is met.
var quiet = rate.Every(time.Minute)

// Server answers peers.
type Server struct {
	cfg   Config
	http  http.Server
	base  context.Context    // of all answers
	stop  context.CancelFunc // ends it
	conns sync.WaitGroup
	open  atomic.Int64 // connections
	talks talks

	inbox *inbox
	taken sync.WaitGroup // connections that are something else by now

	zone, home, resident, stat, calls, links, ways places
	counts                                         counters
	lines                                          *rate.Limiter // bounds what others can write into the log
	busy, crowd                                    *rate.Limiter // of what a storm does, too
}

// New returns a server that listens nowhere yet.
func New(c Config) *Server {
	c.defaults()
	s := &Server{
		cfg: c, zone: make(places, c.Zone), home: make(places, c.Home), resident: make(places, c.Resident),
		stat: make(places, c.Stats), calls: make(places, c.Calls), links: make(places, c.Links), ways: make(places, c.Ways),
		inbox: newInbox(),
		lines: rate.NewLimiter(1, 20), busy: rate.NewLimiter(quiet, 1), crowd: rate.NewLimiter(quiet, 1),
	}
	base, stop := context.WithCancel(context.Background())
	s.base, s.stop = base, stop
	mux := http.NewServeMux()
	mux.HandleFunc(wire.Open, s.opens)
	mux.HandleFunc(wire.Stat, s.stats)
	mux.HandleFunc(wire.Drop, s.drops)
	mux.HandleFunc(wire.Ping, s.pings)
	if c.Handover != nil {
		mux.HandleFunc(wire.List, s.lists)
		mux.HandleFunc(wire.Take, s.takes)
		mux.HandleFunc(wire.Vitals, s.vitals)
	}
	if c.Far != nil {
		mux.HandleFunc(wire.Members, s.members)
		mux.HandleFunc(wire.Link, s.link)
		mux.HandleFunc(wire.Via, s.via)
	}
	mux.HandleFunc(wire.V1, s.unknown)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, r, http.StatusNotFound, errors.New("this node speaks version 1 of the peer protocol"))
	})
	var only http.Protocols
	only.SetHTTP1(true)
	s.http = http.Server{
		Handler: heard(mux), Protocols: &only, MaxHeaderBytes: maxHeader,
		// No ReadTimeout: it would end the context of a long answer.
		ReadHeaderTimeout: handshake, IdleTimeout: idle,
		BaseContext: func(net.Listener) context.Context { return base },
		ConnContext: s.talks.begin,
		ConnState:   s.track,
		ErrorLog:    log.New(&logWriter{s}, "", 0),
	}
	if c.Identity != nil {
		s.http.TLSConfig = c.Identity.Server()
	}
	return s
}

// Serve answers on l until Shutdown, and returns when all connections are closed.
func (s *Server) Serve(l net.Listener) error {
	defer s.conns.Wait()
	var inner sync.WaitGroup
	defer inner.Wait()
	defer s.inbox.Close()
	inner.Go(s.serveInbox)
	var err error
	switch addr, ok := l.Addr().(*net.TCPAddr); {
	case s.cfg.Identity != nil:
		err = s.http.ServeTLS(l, "", "")
	case ok && !addr.IP.IsLoopback():
		_ = l.Close()
		return fmt.Errorf("the peer listener on %s needs certificates (cluster.tls): without them it may listen on loopback only", addr)
	default:
		err = s.http.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	s.stop()
	_ = s.http.Close()
	return err
}

// Shutdown takes no more asks, lets those under way end, and cuts them when ctx
// ends.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	s.stop()
	if err != nil {
		_ = s.http.Close()
	}
	s.taken.Wait()
	return err
}

// track counts connections, closes those over the bound, and notes those that
// end within a request.
func (s *Server) track(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.conns.Add(1)
		if s.open.Add(1) > int64(s.cfg.Conns) {
			s.counts.crowded.Add(1)
			s.say(s.crowd, "connections are closed", fmt.Sprintf("there are %d already", s.cfg.Conns), c.RemoteAddr().String())
			c.Close()
		}
	case http.StateActive:
		s.talks.of(c).says()
	case http.StateClosed, http.StateHijacked:
		if s.talks.end(c) && state == http.StateClosed {
			s.counts.cut.Add(1)
			s.warn("a connection was closed before it made a request", "what it sent came too slowly, was too long, or is no HTTP", c.RemoteAddr().String())
		}
		s.open.Add(-1)
		s.conns.Done()
	}
}

// logWriter takes net/http's own lines: who was refused before there was a request.
type logWriter struct{ s *Server }

func (w *logWriter) Write(b []byte) (int, error) {
	line := strings.TrimSpace(string(b))
	// Who only looks whether the port is open, as balancers do, was not refused.
	if strings.Contains(line, "handshake error") && !strings.HasSuffix(line, ": EOF") && !strings.HasSuffix(line, "use of closed network connection") {
		w.s.counts.refused.Add(1)
		w.s.warn("a connection to the peer plane was refused", line, "")
	}
	return len(b), nil
}

func (s *Server) warn(what, why, from string) {
	s.say(s.lines, what, why, from)
}

// say writes a line, if there may be one.
func (s *Server) say(may *rate.Limiter, what, why, from string) {
	if may.Allow() {
		s.cfg.Log.Warn("peer plane", slog.String("what", what), slog.String("why", why), slog.String("from", from))
	}
}

// places are how many may be at something at once.
type places chan struct{}

func (p places) take() bool {
	select {
	case p <- struct{}{}:
		return true
	default:
		return false
	}
}

func (p places) give() { <-p }
