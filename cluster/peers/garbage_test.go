package peers_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/clustertest"
	"glimpse/cluster/peers"
	"glimpse/cluster/ring"
	"glimpse/cluster/wire"
)

// liar is a peer whose answers are made up byte by byte.
func liar(t *testing.T, answer func(w io.Writer)) ring.Node {
	t.Helper()
	return raw(t, func(c net.Conn, r *bufio.Reader) {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		answer(chunked{c})
		fmt.Fprint(c, "0\r\n\r\n")
		_, _ = r.ReadByte() // the asker hangs up, or asks again in vain
	})
}

func raw(t *testing.T, serve func(c net.Conn, r *bufio.Reader)) ring.Node {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		conns []net.Conn
	)
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			wg.Go(func() {
				defer c.Close()
				serve(c, bufio.NewReader(c))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return ring.Node{ID: clustertest.Other, Peer: l.Addr().String()}
}

type chunked struct{ w io.Writer }

func (c chunked) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	_, err := fmt.Fprintf(c.w, "%x\r\n%s\r\n", len(b), b)
	return len(b), err
}

var opened = wire.Append(nil, wire.Opened, nil, nil)

func piece(off int64, data string) []byte {
	b, _ := wire.AppendPiece(nil, chunk.Piece{Index: int(off >> 20), Off: off, Len: int64(len(data)), Data: []byte(data)})
	return b
}

func zeros(index int, off, n int64) []byte {
	b, _ := wire.AppendPiece(nil, chunk.Piece{Index: index, Off: off, Len: n, Zero: true})
	return b
}

// flipped has one bit turned.
func flipped(b []byte, at int) []byte {
	b[at] ^= 4
	return b
}

func bare(t wire.Type) []byte { return wire.Append(nil, t, nil, nil) }

// What a peer sends must be exactly what it was asked for, or nothing is taken: 10
// bytes from 2 MiB on.
func TestAPeerThatSpeaksGarbage(t *testing.T) {
	const off = 2 << 20
	end := bare(wire.End)
	huge := binary.LittleEndian.AppendUint32([]byte{byte(wire.Piece), 0, 16, 0}, 1<<31)
	huge = append(huge, 0, 0, 0, 0)
	for name, c := range map[string]struct {
		frames [][]byte
		took   int // bytes that were right
		kind   func(peers.Counts) int64
	}{
		"noise":             {[][]byte{[]byte(strings.Repeat("noise", 100))}, 0, garbage},
		"nothing":           {nil, 0, broken},
		"half a frame":      {[][]byte{opened[:7]}, 0, broken},
		"not opened":        {[][]byte{piece(off, "0123456789"), end}, 0, garbage},
		"opened twice":      {[][]byte{opened, opened}, 0, garbage},
		"an unknown frame":  {[][]byte{opened, bare(99)}, 0, garbage},
		"an answer":         {[][]byte{opened, bare(wire.Answer)}, 0, garbage},
		"a huge frame":      {[][]byte{opened, huge}, 0, garbage},
		"wrong checksum":    {[][]byte{opened, piece(off, "01234"), flipped(piece(off+5, "56789"), 30), end}, 5, damaged},
		"wrong place":       {[][]byte{opened, flipped(piece(off, "0123456789"), 12), end}, 0, damaged},
		"too little":        {[][]byte{opened, piece(off, "01234"), end}, 5, garbage},
		"no end":            {[][]byte{opened, piece(off, "0123456789")}, 10, broken},
		"too much":          {[][]byte{opened, piece(off, "01234567890")}, 0, garbage},
		"more":              {[][]byte{opened, piece(off, "0123456789"), piece(off+10, "x")}, 10, garbage},
		"after the end":     {[][]byte{opened, piece(off, "0123456789"), end, end}, 10, garbage},
		"wrong order":       {[][]byte{opened, piece(off+5, "56789"), piece(off, "01234"), end}, 0, garbage},
		"again":             {[][]byte{opened, piece(off, "01234"), piece(off, "01234"), end}, 5, garbage},
		"wrong chunk":       {[][]byte{opened, zeros(3, off, 10), end}, 0, garbage},
		"two chunks":        {[][]byte{opened, zeros(2, off, 2<<20)}, 0, garbage},
		"endless zeros":     {[][]byte{opened, zeros(2, off, 1<<31)}, 0, garbage},
		"an empty piece":    {[][]byte{opened, piece(off, "")}, 0, garbage},
		"zeros with bytes":  {[][]byte{opened, wire.Append(nil, wire.Zero, zeros(2, off, 10)[12:28], []byte("x"))}, 0, garbage},
		"a short head":      {[][]byte{opened, wire.Append(nil, wire.Piece, []byte("short"), nil)}, 0, garbage},
		"an empty error":    {[][]byte{opened, bare(wire.Error)}, 0, garbage},
		"a nameless other":  {[][]byte{opened, wire.Append(nil, wire.Error, []byte{4}, nil)}, 0, garbage},
		"waiting for ever":  {append([][]byte{opened}, many(wire.Waiting)...), 0, garbage},
		"hints without end": {append([][]byte{opened}, many(wire.Skippable)...), 0, garbage},
	} {
		t.Run(name, func(t *testing.T) {
			at := liar(t, func(w io.Writer) {
				for _, f := range c.frames {
					if _, err := w.Write(f); err != nil {
						return
					}
				}
			})
			p := asker(t, peers.Config{})
			took, err := take(t, p, at, off)
			if !errors.Is(err, cluster.ErrAway) || errors.Is(err, io.EOF) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v", err)
			}
			if took != "0123456789"[:c.took] {
				t.Errorf("%q was taken", took)
			}
			if n := p.Counts(); c.kind(n) != 1 || garbage(n)+broken(n)+damaged(n) != 1 {
				t.Errorf("%+v", n)
			}
		})
	}
}

