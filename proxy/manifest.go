package proxy

import (
	"context"
	"errors"

	"glimpse/proxy/ops"
	"glimpse/registry/image"
)

const manifestType = "application/vnd.glimpse.manifest"

// manifest answers the digests of an image's chunks, to whoever may download it.
func manifest(r *request) error {
	m, err := r.downloadable()
	if err != nil {
		return err
	}
	d, err := r.s.cfg.Ops.Data(r.ctx, m)
	if errors.Is(err, ops.ErrNoData) {
		return image.Errorf(image.NotFound, "The image has no data.")
	}
	if err != nil {
		return err
	}
	// The body outlives the handler, so its context is its own.
	ctx, cancel := context.WithCancel(r.s.ctx)
	b, n, err := d.Manifest(ctx)
	if err != nil {
		cancel()
		return err
	}
	r.http.Response.Header.SetContentType(manifestType)
	r.http.Response.ImmediateHeaderFlush = true
	r.http.SetBodyStream(r.newSender(b, n, m.ID, cancel), int(n))
	return nil
}
