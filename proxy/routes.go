package proxy

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"glimpse/proxy/view"

	"github.com/fasthttp/router"
	"github.com/valyala/fasthttp"
)

// handler is the whole API: what needs no version first, then the routes of v2.
func (s *Server) handler() fasthttp.RequestHandler {
	v2 := s.routes()
	versions := s.public("/", discover(fasthttp.StatusMultipleChoices))
	known := s.public("/versions", discover(fasthttp.StatusOK))
	health := s.public("/healthcheck", healthcheck)
	bare := s.public("/v2", func(r *request) error {
		r.http.Response.Header.Set("Location", r.endpoint()+"/v2/")
		return r.empty(fasthttp.StatusFound)
	})
	return func(ctx *fasthttp.RequestCtx) {
		path := string(ctx.Request.URI().PathOriginal())
		switch {
		case path == "/healthcheck":
			health(ctx)
		case path == "/versions":
			known(ctx)
		case path == "/v2":
			bare(ctx)
		case strings.HasPrefix(path, "/v2/"), strings.HasPrefix(path, "/glimpse/v1/"):
			v2(ctx)
		default:
			rest, ok := s.versioned(path, ctx.Request.Header.Peek("Accept"))
			if !ok {
				versions(ctx)
				return
			}
			ctx.Request.URI().SetPath(rest)
			ctx.Request.SetRequestURI(rest + query(ctx))
			v2(ctx)
		}
	}
}

func query(ctx *fasthttp.RequestCtx) string {
	if q := ctx.URI().QueryString(); len(q) > 0 {
		return "?" + string(q)
	}
	return ""
}

var (
	minorVersion = regexp.MustCompile(`^/(v2\.\d{1,2})(/.*)$`)
	mediaVersion = regexp.MustCompile(`application/vnd\.openstack\.images-(v2(\.\d{1,2})?)`)
)

// versioned maps /v2.N/x, and a path without version whose Accept names one, to
// /v2/x, for the versions that are true.
func (s *Server) versioned(path string, accept []byte) (string, bool) {
	if m := minorVersion.FindStringSubmatch(path); m != nil {
		return "/v2" + m[2], slices.Contains(s.docs.versions, m[1])
	}
	if m := mediaVersion.FindSubmatch(accept); m != nil && !bytes.HasPrefix([]byte(path), []byte("/v")) && path != "/" {
		v := string(m[1])
		return "/v2" + path, v == "v2" || slices.Contains(s.docs.versions, v)
	}
	return "", false
}

// routes are those of v2, and Glimpse's own.
func (s *Server) routes() fasthttp.RequestHandler {
	r := router.New()
	r.RedirectTrailingSlash, r.RedirectFixedPath = false, false
	r.HandleOPTIONS = true
	r.NotFound = s.private("not found", func(*request) error { return errNoResource })
	r.MethodNotAllowed = s.private("method not allowed", func(r *request) error {
		writeError(r.http, fasthttp.StatusMethodNotAllowed, "The method "+clip(string(r.http.Method()))+" is not allowed for this resource.")
		return nil
	})
	add := func(method, path string, fn handle) { r.Handle(method, path, s.private(method+" "+path, fn)) }
	get := func(path string, fn handle) { add("GET", path, timed(noBody(fn))) }

	get("/v2/images", list)
	add("POST", "/v2/images", timed(create))
	get("/v2/images/{id}", show)
	add("PATCH", "/v2/images/{id}", timed(patch))
	add("DELETE", "/v2/images/{id}", timed(noBody(remove)))
	get("/v2/images/{id}/locations", locations)
	add("POST", "/v2/images/{id}/locations", timed(locate))
	r.PUT("/v2/images/{id}/file", s.bulk("PUT /v2/images/{id}/file", upload))
	add("GET", "/v2/images/{id}/file", noBody(download))
	add("HEAD", "/v2/images/{id}/file", noBody(download))
	add("PUT", "/v2/images/{id}/tags/{tag}", timed(addTag))
	add("DELETE", "/v2/images/{id}/tags/{tag}", timed(noBody(removeTag)))
	get("/v2/images/{id}/members", members)
	add("POST", "/v2/images/{id}/members", timed(addMember))
	get("/v2/images/{id}/members/{member}", showMember)
	add("PUT", "/v2/images/{id}/members/{member}", timed(answerShare))
	add("DELETE", "/v2/images/{id}/members/{member}", timed(noBody(removeMember)))
	add("POST", "/v2/images/{id}/actions/deactivate", timed(deactivate))
	add("POST", "/v2/images/{id}/actions/reactivate", timed(reactivate))

	get("/v2/schemas/image", document(s.docs.imageSchema))
	get("/v2/schemas/images", document(s.docs.imagesSchema))
	get("/v2/schemas/member", document(view.MemberSchema()))
	get("/v2/schemas/members", document(view.MembersSchema()))
	get("/v2/info/import", document(view.ImportInfo()))
	get("/v2/info/stores", infoStores)
	get("/v2/info/stores/detail", infoStoresDetail)
	add("DELETE", "/v2/stores/{store}/{id}", timed(noBody(withdraw)))

	get("/glimpse/v1/nodes", nodes)
	get("/glimpse/v1/images/{id}/manifest", manifest)
	return r.Handler
}
