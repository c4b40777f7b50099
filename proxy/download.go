package proxy

import (
	"context"
	"errors"
	"fmt"

	"glimpse/proxy/ops"
	"glimpse/registry/image"

	"github.com/valyala/fasthttp"
)

// download answers an image's data, whole or a range. HEAD answers the same
// header.
func download(r *request) error {
	m, err := r.downloadable()
	if err != nil {
		return err
	}
	prefer, err := r.preferred(m)
	if err != nil {
		return err
	}
	d, err := r.s.cfg.Ops.Data(r.ctx, m, prefer...)
	if errors.Is(err, ops.ErrNoData) {
		return r.noData()
	}
	if err != nil {
		return err
	}
	return r.send(m, d)
}

// downloadable loads the image of the path if the caller may have its bytes.
func (r *request) downloadable() (image.Image, error) {
	m, err := r.load("download_image")
	if err == nil && m.Status == image.Deactivated && !r.admin {
		err = image.Errorf(image.Forbidden, "The requested image has been deactivated. Image data download is forbidden.")
	}
	return m, err
}

// noData is Glance's answer for an image that has none to send.
func (r *request) noData() error {
	if r.header("Range") != "" || r.header("Content-Range") != "" {
		return errRange
	}
	return r.empty(fasthttp.StatusNoContent)
}

// send answers conditions and ranges and starts the body.
func (r *request) send(m image.Image, d ops.Data) error {
	h := &r.http.Response.Header
	h.Set("Accept-Ranges", "bytes")
	if d.ETag != "" {
		h.Set("ETag", d.ETag)
	}
	switch {
	case mismatched(r.header("If-Match"), d.ETag):
		h.Del("ETag")
		writeError(r.http, fasthttp.StatusPreconditionFailed, "The image's data is another than If-Match names.")
		return nil
	case unchanged(r.header("If-None-Match"), d.ETag):
		r.http.Response.SetStatusCode(fasthttp.StatusNotModified)
		return nil
	}
	part, partial, err := r.span(d)
	if err != nil {
		h.Set("Content-Range", fmt.Sprintf("bytes */%d", d.Size))
		return err
	}
	if m.Checksum != nil && *m.Checksum != "" {
		h.Set("Content-MD5", *m.Checksum) // hex, of the whole image also with a range
	}
	if partial {
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", part.off, part.off+part.n-1, d.Size))
		r.http.Response.SetStatusCode(fasthttp.StatusPartialContent)
	}
	h.SetContentType("application/octet-stream")
	if r.http.IsHead() {
		r.http.Response.SkipBody = true
		h.SetContentLength(int(part.n))
		return nil
	}
	return r.stream(m, d, part)
}

// span is what the request wants of the body.
func (r *request) span(d ops.Data) (part span, partial bool, err error) {
	whole := span{0, d.Size}
	if _, ok := r.peek("Range"); ok && rangeStands(r.header("If-Range"), d.ETag) {
		part, err = parseRange(r.header("Range"), d.Size)
		return part, true, err
	}
	if _, ok := r.peek("Content-Range"); ok {
		part, err = parseContentRange(r.header("Content-Range"), d.Size)
		return part, true, err
	}
	return whole, false, nil
}

// peek says whether a header is there, empty or not.
func (r *request) peek(name string) ([]byte, bool) {
	v := r.http.Request.Header.Peek(name)
	return v, v != nil
}

// stream opens the range and hands it to the connection. The body outlives the
// handler, so its context is its own.
func (r *request) stream(m image.Image, d ops.Data, part span) error {
	ctx, cancel := context.WithCancel(r.s.ctx)
	b, err := d.Open(ctx, part.off, part.n)
	if err != nil {
		cancel()
		if errors.Is(err, ops.ErrNoData) {
			return r.noData()
		}
		return err
	}
	r.http.Response.ImmediateHeaderFlush = true
	r.http.SetBodyStream(r.newSender(b, part.n, m.ID, cancel), int(part.n))
	return nil
}