// take asks for 10 bytes.
func take(t *testing.T, p *peers.Peers, at ring.Node, off int64) (string, error) {
	st, err := p.OpenRange(t.Context(), at, ask(), off, 10)
	if err != nil {
		return "", err
	}
	defer st.Close()
	var b strings.Builder
	for {
		p, err := st.Next()
		if errors.Is(err, io.EOF) {
			return b.String(), nil
		}
		if err != nil {
			return b.String(), err
		}
		b.Write(p.Data)
	}
}

func many(t wire.Type) (f [][]byte) {
	for range 20000 { // fair ones would take an hour
		f = append(f, bare(t))
	}
	return f
}

func garbage(c peers.Counts) int64 { return c.Garbage }
func broken(c peers.Counts) int64  { return c.Broken }
func damaged(c peers.Counts) int64 { return c.Damaged }

// A later version may add hints, fields at the end of heads, and kinds of errors.
func TestAPeerOfALaterVersion(t *testing.T) {
	const off = 2 << 20
	longer := append(piece(off, "x")[12:28:28], make([]byte, 100)...)
	at := liar(t, func(w io.Writer) {
		for _, f := range [][]byte{
			wire.Append(nil, wire.Skippable+7, []byte("hint"), nil), opened, wire.Append(nil, wire.Skippable+9, nil, []byte("hint")),
			wire.Append(nil, wire.Piece, longer, []byte("0")), piece(off+1, "123456789"), bare(wire.End),
		} {
			_, _ = w.Write(f)
		}
	})
	if got, err := take(t, asker(t, peers.Config{}), at, off); err != nil || got != "0123456789" {
		t.Errorf("%q, %v", got, err)
	}
	at = liar(t, func(w io.Writer) { _, _ = w.Write(wire.Append(nil, wire.Error, []byte{77}, nil)) })
	if _, err := take(t, asker(t, peers.Config{}), at, off); !errors.Is(err, chunk.ErrUnavailable) || errors.Is(err, cluster.ErrAway) {
		t.Errorf("%v", err)
	}
}

