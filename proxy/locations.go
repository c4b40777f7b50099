package proxy

import (
	"glimpse/proxy/ops"
	"glimpse/proxy/view"
	"glimpse/registry/image"

	"github.com/valyala/fasthttp"
)

// locations answers where an image's bytes are.
func locations(r *request) error {
	m, err := r.loadForService("fetch_image_location")
	if err != nil {
		return err
	}
	return r.answer(fasthttp.StatusOK, view.Locations(m))
}

// loadForService is load, but that a service finds every project's images: it
// acts for their users, with a role of its own.
func (r *request) loadForService(rule string) (image.Image, error) {
	m, err := r.anyImage()
	if err != nil || !r.trusted(m) {
		return r.load(rule)
	}
	return m, r.may(rule, m)
}

// locate gives a queued image its bytes by their location. Without a hash to
// compare them with it is active at once, and hashed in the background; else it
// is importing until the hash is right.
func locate(r *request) error {
	body, err := r.object()
	if err != nil {
		return err
	}
	url, said, err := r.readNewLocation(body)
	if err != nil {
		return err
	}
	m, err := r.loadForService("add_image_location")
	if err != nil {
		return err
	}
	p, err := r.newPlace(m, url)
	if err != nil {
		return err
	}
	_, err = r.s.cfg.Ops.Relocate(r.ctx, m.ID, []ops.Place{p}, true, func(m *image.Image) error {
		if err := r.mayLocate(*m); err != nil {
			return err
		}
		next := image.Active
		if said != nil {
			next = image.Importing
		}
		if err := m.SetStatus(next); err != nil {
			return err
		}
		said.set(m)
		m.Size = &p.Size
		m.Locations = append(m.Locations, p.Location)
		return nil
	})
	if err != nil {
		return err
	}
	return r.empty(fasthttp.StatusAccepted)
}

func (r *request) readNewLocation(body map[string]any) (url string, said *claim, err error) {
	for name := range body {
		if name != "url" && name != "validation_data" {
			return "", nil, image.Errorf(image.Invalid, "The body has more than url and validation_data.")
		}
	}
	if url, err = readURL(body["url"]); err != nil {
		return "", nil, err
	}
	data, ok := body["validation_data"]
	if !ok {
		return url, nil, nil
	}
	if said, err = readClaim(data, false); err != nil {
		return "", nil, err
	}
	if why := said.check(r.s.cfg.HashAlgo); why != "" {
		return "", nil, image.Errorf(image.Invalid, "%s", why)
	}
	return url, said, nil
}

// newPlace finds what is at the URL. Only services may name places that are read
// with our credentials.
func (r *request) newPlace(m image.Image, url string) (ops.Place, error) {
	if err := r.mayLocate(m); err != nil {
		return ops.Place{}, err
	}
	p, err := r.s.cfg.Ops.Locate(url, nil)
	if err != nil {
		return p, err
	}
	if !p.Anonymous && !r.trusted(m) {
		return p, image.Errorf(image.Forbidden, "Only a service may add locations in stores other than http.")
	}
	return r.s.cfg.Ops.Contact(r.ctx, p, m.Owner, r.trusted(m))
}

// mayLocate says whether the record can take a location now.
func (r *request) mayLocate(m image.Image) error {
	switch {
	case m.Status != image.Queued:
		return image.Errorf(image.Conflict, "It's not allowed to add locations if image status is %s.", m.Status)
	case m.DiskFormat == nil || m.ContainerFormat == nil:
		return image.Errorf(image.Invalid, "Properties disk_format, container_format must be set prior to saving data.")
	}
	return quota("locations", len(m.Locations)+1, r.s.cfg.Limits.Locations)
}
