package proxy

import (
	"errors"
	"html"
	"net"
	"strings"

	"glimpse/registry/image"

	"github.com/valyala/fasthttp"
)

// statuses is the one table from kinds of error to HTTP.
var statuses = map[image.Kind]int{
	image.Internal:        fasthttp.StatusInternalServerError,
	image.Invalid:         fasthttp.StatusBadRequest,
	image.Unauthenticated: fasthttp.StatusUnauthorized,
	image.Forbidden:       fasthttp.StatusForbidden,
	image.NotFound:        fasthttp.StatusNotFound,
	image.Conflict:        fasthttp.StatusConflict,
	image.Gone:            fasthttp.StatusGone,
	image.TooLarge:        fasthttp.StatusRequestEntityTooLarge,
	image.Unsupported:     fasthttp.StatusUnsupportedMediaType,
	image.BadRange:        fasthttp.StatusRequestedRangeNotSatisfiable,
	image.Unavailable:     fasthttp.StatusServiceUnavailable,
	image.Timeout:         fasthttp.StatusRequestTimeout,
}

// fail answers an error. Of an internal one, and of the cause of any other, the
// client learns nothing; the log tells.
func (r *request) fail(err error) {
	kind := image.KindOf(err)
	code := statuses[kind]
	msg := "The server has either erred or is incapable of performing the requested operation."
	var e *image.Error
	if errors.As(err, &e) && kind != image.Internal {
		msg = e.Msg
	}
	switch {
	case kind == image.Internal:
		r.s.cfg.Log.Error("request failed", "request_id", r.id, "route", r.route, "error", err)
	case kind == image.Unavailable:
		r.s.cfg.Log.Warn("request failed", "request_id", r.id, "route", r.route, "error", err)
		r.http.Response.Header.Set("Retry-After", "5")
	case e != nil && e.Err != nil:
		r.s.cfg.Log.Debug("request refused", "request_id", r.id, "route", r.route, "error", err)
	}
	if kind == image.Unauthenticated {
		if c := r.s.cfg.Auth.Challenge(); c != "" {
			r.http.Response.Header.Set("WWW-Authenticate", c)
		}
	}
	writeError(r.http, code, msg)
}

// writeError answers in the form that the client accepts. Glance's clients take
// JSON with their own idea of its shape when they say */*, so that JSON is only
// for those who name it.
func writeError(ctx *fasthttp.RequestCtx, code int, msg string) {
	ctx.Response.ResetBody()
	ctx.Response.SetStatusCode(code)
	title := fasthttp.StatusMessage(code)
	status := statusLine(code)
	accept := string(ctx.Request.Header.Peek("Accept"))
	switch {
	case strings.Contains(accept, "application/json"):
		ctx.Response.Header.SetContentType("application/json; charset=UTF-8")
		body, err := encode(map[string]string{"message": msg + "<br /><br />\n\n\n", "code": status, "title": title})
		if err == nil {
			ctx.Response.SetBodyRaw(body)
		}
	case strings.Contains(accept, "text/html") || strings.Contains(accept, "*/*"):
		ctx.Response.Header.SetContentType("text/html; charset=UTF-8")
		m := html.EscapeString(msg)
		ctx.Response.SetBodyString("<html>\n <head>\n  <title>" + status + "</title>\n </head>\n <body>\n  <h1>" + status + "</h1>\n  " + m + "<br /><br />\n\n\n\n </body>\n</html>")
	default:
		ctx.Response.Header.SetContentType("text/plain; charset=UTF-8")
		ctx.Response.SetBodyString(status + "\n\n" + msg + "\n\n")
	}
}

func statusLine(code int) string {
	return strings.TrimSpace(itoa(code) + " " + fasthttp.StatusMessage(code))
}

// malformed answers what is not a request.
func (s *Server) malformed(ctx *fasthttp.RequestCtx, err error) {
	code, msg := fasthttp.StatusBadRequest, "The request is malformed."
	var small *fasthttp.ErrSmallBuffer
	var op *net.OpError
	switch {
	case errors.As(err, &small):
		code, msg = fasthttp.StatusRequestHeaderFieldsTooLarge, "The request's header is too large."
	case errors.As(err, &op) && op.Timeout():
		code, msg = fasthttp.StatusRequestTimeout, "The request did not come in time."
	}
	ctx.Response.Header.Set(headerRequestID, requestID(ctx))
	writeError(ctx, code, msg)
	s.cfg.Observe("malformed", code, 0)
}
