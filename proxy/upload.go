package proxy

import (
	"io"
	"strconv"
	"strings"

	"glimpse/proxy/ops"
	"glimpse/registry/image"

	"github.com/valyala/fasthttp"
)

// upload gives an image its data.
func upload(r *request) error {
	m, announced, err := r.uploadable()
	if err != nil {
		return err
	}
	if err := r.receive(m, announced); err != nil {
		r.http.Response.SetConnectionClose()
		return err
	}
	return r.empty(fasthttp.StatusNoContent)
}

// uploadable checks all that can be checked before the body is asked for.
func (r *request) uploadable() (m image.Image, announced int64, err error) {
	if r.mediaType() != "application/octet-stream" {
		return m, 0, image.Errorf(image.Unsupported, "The Content-Type must be application/octet-stream.")
	}
	if announced, err = r.announced(); err != nil {
		return m, 0, err
	}
	if m, err = r.load("upload_image"); err != nil {
		return m, 0, err
	}
	if m.Status != image.Queued {
		return m, 0, image.Errorf(image.Conflict, "Image %s is in status '%s': data can be uploaded to a queued image only.", m.ID, m.Status)
	}
	if announced > r.s.cfg.Limits.SizeCap {
		return m, 0, image.Errorf(image.TooLarge, "Image exceeds the size limit of %d bytes.", r.s.cfg.Limits.SizeCap)
	}
	return m, announced, nil
}

// announced is the body's size as the client tells it, by Content-Length or, when
// the body is chunked, by a header of Glance's; -1 where it does not.
func (r *request) announced() (int64, error) {
	size := int64(r.http.Request.Header.ContentLength())
	if size == -2 { // no body
		size = 0
	}
	h := r.header("X-Openstack-Image-Size")
	if h == "" {
		return size, nil
	}
	n, err := strconv.ParseInt(h, 10, 64)
	if err != nil || n < 0 || size >= 0 && size != n {
		return 0, image.Errorf(image.Invalid, "X-OpenStack-Image-Size is not the size of the body.")
	}
	return n, nil
}

// receive passes the body on.
func (r *request) receive(m image.Image, announced int64) error {
	u := ops.Upload{Image: m, Body: eof{}, Announced: announced, Store: r.uploadStore(), Token: image.Secret(r.header("X-Auth-Token"))}
	if stream := r.http.RequestBodyStream(); stream != nil {
		b := newBodyReader(r.http.Conn(), stream, int64(r.http.Request.Header.ContentLength()), r.s.cfg.StallTimeout, r.s.cfg.MinRate)
		u.Body, u.Interrupt, r.incoming = b, b.interrupt, b
	}
	_, err := r.s.cfg.Ops.Upload(r.ctx, u)
	return err
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// expect answers Expect: 100-continue before the client sends its body: an
// upload that would be refused is refused now. Other requests are answered by
// their handlers.
func (s *Server) expect(http *fasthttp.RequestCtx) int {
	id, ok := uploadPath(string(http.URI().PathOriginal()))
	if !ok || !http.IsPut() {
		return fasthttp.StatusContinue
	}
	refused := false
	http.SetUserValue("id", id)
	s.run(http, "PUT /v2/images/{id}/file", func(r *request) error {
		err := r.identify()
		if err == nil {
			_, _, err = r.uploadable()
		}
		refused = err != nil
		return err
	})
	if refused {
		return http.Response.StatusCode()
	}
	http.Response.Reset()
	return fasthttp.StatusContinue
}

// uploadPath returns the id in the path of an upload, escaped as it stands.
func uploadPath(path string) (id string, ok bool) {
	version, rest, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/images/")
	if !ok || !strings.HasPrefix(version, "v2") {
		return "", false
	}
	id, ok = strings.CutSuffix(rest, "/file")
	return id, ok && !strings.Contains(id, "/")
}
