package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
	"golang.org/x/time/rate"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ca"
	"glimpse/cluster/ring"
	"glimpse/cluster/wire"
)

// Config of Peers. What is 0 or nil has a default.
type Config struct {
	Self     string       // this node's id
	Identity *ca.Identity // nil: plain text, to loopback only
	Log      *slog.Logger // nil: slog.Default

	Zone, Home, Resident int // asks under way to one peer, by level; those for what is resident apart
	Stats                int // under way to one peer; each may wait for an origin
	Calls                int // drops and pings under way to one peer
	Stall                time.Duration
	Slow                 time.Duration // for one group of bytes
	Connect              time.Duration
	Rest                 time.Duration // that a failing peer is left alone
	// Packs says whose bytes may come packed; nil: nobody's. It costs processors, and
	// is for slow links.
	Packs func(n ring.Node) bool
	// Reach connects to nodes that are not dialled, and says which are; nil: none.
	Reach func(ctx context.Context, n ring.Node) (c net.Conn, ok bool, err error)
	// Dial connects; nil: by TCP.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

func (c *Config) defaults() {
	set(&c.Zone, 32)
	set(&c.Home, 32)
	set(&c.Resident, 16)
	set(&c.Stats, 16)
	set(&c.Calls, 16)
	set(&c.Stall, time.Second)
	set(&c.Slow, 30*time.Second)
	set(&c.Connect, 2*time.Second) // a lost SYN is sent again after one
	set(&c.Rest, time.Second)
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext
	}
}

func set[T comparable](v *T, to T) {
	if *v == *new(T) {
		*v = to
	}
}

// Peers asks other nodes.
type Peers struct {
	cfg    Config
	base   context.Context // ends with Close
	end    context.CancelFunc
	dials  sync.WaitGroup
	counts counters

	mu struct {
		sync.Mutex
		peers  map[string]*peer
		closed bool
	}
}

var _ cluster.Peers = (*Peers)(nil)

// New returns Peers that are connected to nobody yet.
func New(c Config) *Peers {
	c.defaults()
	p := &Peers{cfg: c}
	p.base, p.end = context.WithCancel(context.Background())
	p.mu.peers = map[string]*peer{}
	return p
}

// Close breaks all answers off and closes all connections.
func (p *Peers) Close() {
	p.end()
	p.mu.Lock()
	all := p.mu.peers
	p.mu.peers, p.mu.closed = map[string]*peer{}, true
	p.mu.Unlock()
	for _, at := range all {
		at.transport.CloseIdleConnections()
	}
	p.dials.Wait()
}

// Forget closes what is kept open to a node that has left.
func (p *Peers) Forget(id string) {
	p.mu.Lock()
	at := p.mu.peers[id]
	delete(p.mu.peers, id)
	p.mu.Unlock()
	if at != nil {
		at.transport.CloseIdleConnections()
	}
}

// Away says whether a node is left alone at the moment because it has failed.
func (p *Peers) Away(id string) bool {
	p.mu.Lock()
	at := p.mu.peers[id]
	p.mu.Unlock()
	return at != nil && at.breaker.State() == gobreaker.StateOpen
}

// peer is one node at one address.
type peer struct {
	p         *Peers
	id, addr  string
	node      ring.Node
	transport *http.Transport
	breaker   *gobreaker.TwoStepCircuitBreaker[any]
	said      [faults]*rate.Limiter

	zone, home, resident, stats, calls chan struct{}
}

// of returns the peer that a node is, a new one where it has moved.
func (p *Peers) of(n ring.Node) *peer {
	p.mu.Lock()
	at, old := p.mu.peers[n.ID], (*peer)(nil)
	if at == nil || at.addr != n.Peer || at.node.Edge != n.Edge {
		old, at = at, p.peer(n)
		p.mu.peers[n.ID] = at
	}
	p.mu.Unlock()
	if old != nil {
		old.transport.CloseIdleConnections()
	}
	return at
}

// failures in a row, after which a peer is left alone.
const failures = 3

func (p *Peers) peer(n ring.Node) *peer {
	c := &p.cfg
	at := &peer{
		p: p, id: n.ID, addr: n.Peer, node: n, said: grumbles(),
		zone: make(chan struct{}, c.Zone), home: make(chan struct{}, c.Home), resident: make(chan struct{}, c.Resident),
		stats: make(chan struct{}, c.Stats), calls: make(chan struct{}, c.Calls),
	}
	at.breaker = gobreaker.NewTwoStepCircuitBreaker[any](gobreaker.Settings{
		Timeout:     c.Rest,
		ReadyToTrip: func(n gobreaker.Counts) bool { return n.ConsecutiveFailures >= failures },
		IsExcluded:  func(err error) bool { return errors.Is(err, errLeft) },
	})
	at.transport = &http.Transport{
		DialContext:            at.dial,
		DialTLSContext:         at.dial,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        time.Minute,
		MaxResponseHeaderBytes: 8 << 10,
		ReadBufferSize:         64 << 10,
	}
	return at
}

// errLeft marks a call whose caller left: it says nothing about the peer.
var errLeft = errors.New("the caller left")

// Why there is no connection, what a handshake failed with, why an ask was not
// taken.
type (
	nowhere   struct{ error }
	refusal   struct{ error }
	rejection struct{ error }
)

func (r rejection) Unwrap() error { return r.error }

