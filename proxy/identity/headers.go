package identity

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"glimpse/registry/image"
)

// Bounds of what a front may say; Keystone's own ids are 64 characters at most.
const (
	maxHeader = 4 << 10 // bytes
	maxRoles  = 128
)

// TrustedHeaders believes the identity headers of requests that come from one
// of the networks, and nobody else's. A front that can't tell who asks sends
// X-Identity-Status: Invalid, or no X-User-Id and no X-Roles.
func TrustedHeaders(from []netip.Prefix) Authenticator {
	return trusted{from: slices.Clone(from)}
}

type trusted struct{ from []netip.Prefix }

func (t trusted) Authenticate(_ context.Context, r Request) (Identity, error) {
	at := r.Remote.Unmap()
	if !slices.ContainsFunc(t.from, func(p netip.Prefix) bool { return p.Contains(at) }) || r.Header == nil {
		return Identity{}, unauthenticated("This request does not come from a trusted front.")
	}
	h := headers{get: r.Header}
	if s := h.one("X-Identity-Status"); s != "" && !strings.EqualFold(s, "Confirmed") {
		return Identity{}, unauthenticated("The identity is not confirmed.")
	}
	id := Identity{
		UserID: h.one("X-User-Id"), UserName: h.one("X-User-Name"),
		ProjectID: h.one("X-Project-Id", "X-Tenant-Id"), ProjectName: h.one("X-Project-Name", "X-Tenant-Name"),
		DomainID: h.one("X-Domain-Id"), UserDomainID: h.one("X-User-Domain-Id"), ProjectDomainID: h.one("X-Project-Domain-Id"),
		Roles: h.list("X-Roles"), ServiceRoles: h.list("X-Service-Roles"),
		SystemScope: h.one("OpenStack-System-Scope") != "",
	}
	if h.tooLong {
		return Identity{}, unauthenticated("An identity header is too long.")
	}
	if id.UserID == "" && len(id.Roles) == 0 {
		return Identity{}, unauthenticated("The request names no user.")
	}
	return id, nil
}

func (trusted) Challenge() string { return "" }
func (trusted) Close() error      { return nil }

func unauthenticated(msg string) error {
	return image.Errorf(image.Unauthenticated, "%s", msg)
}

// headers reads bounded values.
type headers struct {
	get     func(string) string
	tooLong bool
}

// one returns the first of the headers that is there.
func (h *headers) one(names ...string) string {
	for _, name := range names {
		v := strings.TrimSpace(h.get(name))
		if len(v) > maxHeader {
			h.tooLong = true
			return ""
		}
		if v != "" {
			return v
		}
	}
	return ""
}

// list returns the words between commas, in lower case.
func (h *headers) list(name string) []string {
	var out []string
	for word := range strings.SplitSeq(h.one(name), ",") {
		if word = strings.ToLower(strings.TrimSpace(word)); word != "" {
			out = append(out, word)
		}
	}
	if len(out) > maxRoles {
		h.tooLong = true
		return nil
	}
	return out
}
