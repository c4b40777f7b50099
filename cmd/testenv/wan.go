package testenv

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Link is what the WAN does to packets from one site to another.
type Link struct {
	Delay time.Duration // one way
	Loss  float64       // the part of packets that is lost, 0 to 1
	Rate  int64         // bytes a second; 0: no bound
}

const (
	wanMTU = 1400
	// A link's queue is as long as queueTime at its rate; what finds no room is
	// lost, as in a router.
	queueTime    = 200 * time.Millisecond
	queuePackets = 1 << 15
)

// WAN joins sites, each a network namespace, by slow and lossy links that can be
// cut. Packets go through this process: the kernels that tests run on often have
// no netem.
type WAN struct {
	t     testing.TB
	sites []*Site
	done  chan struct{}
	tasks sync.WaitGroup

	mu   sync.Mutex
	link Link
	cut  map[string]bool
	shut map[string]bool // sites that nobody connects to from outside

	Lost, Dropped, Refused atomic.Int64 // packets: by chance or a full queue, by a cut, by a firewall
}

// NewWAN makes sites that are joined by links without delay. It ends with the
// test. Without root it skips the test.
func NewWAN(t testing.TB, sites ...string) *WAN {
	t.Helper()
	if os.Geteuid() != 0 {
		without(t, "network namespaces need root")
	}
	NeedFile(t, "/dev/net/tun")
	w := &WAN{t: t, done: make(chan struct{}), cut: map[string]bool{}, shut: map[string]bool{}}
	t.Cleanup(w.close)
	for i, name := range sites {
		s, err := w.site(name, netip.AddrFrom4([4]byte{10, 213, 0, byte(i + 1)}))
		if err != nil {
			t.Fatal(err)
		}
		w.sites = append(w.sites, s)
	}
	for _, from := range w.sites {
		to := map[netip.Addr]*pipe{}
		for _, s := range w.sites {
			if s != from {
				p := &pipe{to: s, queue: make(chan packet, queuePackets)}
				to[s.ip] = p
				w.tasks.Go(func() { p.run(w.done) })
			}
		}
		w.tasks.Go(func() { w.route(from, to) })
	}
	return w
}

func (w *WAN) close() {
	close(w.done)
	for _, s := range w.sites {
		s.tun.Close()
	}
	w.tasks.Wait()
	for _, s := range w.sites {
		s.net.ns.Close()
	}
}

// Set changes all links.
func (w *WAN) Set(l Link) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.link = l
}

// Cut takes a site off the WAN, and Heal joins it again.
func (w *WAN) Cut(s *Site) { w.mark(w.cut, s, true) }

// Heal undoes Cut.
func (w *WAN) Heal(s *Site) { w.mark(w.cut, s, false) }

// Shut has a firewall before a site: connections lead out of it only, and datagrams
// nowhere.
func (w *WAN) Shut(s *Site) { w.mark(w.shut, s, true) }

func (w *WAN) mark(set map[string]bool, s *Site, to bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	set[s.Name] = to
}

type packet struct {
	b  []byte
	at time.Time
}

// pipe is the way from one site to another.
type pipe struct {
	to    *Site
	queue chan packet
	free  time.Time // when all that is queued has gone out
}

// run delivers packets at their times.
func (p *pipe) run(done chan struct{}) {
	for {
		select {
		case <-done:
			return
		case k := <-p.queue:
			time.Sleep(time.Until(k.at))
			_, _ = p.to.tun.Write(k.b) // a packet may be lost
		}
	}
}

// route takes what a site sends until its interface is closed.
func (w *WAN) route(from *Site, to map[netip.Addr]*pipe) {
	buf := make([]byte, 1<<16)
	for {
		n, err := from.tun.Read(buf)
		if err != nil {
			return
		}
		b := buf[:n]
		if n < 20 || b[0]>>4 != 4 {
			continue
		}
		p := to[netip.AddrFrom4([4]byte(b[16:20]))]
		if p == nil {
			continue
		}
		if at, ok := w.pass(from, p, b); ok {
			select {
			case p.queue <- packet{append([]byte(nil), b...), at}:
			default:
				w.Lost.Add(1)
			}
		}
	}
}

// pass says when a packet arrives, if it does.
func (w *WAN) pass(from *Site, p *pipe, b []byte) (at time.Time, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l, now := w.link, time.Now()
	switch {
	case w.cut[from.Name] || w.cut[p.to.Name]:
		w.Dropped.Add(1)
		return at, false
	case w.shut[p.to.Name] && opens(b), w.shut[from.Name] && b[9] == udp:
		w.Refused.Add(1)
		return at, false
	case rand.Float64() < l.Loss:
		w.Lost.Add(1)
		return at, false
	case l.Rate == 0:
		return now.Add(l.Delay), true
	}
	p.free = later(p.free, now)
	if p.free.Sub(now) > queueTime {
		w.Lost.Add(1)
		return at, false
	}
	p.free = p.free.Add(time.Duration(int64(len(b)) * int64(time.Second) / l.Rate))
	return p.free.Add(l.Delay), true
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

const (
	tcp = 6
	udp = 17
)

// opens says whether a packet opens a connection, or belongs to none.
func opens(b []byte) bool {
	head := int(b[0]&0xf) * 4
	fragment := binary.BigEndian.Uint16(b[6:])&0x1fff != 0
	if b[9] != tcp || fragment || len(b) < head+14 {
		return b[9] != tcp
	}
	const syn, ack = 2, 16
	return b[head+13]&(syn|ack) == syn
}

func (w *WAN) site(name string, ip netip.Addr) (*Site, error) {
	ns, err := newNamespace()
	if err != nil {
		return nil, fmt.Errorf("site %s: %w", name, err)
	}
	s := &Site{w: w, Name: name, IP: ip.String(), ip: ip, net: ns}
	err = ns.do(func() error {
		if s.tun, err = openTUN(wanDevice); err != nil {
			return err
		}
		return raise(wanDevice, ip, wanMTU)
	})
	if err != nil {
		ns.ns.Close()
		return nil, fmt.Errorf("site %s: %w", name, err)
	}
	return s, nil
}
