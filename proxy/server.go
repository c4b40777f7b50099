package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"glimpse/proxy/identity"
	"glimpse/proxy/ops"
	"glimpse/proxy/policy"
	"glimpse/registry"
	"glimpse/registry/image"

	"github.com/valyala/fasthttp"
)

// Ops are the verbs that move bytes.
type Ops interface {
	Upload(ctx context.Context, u ops.Upload) (image.Image, error)
	Data(ctx context.Context, m image.Image, prefer ...string) (ops.Data, error)
	Delete(ctx context.Context, m image.Image) error
	Locate(url string, metadata map[string]string) (ops.Place, error)
	Contact(ctx context.Context, p ops.Place, owner *string, trusted bool) (ops.Place, error)
	Relocate(ctx context.Context, id string, places []ops.Place, hash bool, fn func(*image.Image) error) (image.Image, error)
	Withdraw(ctx context.Context, m image.Image, store string) error
	Share(ctx context.Context, m image.Image)
	Labelled(m image.Image) image.Image
	Best(m image.Image) image.Secret
	Stores() []ops.Store
	DefaultStore() string
}

// Config is what a Server is made of.
type Config struct {
	Images  registry.Images // the leased view
	Members registry.Members
	Ops     Ops
	Auth    identity.Authenticator
	Policy  *policy.Engine

	PublicEndpoint        string // in absolute links; "": from the request
	LimitParamDefault     int
	APILimitMax           int
	ShowMultipleLocations bool
	ShowImageDirectURL    bool
	SingleStore           bool
	Limits                image.Limits
	HashAlgo              string // of the hashes that callers may claim

	MaxConnections int
	HeaderTimeout  time.Duration
	StallTimeout   time.Duration // a transfer without any progress for so long is cut
	MinRate        int64         // bytes per second; a transfer slower than this is cut
	IdleTimeout    time.Duration // of a kept connection; 0: 75 s

	NodeID string // told by the health check; "": not told
	// Nodes tells of this node, and of the others that are ready to serve; nil: of
	// none. It is called for each request that asks.
	Nodes func() (self Node, others []Node)

	Observe func(route string, code int, took time.Duration) // may be nil
	Log     *slog.Logger
}

// Server answers the Image API.
type Server struct {
	cfg  Config
	http *fasthttp.Server
	docs documents

	ctx    context.Context // ends when running transfers are cut
	cut    context.CancelFunc
	active sync.WaitGroup
	conns  connections
	closed atomic.Bool
}

// readBuffer bounds a request's header: tokens of several KiB are usual.
const readBuffer = 32 << 10

// New makes a server; Serve starts it.
func New(c Config) (*Server, error) {
	if c.Images == nil || c.Members == nil || c.Ops == nil || c.Auth == nil || c.Policy == nil {
		return nil, errors.New("proxy: a part is missing")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Observe == nil {
		c.Observe = func(string, int, time.Duration) {}
	}
	if c.IdleTimeout <= 0 {
		c.IdleTimeout = 75 * time.Second
	}
	s := &Server{cfg: c}
	s.ctx, s.cut = context.WithCancel(context.Background())
	s.docs = newDocuments(c)
	s.http = &fasthttp.Server{
		Handler:       s.handler(),
		ExpectHandler: s.expect,
		ErrorHandler:  s.malformed,
		ConnState:     s.conns.note,
		Concurrency:   c.MaxConnections,

		ReadBufferSize:  readBuffer,
		WriteBufferSize: 4 << 10,
		// Of the header, and of the gap before a body's first byte. Bodies set
		// their own deadlines; responses too.
		ReadTimeout: c.HeaderTimeout,
		IdleTimeout: c.IdleTimeout,

		// With streaming the size only says how much is read before the handler
		// runs: one byte lets a refusal go out before the body has come.
		StreamRequestBody:  true,
		MaxRequestBodySize: 1,

		CloseOnShutdown:              true,
		DisablePreParseMultipartForm: true,
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		SecureErrorLogMessage:        true,
		Logger:                       quiet{c.Log},
	}
	return s, nil
}

// Serve answers on ln until Drain. It may be called for several listeners. ln's
// connections must be bare for the kernel to send files by itself.
func (s *Server) Serve(ln net.Listener) error {
	err := s.http.Serve(ln)
	if s.closed.Load() {
		return nil
	}
	return err
}

// Drain stops listening, closes idle connections, and lets running requests
// finish until ctx ends; then it cuts them. It returns when none is left.
func (s *Server) Drain(ctx context.Context) error {
	s.closed.Store(true)
	err := s.http.ShutdownWithContext(ctx)
	s.cut()
	if err != nil {
		s.conns.closeAll()
		// What is being cut ends within moments: its connection and its context are.
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if again := s.http.ShutdownWithContext(last); again != nil {
			return again
		}
	}
	s.active.Wait()
	return err
}

// connections are the open ones, to be closed when a drain has waited enough.
type connections struct {
	mu sync.Mutex
	m  map[net.Conn]struct{}
}

func (c *connections) note(conn net.Conn, state fasthttp.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case fasthttp.StateNew:
		if c.m == nil {
			c.m = map[net.Conn]struct{}{}
		}
		c.m[conn] = struct{}{}
	case fasthttp.StateClosed, fasthttp.StateHijacked:
		delete(c.m, conn)
	}
}

func (c *connections) closeAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.m {
		conn.Close()
	}
}

// quiet passes fasthttp's complaints about connections on at debug level: each is
// about one client.
type quiet struct{ log *slog.Logger }

func (q quiet) Printf(format string, args ...any) {
	q.log.Debug("connection", "event", format, "args", len(args))
}
