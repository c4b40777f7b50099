package member

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// lossy is a network in memory for a bubble of testing/synctest: packets are lost,
// come late, twice and in another order, streams take their time, and it can be cut.
type lossy struct {
	drop, twice float64       // of packets, 0 to 1
	delay       time.Duration // of each message at most

	mu    sync.Mutex
	rnd   *rand.Rand
	ports map[string]*port // by address
	side  map[string]int   // nothing gets from one side to another
	count struct{ packets, dropped, doubled, cut, dials int }
}

func newLossy(seed uint64) *lossy {
	return &lossy{drop: 0.05, twice: 0.02, delay: 20 * time.Millisecond, rnd: rand.New(rand.NewPCG(seed, 9)), ports: map[string]*port{}}
}

// port is a node's place in it: a memberlist.NodeAwareTransport.
type port struct {
	net     *lossy
	own     string
	packets chan *memberlist.Packet
	streams chan net.Conn
	end     chan struct{}
	once    sync.Once
}

var _ memberlist.NodeAwareTransport = (*port)(nil)

// open gives an address to a node, which takes the place of who had it.
func (l *lossy) open(address string) *port {
	p := &port{net: l, own: address, packets: make(chan *memberlist.Packet, 4096), streams: make(chan net.Conn, 256), end: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ports[address] = p
	return p
}

// cut puts addresses on sides; those not named are on side 0.
func (l *lossy) cut(side map[string]int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.side = side
}

// reach returns who is at an address, nil where nobody is or where no message gets
// to, and how long one takes.
func (l *lossy) reach(from, to string) (p *port, cut bool, late time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ports[to], l.side[from] != l.side[to], time.Duration(l.rnd.Int64N(int64(l.delay)) + 1)
}

// fate says how often a packet arrives.
func (l *lossy) fate(cut bool) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count.packets++
	switch x := l.rnd.Float64(); {
	case cut:
		l.count.cut++
		return 0
	case x < l.drop:
		l.count.dropped++
		return 0
	case x < l.drop+l.twice:
		l.count.doubled++
		return 2
	}
	return 1
}

func (p *port) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	a := netip.MustParseAddrPort(p.own)
	return a.Addr().AsSlice(), int(a.Port()), nil
}

func (p *port) WriteTo(b []byte, to string) (time.Time, error) {
	return p.WriteToAddress(b, memberlist.Address{Addr: to})
}

func (p *port) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	now := time.Now()
	_, cut, _ := p.net.reach(p.own, a.Addr)
	for range p.net.fate(cut) {
		_, _, late := p.net.reach(p.own, a.Addr)
		packet := &memberlist.Packet{Buf: append([]byte(nil), b...), From: address(p.own)}
		time.AfterFunc(late, func() {
			to, cut, _ := p.net.reach(p.own, a.Addr)
			if to == nil || cut {
				return
			}
			packet.Timestamp = time.Now()
			select {
			case to.packets <- packet:
			case <-to.end:
			default: // as a full socket does
			}
		})
	}
	return now, nil
}

func (p *port) PacketCh() <-chan *memberlist.Packet { return p.packets }
func (p *port) StreamCh() <-chan net.Conn           { return p.streams }

func (p *port) DialTimeout(to string, d time.Duration) (net.Conn, error) {
	return p.DialAddressTimeout(memberlist.Address{Addr: to}, d)
}

// DialAddressTimeout gets no answer from beyond a cut, and a refusal where nobody is.
func (p *port) DialAddressTimeout(a memberlist.Address, d time.Duration) (net.Conn, error) {
	p.net.mu.Lock()
	p.net.count.dials++
	p.net.mu.Unlock()
	to, cut, late := p.net.reach(p.own, a.Addr)
	if cut {
		time.Sleep(d)
		return nil, os.ErrDeadlineExceeded
	}
	time.Sleep(2 * late)
	if to == nil {
		return nil, errors.New("connection refused")
	}
	here, there := newPipe(p.net, p.own, a.Addr, late)
	select {
	case to.streams <- there:
		return here, nil
	case <-to.end:
		return nil, errors.New("connection refused")
	}
}

func (p *port) Shutdown() error {
	p.once.Do(func() { close(p.end) })
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	if p.net.ports[p.own] == p {
		delete(p.net.ports, p.own)
	}
	return nil
}

type address string

func (address) Network() string  { return "lossy" }
func (a address) String() string { return string(a) }

// pipe is one end of a stream. What is written does not wait to be read.
type pipe struct {
	net      *lossy
	own, far string
	late     time.Duration
	out, in  chan run
	rest     []byte

	done, gone chan struct{} // it is closed; the other end is
	once       sync.Once
	mu         sync.Mutex
	deadline   time.Time
}

// run is bytes, and when they are there.
type run struct {
	b  []byte
	at time.Time
}

func newPipe(l *lossy, a, b string, late time.Duration) (*pipe, *pipe) {
	out, in, here, there := make(chan run, 1024), make(chan run, 1024), make(chan struct{}), make(chan struct{})
	return &pipe{net: l, own: a, far: b, late: late, out: out, in: in, done: here, gone: there},
		&pipe{net: l, own: b, far: a, late: late, out: in, in: out, done: there, gone: here}
}

func (p *pipe) until() <-chan time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.deadline.IsZero() {
		return nil
	}
	return time.After(time.Until(p.deadline))
}

func (p *pipe) Read(b []byte) (int, error) {
	end := p.until()
	for len(p.rest) == 0 {
		var r run
		select {
		case r = <-p.in:
		default:
			select {
			case r = <-p.in:
			case <-p.gone:
				select {
				case r = <-p.in: // it came before the end
				default:
					return 0, io.EOF
				}
			case <-p.done:
				return 0, net.ErrClosed
			case <-end:
				return 0, os.ErrDeadlineExceeded
			}
		}
		select {
		case <-time.After(time.Until(r.at)):
			p.rest = r.b
		case <-end:
			return 0, os.ErrDeadlineExceeded
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// Write loses what is written while the network is cut: who waits for it waits in vain.
func (p *pipe) Write(b []byte) (int, error) {
	_, cut, _ := p.net.reach(p.own, p.far)
	if cut {
		return len(b), nil
	}
	select {
	case p.out <- run{append([]byte(nil), b...), time.Now().Add(p.late)}:
		return len(b), nil
	case <-p.gone:
		return 0, errors.New("broken pipe")
	case <-p.done:
		return 0, net.ErrClosed
	}
}

func (p *pipe) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipe) LocalAddr() net.Addr  { return address(p.own) }
func (p *pipe) RemoteAddr() net.Addr { return address(p.far) }

func (p *pipe) SetDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline = t
	return nil
}
func (p *pipe) SetReadDeadline(t time.Time) error  { return p.SetDeadline(t) }
func (p *pipe) SetWriteDeadline(t time.Time) error { return p.SetDeadline(t) }
