package swift

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"glimpse/backends"
	"glimpse/backends/httpread"

	"github.com/cenkalti/backoff/v5"
)

const agent = "glimpse"

var (
	errSilent   = fmt.Errorf("swift: the server does not answer: %w", backends.ErrUnavailable)
	errConflict = errors.New("swift: status 409")
	errMangled  = fmt.Errorf("swift: what arrived is not what was sent: %w", backends.ErrUnavailable)
)

func dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return (&net.Dialer{Timeout: connectTimeout}).DialContext(ctx, network, addr)
}

// call is one request.
type call struct {
	method, container, object string
	query                     url.Values
	header                    map[string]string
	body                      [][]byte
	wind                      func() // the body goes on
}

// send sends the request with the account's token, and once more with a new one
// where that is refused. The caller closes the body.
func (s *Store) send(ctx context.Context, p place, c call) (*http.Response, error) {
	if p.token != "" {
		resp, err := s.sendWith(ctx, grant{token: p.token.Reveal(), storage: p.storage}, c)
		if err != nil || resp.StatusCode != http.StatusUnauthorized {
			return resp, err
		}
		discard(resp) // it has ended in the middle of the upload
	}
	for try := 0; ; try++ {
		g, err := p.account.grant(ctx)
		if err != nil {
			return nil, err
		}
		if p.storage != "" {
			if !sameHost(p.storage, g.storage) {
				return nil, errors.New("swift: the location is on another server than this store")
			}
			g.storage = p.storage
		}
		resp, err := s.sendWith(ctx, g, c)
		if err != nil || resp.StatusCode != http.StatusUnauthorized || try > 0 {
			return resp, err
		}
		discard(resp)
		p.account.drop(g.token)
	}
}

func (s *Store) sendWith(ctx context.Context, g grant, c call) (*http.Response, error) {
	to := g.storage + "/" + url.PathEscape(c.container)
	if c.container == "" {
		to = g.storage
	}
	if c.object != "" {
		to += "/" + url.PathEscape(c.object)
	}
	if c.query != nil {
		to += "?" + c.query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, c.method, to, nil)
	if err != nil {
		return nil, errors.New("swift: the storage URL is none")
	}
	for k, v := range c.header {
		r.Header.Set(k, v)
	}
	// Ceph's gateway sends bytes of a large object beyond the end of its answer: they
	// must not be taken for the next answer's.
	r.Close = c.method == http.MethodHead || c.method == http.MethodGet && !s.c.NoReplace
	r.Header.Set("X-Auth-Token", g.token)
	r.Header.Set("User-Agent", agent)
	// Sends nothing, and lets the client try again by itself where the server had closed
	// a connection that it took for idle, as Swift does after it refused a body. What is
	// asked for here may be asked for twice.
	r.Header["X-Idempotency-Key"] = nil
	if c.method == http.MethodPut {
		withBody(r, c)
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return nil, translate(r.Context(), err)
	}
	return resp, nil
}

// withBody sends buffers, in one piece or not at all.
func withBody(r *http.Request, c call) {
	for _, b := range c.body {
		r.ContentLength += int64(len(b))
	}
	if r.ContentLength == 0 {
		r.Body = http.NoBody
		return
	}
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(&sent{bufs: c.body, wind: c.wind}), nil }
	r.Body, _ = r.GetBody()
	r.Header.Set("Expect", "100-continue")
}

// sent reads buffers and winds the watch at each step.
type sent struct {
	bufs [][]byte
	wind func()
}

func (b *sent) Read(p []byte) (int, error) {
	for len(b.bufs) > 0 && len(b.bufs[0]) == 0 {
		b.bufs = b.bufs[1:]
	}
	if len(b.bufs) == 0 {
		return 0, io.EOF
	}
	b.wind()
	n := copy(p, b.bufs[0])
	// The caller's slice of slices is left as it is: it is read again by a retry.
	b.bufs = append([][]byte{b.bufs[0][n:]}, b.bufs[1:]...)
	return n, nil
}

// ask sends a request of which only the answer's header is of interest, and makes
// an error of every status but those of success.
func (s *Store) ask(ctx context.Context, p place, c call) (http.Header, error) {
	// A small request has so much time; a body has it for each of its pieces.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(2*s.c.Timeout, func() { cancel(errSilent) })
	defer silent.Stop()
	c.wind = func() { silent.Reset(2 * s.c.Timeout) }
	resp, err := s.send(ctx, p, c)
	if err != nil {
		return nil, err
	}
	defer discard(resp)
	if resp.StatusCode/100 != 2 {
		return resp.Header, statusError(resp)
	}
	if c.method == http.MethodHead && resp.ContentLength >= 0 { // HTTP/2 and some proxies leave the field out
		resp.Header.Set("Content-Length", strconv.FormatInt(resp.ContentLength, 10))
	}
	return resp.Header, nil
}

// again asks until the server is there, at most Tries times more.
func (s *Store) again(ctx context.Context, p place, c call) (h http.Header, err error) {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = 100 * time.Millisecond
	for try := 0; ; try++ {
		h, err = s.ask(ctx, p, c)
		if err == nil || !errors.Is(err, backends.ErrUnavailable) || try >= s.c.Tries {
			return h, err
		}
		wait := max(b.NextBackOff(), backends.BusyFor(err))
		if wait > maxWait {
			return h, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return h, context.Cause(ctx)
		}
	}
}

// maxWait is how long a server may ask a writer to wait.
const maxWait = 30 * time.Second

// discard reads a little of what is left, so that the connection can be used again.
func discard(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	resp.Body.Close()
}

// translate gives an error of the client the sentinel that callers test. The URL
// is left out.
func translate(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if errors.Is(err, errRedirect) {
		return fmt.Errorf("swift: %w", httpread.WithoutURL(err))
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("swift: %w: %w", backends.ErrUnavailable, io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("swift: %w: %w", backends.ErrUnavailable, httpread.Plain(err, "HTTP"))
}

// statusRateLimit is Swift's own of its rate limits.
const statusRateLimit = 498

func statusError(resp *http.Response) error {
	switch code := resp.StatusCode; code {
	case http.StatusNotFound, http.StatusGone:
		return fmt.Errorf("swift: %w", backends.ErrNotFound)
	case http.StatusConflict:
		return errConflict
	case http.StatusPreconditionFailed:
		return fmt.Errorf("swift: %w", backends.ErrChanged)
	case http.StatusRequestEntityTooLarge, http.StatusInsufficientStorage:
		return fmt.Errorf("swift: %w: status %d", backends.ErrFull, code)
	case http.StatusRequestedRangeNotSatisfiable:
		return fmt.Errorf("swift: %w", io.ErrUnexpectedEOF)
	case http.StatusUnprocessableEntity:
		return errMangled
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("swift: the user may not do this: status %d", code)
	case http.StatusServiceUnavailable, http.StatusTooManyRequests, statusRateLimit:
		return backends.Busy(httpread.RetryAfter(resp.Header), fmt.Errorf("swift: status %d", code))
	case http.StatusRequestTimeout:
		return fmt.Errorf("swift: %w: status %d", backends.ErrUnavailable, code)
	default:
		if code >= 500 {
			return fmt.Errorf("swift: %w: status %d", backends.ErrUnavailable, code)
		}
		return fmt.Errorf("swift: status %d", code)
	}
}
