package imageapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// least is how many bytes have to come in as long as a transfer may stall. A server
// that gives one now and then would keep it for ever.
const least = 16 << 10

// errStalled ends a transfer in which too little moves.
var errStalled = errors.New("nothing came in time, or next to nothing")

// Range opens n bytes from off of an image's data at the node at base. A server
// that answers with another part of the data is refused. Reads that get less than
// 16 KiB while they wait as long as stall fail.
func (s *Session) Range(ctx context.Context, base, id string, off, n, size int64, stall time.Duration) (io.ReadCloser, error) {
	b, whole, err := s.open(ctx, base, id, fmt.Sprintf("bytes=%d-%d", off, off+n-1), stall)
	if err != nil {
		return nil, err
	}
	want := fmt.Sprintf("bytes %d-%d/%d", off, off+n-1, size)
	if whole && (off != 0 || n != size) || !whole && b.resp.Header.Get("Content-Range") != want {
		b.Close()
		return nil, Errorf(Unreachable, "%s does not answer ranges", b.resp.Request.URL.Host)
	}
	return b, nil
}

// From opens an image's data from off to its end, and says where the bytes really
// begin: at 0 where the server knows no ranges. total is -1 where it does not say.
func (s *Session) From(ctx context.Context, base, id string, off int64, stall time.Duration) (body io.ReadCloser, begin, total int64, err error) {
	header := ""
	if off > 0 {
		header = fmt.Sprintf("bytes=%d-", off)
	}
	b, whole, err := s.open(ctx, base, id, header, stall)
	if err != nil {
		return nil, 0, 0, err
	}
	if whole {
		return b, 0, b.resp.ContentLength, nil
	}
	var from, to int64
	if _, err := fmt.Sscanf(b.resp.Header.Get("Content-Range"), "bytes %d-%d/%d", &from, &to, &total); err != nil || from != off || to != total-1 || off == 0 {
		b.Close()
		return nil, 0, 0, Errorf(Unreachable, "%s answers another range than was asked for", b.resp.Request.URL.Host)
	}
	return b, off, total, nil
}

func (s *Session) open(ctx context.Context, base, id, ranges string, stall time.Duration) (b *body, whole bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(stall, func() { cancel(errStalled) })
	h := http.Header{}
	if ranges != "" {
		h["Range"] = []string{ranges}
	}
	resp, err := s.do(ctx, request{method: "GET", base: base, path: imagePath(id) + "/file", header: h})
	if err == nil && resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusPartialContent {
		err = refused(resp) // which reads, too
	}
	timer.Stop()
	if err != nil {
		cancel(nil)
		return nil, false, err
	}
	return &body{resp: resp, ctx: ctx, cancel: cancel, timer: timer, stall: stall, left: stall}, resp.StatusCode == http.StatusOK, nil
}

// body is a response's, with a bound on its waits. What its reader does between two
// reads is not waited for.
type body struct {
	resp   *http.Response
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	stall  time.Duration
	left   time.Duration // of the wait for least bytes
	got    int           // of these
}

// Read is the body's. It ends with io.EOF only where all is there that was
// announced.
func (b *body) Read(p []byte) (int, error) {
	start := time.Now()
	b.timer.Reset(b.left)
	n, err := b.resp.Body.Read(p)
	b.timer.Stop()
	b.left -= time.Since(start)
	if b.got += n; b.got >= least {
		b.got, b.left = 0, b.stall
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = Wrap(Unreachable, cause(b.ctx, err), b.resp.Request.URL.Host+" broke off")
	}
	return n, err
}

func (b *body) Close() error {
	b.timer.Stop()
	b.cancel(nil)
	return b.resp.Body.Close()
}
