package proxy

import (
	"net/url"

	"glimpse/proxy/view"
	"glimpse/registry/image"

	"github.com/valyala/fasthttp"
)

// list answers one page of images.
func list(r *request) error {
	if !r.who.Anonymous && !r.s.cfg.Policy.Allows("get_images", r.roles, map[string]string{"project_id": r.who.ProjectID}) {
		return image.Errorf(image.Forbidden, "You are not authorized to complete get_images action.")
	}
	raw := string(r.http.URI().QueryString())
	values, err := url.ParseQuery(raw)
	if err != nil {
		return image.Errorf(image.Invalid, "The query is not well formed.")
	}
	q, err := parseQuery(values, r.s.cfg.LimitParamDefault, r.s.cfg.APILimitMax)
	if err != nil {
		return err
	}
	q.Project, q.Admin = r.who.ProjectID, r.admin
	page, err := r.s.cfg.Images.List(r.ctx, q)
	if err != nil {
		return err
	}
	for i := range page {
		page[i] = r.s.cfg.Ops.Labelled(page[i])
	}
	values.Del("marker")
	first := link(values)
	next := ""
	if len(page) > 0 && len(page) == q.Limit {
		values.Set("marker", page[len(page)-1].ID)
		next = link(values)
	}
	return r.answer(fasthttp.StatusOK, view.Images(page, first, next, r.shown))
}

// link is a path that clients follow as it is.
func link(values url.Values) string {
	if len(values) == 0 {
		return "/v2/images"
	}
	return "/v2/images?" + values.Encode()
}
