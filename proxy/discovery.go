package proxy

import (
	"strings"

	"glimpse/proxy/view"
	"glimpse/registry/image"

	"github.com/valyala/fasthttp"
)

var errNoResource = image.Errorf(image.NotFound, "The resource could not be found.")

// documents are made once.
type documents struct {
	versions                  []string
	imageSchema, imagesSchema map[string]any
}

func newDocuments(c Config) documents {
	schema := view.ImageSchema(c.Limits.DiskFormats, c.Limits.ContainerFormats)
	return documents{versions: view.Versions(!c.SingleStore), imageSchema: schema, imagesSchema: view.ImagesSchema(schema)}
}

// discover answers the versions that are true.
func discover(code int) handle {
	return func(r *request) error {
		return r.answer(code, view.VersionsDocument(r.s.docs.versions, r.endpoint()))
	}
}

// healthcheck says that the process answers, and which node it is; readiness is
// the operator's matter and elsewhere.
func healthcheck(r *request) error {
	if r.s.cfg.NodeID != "" {
		r.http.Response.Header.Set(headerNode, r.s.cfg.NodeID)
	}
	if strings.Contains(r.header("Accept"), "application/json") {
		return r.answer(fasthttp.StatusOK, map[string]any{"detailed": false, "reasons": []string{"OK"}})
	}
	r.http.Response.Header.SetContentType("text/plain; charset=UTF-8")
	r.http.Response.SetBodyString("OK")
	return nil
}

// document answers what does not change.
func document(v any) handle {
	return func(r *request) error { return r.answer(fasthttp.StatusOK, v) }
}
