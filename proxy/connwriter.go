package proxy

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// connWriter writes a body to a connection whose deadline rolls: a client that
// takes something within each stall timeout, and no less than the least rate over
// such a time, lives. Only the time spent in writing counts, not the body's own
// waits.
type connWriter struct {
	conn    net.Conn
	tcp     *net.TCPConn // conn itself, when it is bare
	stall   time.Duration
	minRate int64
	sent    atomic.Int64

	spent time.Duration // in this window
	moved int64         // in this window
}

// pieceTLS bounds a write to a TLS connection, which can't go on after a deadline
// has passed in the middle of a record: at the least rate of 1 KiB/s a piece takes
// 16 s, less than the usual stall timeout.
const pieceTLS = 16 << 10

// pieceFile is what is sent of a file under one deadline.
const pieceFile = 4 << 20

func newConnWriter(conn net.Conn, stall time.Duration, minRate int64) *connWriter {
	w := &connWriter{conn: conn, stall: stall, minRate: minRate}
	w.tcp, _ = conn.(*net.TCPConn)
	if w.tcp != nil {
		unpaced(w.tcp)
	}
	return w
}

// unpaced chooses plain Reno for a connection within the machine. What a host
// uses for its network, often BBR, measures and paces there as if there were a
// network, and costs twice the time (bench: warm downloads). A refusal is no harm.
func unpaced(tcp *net.TCPConn) {
	if a, ok := tcp.RemoteAddr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
		return
	}
	if raw, err := tcp.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "reno")
		})
	}
}

var errTooSlow = errors.New("the client takes the body too slowly")

func (w *connWriter) Write(p []byte) (n int, err error) {
	for n < len(p) {
		b := p[n:]
		if w.tcp == nil {
			b = b[:min(len(b), pieceTLS)]
		}
		k, err := w.once(func() (int64, error) { k, err := w.conn.Write(b); return int64(k), err })
		n += int(k)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// once does one write under a fresh deadline. A deadline that passes after some
// bytes went out is progress on a bare connection, and no error.
func (w *connWriter) once(write func() (int64, error)) (int64, error) {
	start := time.Now()
	if err := w.conn.SetWriteDeadline(start.Add(w.stall)); err != nil {
		return 0, err
	}
	n, err := write()
	w.sent.Add(n)
	w.moved += n
	w.spent += time.Since(start)
	if errors.Is(err, os.ErrDeadlineExceeded) && n > 0 && w.tcp != nil {
		err = nil
	}
	if err == nil && w.spent >= w.stall {
		if w.moved < int64(w.spent.Seconds()*float64(w.minRate)) {
			err = errTooSlow
		}
		w.spent, w.moved = 0, 0
	}
	return n, err
}

// ReadFrom lets the kernel send a file by itself. r is an io.LimitedReader over
// an *os.File for that; anything else is copied.
func (w *connWriter) ReadFrom(r io.Reader) (n int64, err error) {
	l, ok := r.(*io.LimitedReader)
	if !ok || w.tcp == nil {
		return io.CopyBuffer(writeOnly{w}, r, make([]byte, 64<<10))
	}
	for l.N > 0 {
		piece := &io.LimitedReader{R: l.R, N: min(l.N, pieceFile)}
		k, err := w.once(func() (int64, error) { return w.tcp.ReadFrom(piece) })
		n += k
		l.N -= k
		if err != nil {
			return n, err
		}
		if k == 0 {
			return n, io.ErrUnexpectedEOF
		}
	}
	return n, nil
}

type writeOnly struct{ io.Writer }

// Kernel states of a connection (include/net/tcp_states.h).
const (
	tcpClose     = 7
	tcpCloseWait = 8
)

// hungUp says whether the other side has gone. A half-closed connection counts
// only while nothing moves: a client may have closed its side and go on reading.
func (w *connWriter) hungUp(idle bool) bool {
	conn := w.conn
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return true
	}
	gone := false
	err = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		gone = err != nil || info.State == tcpClose || idle && info.State == tcpCloseWait
	})
	return gone || err != nil
}
