package proxy

import (
	"slices"

	"glimpse/registry/image"

	"github.com/valyala/fasthttp"
)

// addTag adds a tag; one that is there is no error.
func addTag(r *request) error {
	return r.tag(func(m *image.Image, tag string) error {
		if slices.Contains(m.Tags, tag) {
			return nil
		}
		m.Tags = append(m.Tags, tag)
		if err := image.Validate(*m, r.s.cfg.Limits); err != nil {
			return err
		}
		return quota("tags", len(m.Tags), r.s.cfg.Limits.Tags)
	})
}

// removeTag removes a tag; one that is not there is 404.
func removeTag(r *request) error {
	return r.tag(func(m *image.Image, tag string) error {
		i := slices.Index(m.Tags, tag)
		if i < 0 {
			return image.Errorf(image.NotFound, "Tag not found.")
		}
		m.Tags = slices.Delete(m.Tags, i, i+1)
		return nil
	})
}

func (r *request) tag(fn func(*image.Image, string) error) error {
	tag, err := r.param("tag")
	if err != nil {
		return err
	}
	m, err := r.load("modify_image")
	if err != nil {
		return err
	}
	if _, err := r.s.cfg.Images.Update(r.ctx, m.ID, func(m *image.Image) error { return fn(m, tag) }); err != nil {
		return err
	}
	return r.empty(fasthttp.StatusNoContent)
}
