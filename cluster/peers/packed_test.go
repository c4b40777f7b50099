package peers_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/clustertest"
	"glimpse/cluster/peers"
	"glimpse/cluster/ring"
	"glimpse/cluster/serve"
	"glimpse/cluster/wire"
)

// counting counts what is read of a connection.
type counting struct {
	net.Conn
	n *atomic.Int64
}

func (c counting) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.n.Add(int64(n))
	return n, err
}

// packable is a Local whose objects are of text.
type packable struct {
	*clustertest.Local
	text []byte
}

func (l packable) OpenRange(_ context.Context, _ cluster.Ask, off, n int64) (chunk.Stream, error) {
	return &texts{rest: l.text[:n], off: off}, nil
}

type texts struct {
	rest []byte
	off  int64
}

func (s *texts) Next() (chunk.Piece, error) {
	if len(s.rest) == 0 {
		return chunk.Piece{}, io.EOF
	}
	b := s.rest[:min(len(s.rest), 100_000, int(1<<20-s.off%(1<<20)))]
	p := chunk.Piece{Index: int(s.off >> 20), Off: s.off, Len: int64(len(b)), Data: b}
	s.rest, s.off = s.rest[len(b):], s.off+p.Len
	return p, nil
}

func (s *texts) Close() error { return nil }

// Who is of another zone gets bytes packed where it pays; the others do not.
func TestBytesComePackedFromAnotherZone(t *testing.T) {
	text := bytes.Repeat([]byte("bytes that say the same again and again; "), 60_000)[:2<<20]
	s := listen(t, serve.Config{Local: packable{text: text}})
	var carried [2]int64
	for i, zone := range []string{"a", "b"} {
		var n atomic.Int64
		p := asker(t, peers.Config{
			Packs: func(at ring.Node) bool { return at.Zone != "a" },
			Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
				return counting{c, &n}, err
			},
		})
		at := s.at
		at.Zone = zone
		q := ask()
		st, err := p.OpenRange(t.Context(), at, q, 2<<20, 2<<20)
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		for {
			piece, err := st.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, piece.Data...)
		}
		st.Close()
		if !bytes.Equal(got, text) {
			t.Errorf("zone %s: %d bytes that are not the %d of the text", zone, len(got), len(text))
		}
		carried[i] = n.Load()
		if saved := p.Counts().Saved; (saved > 1<<20) != (zone == "b") {
			t.Errorf("zone %s: %d bytes saved", zone, saved)
		}
	}
	t.Logf("%d bytes came plain, %d packed", carried[0], carried[1])
	if carried[0] < 2<<20 || carried[1] > 1<<20 {
		t.Error("that is not what was to be packed")
	}
}

// A peer that packs what nobody offered to take is not understood.
func TestPackedBytesUnasked(t *testing.T) {
	k := wire.Packer{On: true}
	f, _ := k.Append(nil, chunk.Piece{Index: 2, Off: 2 << 20, Len: 1000, Data: bytes.Repeat([]byte("a"), 1000)})
	at := liar(t, func(w io.Writer) { _, _ = w.Write(append(bytes.Clone(opened), f...)) })
	p := asker(t, peers.Config{})
	if took, err := take(t, p, at, 2<<20); !errors.Is(err, cluster.ErrAway) || took != "" || strings.Contains(err.Error(), "\n") {
		t.Errorf("%q, %v", took, err)
	}
	if n := p.Counts(); n.Garbage != 1 || n.Saved != 0 {
		t.Errorf("%+v", n)
	}
}