// dial connects, and shakes hands where there are certificates.
func (at *peer) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	p := at.p
	if !p.dialling() {
		return nil, errLeft
	}
	defer p.dials.Done()
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Connect)
	defer cancel()
	defer context.AfterFunc(p.base, cancel)()
	conn, err := at.connect(ctx)
	if err != nil {
		return nil, nowhere{err}
	}
	if p.cfg.Identity == nil {
		if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok && !a.IP.IsLoopback() {
			conn.Close()
			return nil, refusal{errors.New("without certificates (cluster.tls) only loopback is dialled")}
		}
		return conn, nil
	}
	return at.shake(ctx, conn)
}

// connect dials, or goes the way of those that are not dialled.
func (at *peer) connect(ctx context.Context) (net.Conn, error) {
	c := &at.p.cfg
	if c.Reach != nil {
		if conn, ok, err := c.Reach(ctx, at.node); ok || err != nil {
			return conn, err
		}
	}
	return c.Dial(ctx, "tcp", at.addr)
}

// dialling adds to what Close waits for, until it does.
func (p *Peers) dialling() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.mu.closed {
		p.dials.Add(1)
	}
	return !p.mu.closed
}

// take waits for a place. Its owner gives it back.
func (at *peer) take(ctx context.Context, places chan struct{}) (give func(), err error) {
	if at.p.base.Err() != nil {
		return nil, at.away("this node stops")
	}
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-at.p.base.Done():
		return nil, at.away("this node stops")
	}
}

// away is ErrAway with its reason, which is text only: what ended inside is not the
// caller's own context.
func (at *peer) away(format string, args ...any) error {
	return fmt.Errorf("node %s at %s: %w: %s", at.id, at.addr, cluster.ErrAway, fmt.Sprintf(format, args...))
}

// again is how long a full peer is left before it is asked anew.
func again() time.Duration { return 100*time.Millisecond + rand.N(100*time.Millisecond) }

// ask sends an ask until it is taken on, and returns the answer's body. The caller
// has a place.
func (at *peer) ask(ctx context.Context, w *watch, path string, a wire.Ask) (io.ReadCloser, error) {
	a.From, a.To = at.p.cfg.Self, at.id
	body, err := a.Encode()
	if err != nil {
		return nil, err
	}
	for {
		resp, err := at.once(ctx, w, path, body)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode == http.StatusOK {
			return resp.Body, nil
		}
		hangUp(resp)
		at.p.counts.busy.Add(1)
		if a.ResidentOnly {
			return nil, cluster.ErrBusy
		}
		w.rest()
		select {
		case <-time.After(again()):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// once returns an answer with status 200 or 503.
func (at *peer) once(ctx context.Context, w *watch, path string, body []byte) (*http.Response, error) {
	scheme := "http"
	if at.p.cfg.Identity != nil {
		scheme = "https"
	}
	req, err := http.NewRequestWithContext(w.trace(ctx), http.MethodPost, scheme+"://peer"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	// It may be sent again on another connection when one that was kept open turns
	// out to be closed. An empty slice says so and is not sent.
	req.Header["Idempotency-Key"] = []string{}
	at.p.counts.asks.Add(1)
	resp, err := at.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusServiceUnavailable:
		return resp, nil
	case http.StatusRequestedRangeNotSatisfiable:
		err = chunk.ErrRange
	case http.StatusConflict:
		err = wire.ErrGeometry
	case http.StatusNotFound:
		err = rejection{cluster.ErrUnknown}
	default:
		why, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
		err = rejection{fmt.Errorf("status %d: %q", resp.StatusCode, bytes.TrimSpace(why))}
	}
	hangUp(resp)
	return nil, err
}

// hangUp lets a short answer's connection be used again, and closes another's.
func hangUp(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	resp.Body.Close()
}

// call is a whole exchange with a short answer.
func (p *Peers) call(ctx context.Context, n ring.Node, path string, a wire.Ask) ([]byte, error) {
	at := p.of(n)
	places := at.calls
	if path == wire.Stat {
		places = at.stats
	}
	x, err := at.begin(ctx, places)
	if err != nil {
		return nil, err
	}
	defer x.end()
	defer x.reuse()
	b, err := x.call(path, a)
	if err != nil {
		return nil, x.verdict(err)
	}
	x.tell(nil)
	return bytes.Clone(b), nil
}

// Stat asks a steward for size and validator.
func (p *Peers) Stat(ctx context.Context, n ring.Node, o chunk.Object) (chunk.Object, error) {
	b, err := p.call(ctx, n, wire.Stat, wire.Ask{Ask: cluster.Ask{Object: o}})
	if err != nil {
		return chunk.Object{}, err
	}
	got, err := wire.DecodeObject(b)
	if err != nil {
		return chunk.Object{}, p.senseless(n, err)
	}
	got.MemoryOnly, got.Zone, got.Node = o.MemoryOnly, o.Zone, o.Node
	return got, nil
}

// Drop has a node forget a cached record.
func (p *Peers) Drop(ctx context.Context, n ring.Node, imageID string) error {
	_, err := p.call(ctx, n, wire.Drop, wire.Ask{Image: imageID})
	return err
}

// Ping says whether a node answers.
func (p *Peers) Ping(ctx context.Context, n ring.Node) error {
	_, err := p.call(ctx, n, wire.Ping, wire.Ask{})
	return err
}
