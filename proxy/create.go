package proxy

import (
	"mime"
	"strings"

	"glimpse/registry/image"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
)

// mediaType is the request's, without parameters; "" where there is none.
func (r *request) mediaType() string {
	t, _, err := mime.ParseMediaType(r.header("Content-Type"))
	if err != nil {
		return strings.TrimSpace(strings.SplitN(r.header("Content-Type"), ";", 2)[0])
	}
	return t
}

// create makes an image record, queued, without data.
func create(r *request) error {
	if t := r.mediaType(); t != "" && t != "application/json" {
		return image.Errorf(image.Unsupported, "The Content-Type must be application/json.")
	}
	body, err := r.object()
	if err != nil {
		return err
	}
	m, err := r.newImage(body)
	if err != nil {
		return err
	}
	made, err := r.s.cfg.Images.Create(r.ctx, m)
	if err != nil {
		return err
	}
	r.http.Response.Header.Set("Location", r.endpoint()+"/v2/images/"+made.ID)
	if r.s.multiStore() {
		r.http.Response.Header.Set("OpenStack-image-store-ids", strings.Join(r.s.storeIDs(), ","))
	}
	return r.answer(fasthttp.StatusCreated, r.view(made))
}

// newImage reads and checks what the body asks for.
func (r *request) newImage(body map[string]any) (image.Image, error) {
	m := image.Image{ID: uuid.NewString(), Status: image.Queued, Visibility: image.Shared}
	if p := r.who.ProjectID; p != "" {
		m.Owner = &p
	}
	for name, v := range body {
		if err := closed(name); err != nil {
			return m, err
		}
		switch name {
		case "id":
			s, err := text(name, v)
			if err != nil || !uuidPattern.MatchString(s) {
				return m, image.Errorf(image.Invalid, "The image id must be a UUID.")
			}
			m.ID = s
		case "locations":
			return m, image.Errorf(image.Forbidden, "Attribute 'locations' can't be set at this site.")
		default:
			if err := assign(&m, name, v); err != nil {
				return m, err
			}
		}
	}
	if err := r.checkNew(m); err != nil {
		return m, err
	}
	return m, nil
}

func (r *request) checkNew(m image.Image) error {
	if err := image.Validate(m, r.s.cfg.Limits); err != nil {
		return err
	}
	if !r.admin && (m.Owner == nil || *m.Owner != r.who.ProjectID) {
		return image.Errorf(image.Forbidden, "You are not permitted to create images owned by another project.")
	}
	if err := r.may("add_image", m); err != nil {
		return err
	}
	if err := r.publish(m); err != nil {
		return err
	}
	if err := quota("properties", len(m.Properties), r.s.cfg.Limits.Properties); err != nil {
		return err
	}
	return quota("tags", len(m.Tags), r.s.cfg.Limits.Tags)
}
