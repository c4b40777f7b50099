package proxy

import (
	"glimpse/proxy/view"
	"glimpse/registry/image"

	"github.com/valyala/fasthttp"
)

// show answers one image.
func show(r *request) error {
	m, err := r.image()
	if err != nil {
		return err
	}
	return r.answer(fasthttp.StatusOK, r.view(m))
}

// view is an image as the caller is shown it.
func (r *request) view(m image.Image) map[string]any {
	return view.Image(r.s.cfg.Ops.Labelled(m), r.shown(m))
}

// shown says what of an image the caller is shown.
func (r *request) shown(m image.Image) view.Options {
	c := r.s.cfg
	places := (c.ShowMultipleLocations || c.ShowImageDirectURL) && r.allows("get_image_location", m)
	o := view.Options{Stores: r.s.multiStore(), Locations: c.ShowMultipleLocations && places}
	if c.ShowImageDirectURL && places {
		o.DirectURL = c.Ops.Best(m)
	}
	return o
}

// remove deletes an image.
func remove(r *request) error {
	m, err := r.load("delete_image")
	if err != nil {
		return err
	}
	if err := r.s.cfg.Ops.Delete(r.ctx, m); err != nil {
		return err
	}
	return r.empty(fasthttp.StatusNoContent)
}

func deactivate(r *request) error { return r.act("deactivate", image.Deactivated) }
func reactivate(r *request) error { return r.act("reactivate", image.Active) }

// act moves an image between active and deactivated; where it is already is no
// error.
func (r *request) act(rule string, to image.Status) error {
	m, err := r.load(rule)
	if err != nil {
		return err
	}
	_, err = r.s.cfg.Images.Update(r.ctx, m.ID, func(m *image.Image) error {
		switch {
		case m.Status == to:
			return nil
		case m.Status != image.Active && m.Status != image.Deactivated:
			return image.Errorf(image.Forbidden, "Not allowed to %s image in status '%s'", rule, m.Status)
		}
		return m.SetStatus(to)
	})
	if err != nil {
		return err
	}
	return r.empty(fasthttp.StatusNoContent)
}