// Bytes that are no HTTP, statuses that nobody sends, calls with too long an answer.
func TestAPeerThatIsNone(t *testing.T) {
	for name, answer := range map[string]string{
		"noise":        "\x00\x01\x02\r\n\r\n",
		"a web server": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"a redirect":   "HTTP/1.1 301 Moved\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n",
		"headers":      "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n",
		"long":         "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + string(wire.Append(nil, wire.Answer, nil, make([]byte, wire.GroupBytes))) + strings.Repeat("x", 100000),
	} {
		at := raw(t, func(c net.Conn, r *bufio.Reader) {
			if req, err := http.ReadRequest(r); err == nil {
				_, _ = io.Copy(io.Discard, req.Body)
				_, _ = io.WriteString(c, answer)
			}
		})
		p := asker(t, peers.Config{})
		if _, err := take(t, p, at, 0); !errors.Is(err, cluster.ErrAway) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := p.Stat(t.Context(), at, chunk.Object{}); !errors.Is(err, cluster.ErrAway) {
			t.Errorf("%s: a stat: %v", name, err)
		}
	}
}

// A peer that says nothing more is away after a stall, wherever it stopped; one that
// dribbles, after some time for a group. Nothing ever comes, so no machine is too
// slow for this.
func TestAPeerThatFallsSilent(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	for name, frames := range map[string][][]byte{
		"at once":    nil,
		"when open":  {opened},
		"in a frame": {opened, piece(0, "01234")[:30]},
		"after some": {opened, piece(0, "01234")},
	} {
		at := liar(t, func(w io.Writer) {
			for _, f := range frames {
				_, _ = w.Write(f)
			}
			<-stop
		})
		p := asker(t, peers.Config{Stall: 100 * time.Millisecond})
		if _, err := take(t, p, at, 0); !errors.Is(err, cluster.ErrAway) || errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
		if n := p.Counts(); n.Stalled != 1 || n.Broken+n.Garbage > 0 {
			t.Errorf("%s: %+v", name, n)
		}
	}
}

func TestAPeerThatDribbles(t *testing.T) {
	at := liar(t, func(w io.Writer) {
		_, _ = w.Write(opened)
		for _, b := range piece(0, strings.Repeat("x", 10)) {
			time.Sleep(20 * time.Millisecond)
			if _, err := w.Write([]byte{b}); err != nil {
				return
			}
		}
	})
	p := asker(t, peers.Config{Slow: 100 * time.Millisecond})
	if _, err := take(t, p, at, 0); !errors.Is(err, cluster.ErrAway) || p.Counts().Slow != 1 {
		t.Errorf("%v, %+v", err, p.Counts())
	}
}

// After three failures nobody asks for a while; then one good answer is enough.
func TestAFailingPeerIsLeftAlone(t *testing.T) {
	var asked atomic.Int64
	var good atomic.Bool
	at := liar(t, func(w io.Writer) {
		asked.Add(1)
		if good.Load() {
			for _, f := range [][]byte{opened, piece(0, "0123456789"), bare(wire.End)} {
				_, _ = w.Write(f)
			}
		}
	})
	p := asker(t, peers.Config{Rest: 200 * time.Millisecond})
	until(t, "it is left alone", func() bool {
		_, err := take(t, p, at, 0)
		if !errors.Is(err, cluster.ErrAway) {
			t.Fatal(err)
		}
		return p.Counts().LeftAlone > 0
	})
	if asked.Load() < 3 {
		t.Errorf("after %d failures", asked.Load())
	}
	good.Store(true)
	until(t, "it is asked again", func() bool {
		got, err := take(t, p, at, 0)
		return err == nil && got == "0123456789"
	})
	if p.Away(at.ID) {
		t.Error("it still counts as away")
	}
	p.Forget(at.ID)
}

func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	p := asker(t, peers.Config{})
	at := ring.Node{ID: clustertest.Other, Peer: l.Addr().String()}
	if _, err := take(t, p, at, 0); !errors.Is(err, cluster.ErrAway) || p.Counts().Unreached != 1 {
		t.Errorf("%v, %+v", err, p.Counts())
	}
}

// Who takes a connection and then does not shake hands is not waited for.
func TestAPeerThatDoesNotShakeHands(t *testing.T) {
	at := raw(t, func(_ net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) })
	p := asker(t, peers.Config{Identity: newAuthority(t).node(label, clustertest.Self), Connect: 100 * time.Millisecond})
	if err := p.Ping(t.Context(), at); !errors.Is(err, cluster.ErrAway) || p.Counts().Unreached != 1 {
		t.Errorf("%v, %+v", err, p.Counts())
	}
}
