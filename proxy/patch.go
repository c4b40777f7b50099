package proxy

import (
	"errors"
	"maps"
	"slices"

	"glimpse/proxy/jsonpatch"
	"glimpse/registry/image"

	"github.com/valyala/fasthttp"
)

// patch changes an image by a patch document.
func patch(r *request) error {
	e, err := r.patchDocument()
	if err != nil {
		return err
	}
	m, err := r.load("modify_image")
	if err != nil {
		return err
	}
	before := m.Visibility
	apply := func(m *image.Image) error { return r.apply(m, e) }
	if changesLocations(e.changes) {
		if err := r.contact(m, e); err != nil {
			return err
		}
		m, err = r.s.cfg.Ops.Relocate(r.ctx, m.ID, slices.Collect(maps.Values(e.places)), e.claims, apply)
	} else {
		m, err = r.s.cfg.Images.Update(r.ctx, m.ID, apply)
	}
	if err != nil {
		return err
	}
	if m.Visibility != before || changesLocations(e.changes) {
		r.s.cfg.Ops.Share(r.ctx, m)
	}
	return r.answer(fasthttp.StatusOK, r.view(m))
}

func (r *request) patchDocument() (*edit, error) {
	media := r.mediaType()
	if media != jsonpatch.MediaTypeV21 && media != jsonpatch.MediaTypeV20 {
		r.http.Response.Header.Set("Accept-Patch", jsonpatch.MediaTypeV20+", "+jsonpatch.MediaTypeV21)
		return nil, image.Errorf(image.Unsupported, "The Content-Type must be %s or %s.", jsonpatch.MediaTypeV21, jsonpatch.MediaTypeV20)
	}
	b, err := r.body()
	if err != nil {
		return nil, err
	}
	changes, err := jsonpatch.Parse(media, b)
	if err != nil {
		var known *image.Error
		if errors.As(err, &known) {
			return nil, err
		}
		return nil, image.Errorf(image.Invalid, "%s", err.Error())
	}
	e := &edit{changes: changes, asked: map[int][]asked{}}
	for i, c := range changes {
		if c.Path[0] == "locations" && c.Kind != jsonpatch.Remove {
			if e.asked[i], err = readAsked(c); err != nil {
				return nil, err
			}
		}
	}
	return e, nil
}

// apply makes the changes in order and checks the whole at the end. It is pure
// but for its questions to the policy, and may run more than once.
func (r *request) apply(m *image.Image, e *edit) error {
	before := m.Clone()
	for i, c := range e.changes {
		if err := r.change(m, c, e, i); err != nil {
			return err
		}
	}
	if len(e.changes) == 0 {
		return nil
	}
	if err := image.Validate(*m, r.s.cfg.Limits); err != nil {
		return err
	}
	if m.Visibility != before.Visibility {
		if err := r.publish(*m); err != nil {
			return err
		}
	}
	if n := len(m.Properties); n > len(before.Properties) {
		if err := quota("properties", n, r.s.cfg.Limits.Properties); err != nil {
			return err
		}
	}
	if n := len(m.Tags); n > len(before.Tags) {
		return quota("tags", n, r.s.cfg.Limits.Tags)
	}
	return nil
}

// change makes one change.
func (r *request) change(m *image.Image, c jsonpatch.Op, e *edit, index int) error {
	name := c.Path[0]
	if err := closed(name); err != nil {
		return err
	}
	switch name {
	case "id":
		return image.Errorf(image.Forbidden, "Attribute 'id' is read-only.")
	case "locations":
		return r.changeLocations(m, c, e, index)
	}
	if slices.Contains(writable, name) {
		return r.changeBase(m, c, name)
	}
	_, there := m.Properties[name]
	switch {
	case c.Kind == jsonpatch.Add && c.Legacy && there:
		return image.Errorf(image.Conflict, "Property %s already present.", clip(name))
	case c.Kind != jsonpatch.Add && !there:
		return image.Errorf(image.Conflict, "Property %s does not exist.", clip(name))
	case c.Kind == jsonpatch.Remove:
		delete(m.Properties, name)
		return nil
	}
	return assign(m, name, c.Value)
}

func (r *request) changeBase(m *image.Image, c jsonpatch.Op, name string) error {
	if c.Kind == jsonpatch.Remove {
		return image.Errorf(image.Forbidden, "Property %s may not be removed.", name)
	}
	switch name {
	case "owner":
		if !r.admin {
			return image.Errorf(image.Forbidden, "Attribute 'owner' can only be changed by an administrator.")
		}
	case "disk_format", "container_format":
		if m.Status != image.Queued && m.Status != image.Importing {
			return image.Errorf(image.Forbidden, "Attribute %s can be only replaced for a queued image.", name)
		}
	}
	return assign(m, name, c.Value)
}
