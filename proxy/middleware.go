package proxy

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"runtime/debug"
	"time"

	"glimpse/registry"
	"glimpse/registry/image"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
)

// handle answers a request, or says why not.
type handle func(*request) error

var (
	uuidPattern      = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)
	requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)
)

const headerRequestID = "X-Openstack-Request-Id"

// public wraps a handler that anybody may call; private one that needs to know
// who asks.
func (s *Server) public(route string, fn handle) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) { s.run(ctx, route, fn) }
}

func (s *Server) private(route string, fn handle) fasthttp.RequestHandler {
	return s.public(route, func(r *request) error {
		if err := r.identify(); err != nil {
			return err
		}
		return fn(r)
	})
}

// run is what happens around every handler: a request id, an end to its context,
// an answer to its error or panic, the count and the log.
func (s *Server) run(http *fasthttp.RequestCtx, route string, fn handle) {
	start := time.Now()
	s.active.Add(1)
	defer s.active.Done()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	ctx = registry.NoteStale(ctx, func(time.Duration) {
		http.Response.Header.Set("Warning", `110 glimpse "the registry is away: this record may be out of date"`)
	})
	r := &request{s: s, http: http, ctx: ctx, id: requestID(http), route: route}
	http.Response.Header.Set(headerRequestID, r.id)
	_ = http.Conn().SetWriteDeadline(start.Add(s.cfg.StallTimeout + s.cfg.HeaderTimeout))
	if err := r.guarded(fn); err != nil {
		r.fail(err)
	}
	if r.lingers {
		r.linger()
	}
	// The answer of a metadata request is small; bodies roll their own deadline.
	_ = http.Conn().SetWriteDeadline(time.Now().Add(s.cfg.StallTimeout))
	r.done(time.Since(start))
}

// guarded runs fn; a panic becomes an error, for fasthttp would end the process.
func (r *request) guarded(fn handle) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return fn(r)
}

// done counts and logs the request. A download's body is still to be sent: body
// logs its end.
func (r *request) done(took time.Duration) {
	code := r.http.Response.StatusCode()
	r.s.cfg.Observe(r.route, code, took)
	r.s.cfg.Log.Info("request", "request_id", r.id, "method", string(r.http.Method()), "route", r.route, "path", clip(string(r.http.Path())),
		"status", code, "project", r.who.ProjectID, "user", r.who.UserID, "took", took.Round(time.Microsecond))
}

// clip bounds what a log line repeats of a request.
func clip(s string) string {
	if len(s) > 256 {
		return s[:256]
	}
	return s
}

// requestID is the client's if it is sane, else a new one.
func requestID(ctx *fasthttp.RequestCtx) string {
	if id := ctx.Request.Header.Peek(headerRequestID); requestIDPattern.Match(id) {
		return string(id)
	}
	return "req-" + uuid.NewString()
}

func remoteAddr(ctx *fasthttp.RequestCtx) (netip.Addr, bool) {
	a, ok := netip.AddrFromSlice(ctx.RemoteIP())
	return a.Unmap(), ok
}

// timed bounds a handler that moves no image bytes.
func timed(fn handle) handle {
	return func(r *request) error {
		ctx, cancel := context.WithTimeout(r.ctx, metadataTimeout)
		defer cancel()
		r.ctx = ctx
		return fn(r)
	}
}

// noBody refuses a body where there is nothing to say.
func noBody(fn handle) handle {
	return func(r *request) error {
		if r.http.Request.Header.ContentLength() > 0 || r.http.Request.Header.ContentLength() == -1 {
			return image.Errorf(image.Invalid, "A body is not expected with this request.")
		}
		return fn(r)
	}
}
