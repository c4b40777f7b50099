package imageapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// askTimeout bounds a request that moves no image bytes.
const askTimeout = time.Minute

// maxAnswer bounds a JSON answer, bytes.
const maxAnswer = 4 << 20

// Session is an Image API and who asks it. It is used by many goroutines.
type Session struct {
	Endpoint string // with no slash at its end
	http     *http.Client

	mu    sync.Mutex
	token string // "": none is sent
	renew func(ctx context.Context, old string) (string, error)
}

// newHTTP makes a client of several connections to a host: a connection's rate is
// what limits a transfer, so HTTP/2, which has one, is not spoken.
func newHTTP(secure *tls.Config) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
			TLSClientConfig: secure, TLSHandshakeTimeout: 10 * time.Second, TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
			MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute, ExpectContinueTimeout: 5 * time.Second,
			DisableCompression: true, ReadBufferSize: 256 << 10, WriteBufferSize: 256 << 10, MaxResponseHeaderBytes: 64 << 10,
		},
		// Go would send the token on to wherever a redirect points.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Close closes idle connections.
func (s *Session) Close() { s.http.CloseIdleConnections() }

// request is what is asked.
type request struct {
	method, base, path string
	header             http.Header
	json               []byte                    // a small body
	upload             func() (io.Reader, error) // or a large one, which is begun anew each time it is sent
	size               int64                     // of the upload; -1: unknown
}

// do sends a request, with a token that is made anew if it has run out. Errors are
// those of a request without an answer; a refusal is the answer's.
func (s *Session) do(ctx context.Context, q request) (*http.Response, error) {
	token := s.current()
	resp, err := s.once(ctx, q, token)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || s.renew == nil {
		return resp, err
	}
	fresh, err := s.renew(ctx, token)
	if err != nil {
		resp.Body.Close()
		return nil, keystoneError(err)
	}
	s.mu.Lock()
	s.token = fresh
	s.mu.Unlock()
	resp.Body.Close()
	return s.once(ctx, q, fresh)
}

func (s *Session) current() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token
}

func (s *Session) once(ctx context.Context, q request, token string) (*http.Response, error) {
	var body io.Reader
	switch {
	case q.json != nil:
		body = bytes.NewReader(q.json)
	case q.upload != nil:
		var err error
		if body, err = q.upload(); err != nil {
			return nil, err
		}
		if q.size == 0 {
			body = http.NoBody
		}
	}
	r, err := http.NewRequestWithContext(ctx, q.method, q.base+q.path, body)
	if err != nil {
		return nil, &Error{Code: Usage, Msg: "the request can't be made", Err: err}
	}
	if q.upload != nil {
		r.ContentLength = q.size
	}
	for name, v := range q.header {
		r.Header[name] = v
	}
	if token != "" {
		r.Header.Set("X-Auth-Token", token)
	}
	resp, err := s.http.Do(r)
	if err != nil {
		return nil, unreachable(r.URL.Host, cause(ctx, err))
	}
	return resp, nil
}

// cause is why a request ended, without its URL.
func cause(ctx context.Context, err error) error {
	if why := context.Cause(ctx); why != nil {
		return why
	}
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// answer reads a JSON answer with the status that is wanted.
func (s *Session) answer(ctx context.Context, q request, want int, into any) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	resp, err := s.do(ctx, q)
	if err != nil {
		return err
	}
	if resp.StatusCode != want {
		return refused(resp)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return unreachable(resp.Request.URL.Host, err)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(b, into); err != nil {
		return &Error{Code: Unreachable, Msg: resp.Request.URL.Host + " answers what is no Image API", Err: err}
	}
	return nil
}
