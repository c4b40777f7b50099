package proxy

import (
	"context"
	"net/url"
	"strings"
	"time"

	"glimpse/proxy/identity"
	"glimpse/proxy/policy"
	"glimpse/registry/image"

	"github.com/valyala/fasthttp"
)

// metadataTimeout bounds a request that moves no image bytes.
const metadataTimeout = 60 * time.Second

// request is one request under way. It must not outlive its handler.
type request struct {
	s     *Server
	http  *fasthttp.RequestCtx
	ctx   context.Context // ends with the handler, or when the server cuts
	id    string          // the request id
	route string
	who   identity.Identity
	roles policy.Credentials
	admin bool

	incoming *bodyReader // of an upload that has begun
	lingers  bool        // the answer goes out while the client may still be sending
}

// param returns a decoded part of the path.
func (r *request) param(name string) (string, error) {
	raw, _ := r.http.UserValue(name).(string)
	v, err := url.PathUnescape(raw)
	if err != nil {
		return "", image.Errorf(image.Invalid, "The path is not well escaped.")
	}
	return v, nil
}

// header returns a copy of a request header.
func (r *request) header(name string) string { return string(r.http.Request.Header.Peek(name)) }

// identify finds out who asks.
func (r *request) identify() error {
	remote, _ := remoteAddr(r.http)
	who, err := r.s.cfg.Auth.Authenticate(r.ctx, identity.Request{
		Token: r.header("X-Auth-Token"), ServiceToken: r.header("X-Service-Token"), Remote: remote,
		Header: r.header, Method: string(r.http.Method()), Path: string(r.http.Path()),
	})
	if err != nil {
		return err
	}
	if who.SystemScope {
		return image.Errorf(image.Forbidden, "The Image API takes no system-scoped tokens.")
	}
	r.who = who
	r.roles = policy.Credentials{
		UserID: who.UserID, ProjectID: who.ProjectID, DomainID: who.DomainID, Roles: who.Roles, ServiceRoles: who.ServiceRoles,
	}
	r.admin = who.Anonymous || r.s.cfg.Policy.Allows("context_is_admin", r.roles, nil)
	return nil
}

// allows asks a rule about an image.
func (r *request) allows(rule string, m image.Image) bool {
	return r.who.Anonymous || r.s.cfg.Policy.Allows(rule, r.roles, target(m, r.who.ProjectID))
}

// may is allows as an error: 403.
func (r *request) may(rule string, m image.Image) error {
	if !r.allows(rule, m) {
		return image.Errorf(image.Forbidden, "You are not authorized to complete %s action.", rule)
	}
	return nil
}

// target is what rules can ask about an image. A share with the caller has been
// tested by the look-up, so the caller is then the member that rules speak of,
// unless it found its own image.
func target(m image.Image, project string) policy.Target {
	t := policy.Target{"visibility": string(m.Visibility), "image_id": m.ID, "status": string(m.Status)}
	if m.Owner != nil {
		t["project_id"], t["owner"], t["tenant"] = *m.Owner, *m.Owner, *m.Owner
	}
	if m.Visibility == image.Shared && !m.OwnedBy(project) {
		t["member_id"] = project
	}
	return t
}

// image loads the image of the path if the caller may see it, else 404.
func (r *request) image() (image.Image, error) {
	m, err := r.anyImage()
	if err != nil {
		return m, err
	}
	ok, err := r.sees(m)
	if err == nil && (!ok || !r.allows("get_image", m)) {
		err = noImage(m.ID)
	}
	return m, err
}

// anyImage loads the image of the path, whoever asks.
func (r *request) anyImage() (image.Image, error) {
	id, err := r.param("id")
	if err != nil {
		return image.Image{}, err
	}
	if !uuidPattern.MatchString(id) {
		return image.Image{}, noImage(id)
	}
	m, err := r.s.cfg.Images.Get(r.ctx, id)
	if image.KindOf(err) == image.NotFound && err != nil {
		err = noImage(id)
	}
	return m, err
}

func noImage(id string) error {
	if len(id) > 64 {
		id = id[:64]
	}
	return image.Errorf(image.NotFound, "No image found with ID %s", strings.ToValidUTF8(id, "?"))
}

// sees says whether the image is there for the caller: a share is looked up only
// where nothing else shows it.
func (r *request) sees(m image.Image) (bool, error) {
	if m.VisibleTo(r.who.ProjectID, r.admin, false) {
		return true, nil
	}
	if !m.VisibleTo(r.who.ProjectID, r.admin, true) || r.who.ProjectID == "" {
		return false, nil
	}
	_, err := r.s.cfg.Members.Member(r.ctx, m.ID, r.who.ProjectID)
	if image.KindOf(err) == image.NotFound && err != nil {
		return false, nil
	}
	return err == nil, err
}

// load is image and then a rule about it.
func (r *request) load(rule string) (image.Image, error) {
	m, err := r.image()
	if err != nil {
		return m, err
	}
	return m, r.may(rule, m)
}

// endpoint is the address of this service in absolute links.
func (r *request) endpoint() string {
	if e := r.s.cfg.PublicEndpoint; e != "" {
		return strings.TrimRight(e, "/")
	}
	scheme := "http"
	if r.http.IsTLS() {
		scheme = "https"
	}
	return scheme + "://" + string(r.http.Host())
}
