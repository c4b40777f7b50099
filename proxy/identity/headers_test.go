package identity

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"glimpse/registry/image"
)

func request(from string, h map[string]string) Request {
	return Request{Remote: netip.MustParseAddr(from), Header: func(name string) string { return h[name] }}
}

func TestHeadersAreBelievedFromTheFrontOnly(t *testing.T) {
	a := TrustedHeaders([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	h := map[string]string{"X-User-Id": "u", "X-Project-Id": "p", "X-Roles": "Admin, member,,", "X-User-Domain-Id": "d"}
	for _, from := range []string{"10.1.2.3", "::ffff:10.1.2.3"} {
		id, err := a.Authenticate(t.Context(), request(from, h))
		if err != nil || id.UserID != "u" || id.ProjectID != "p" || id.UserDomainID != "d" || !slices.Equal(id.Roles, []string{"admin", "member"}) || id.Anonymous {
			t.Errorf("%s: %+v %v", from, id, err)
		}
	}
	for _, from := range []string{"11.1.2.3", "::1"} {
		if _, err := a.Authenticate(t.Context(), request(from, h)); image.KindOf(err) != image.Unauthenticated {
			t.Errorf("%s: %v", from, err)
		}
	}
	if _, err := a.Authenticate(t.Context(), Request{}); image.KindOf(err) != image.Unauthenticated {
		t.Error(err)
	}
}

func TestWhatAFrontMayNotSay(t *testing.T) {
	a := TrustedHeaders([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})
	for name, h := range map[string]map[string]string{
		"nothing":       {},
		"not confirmed": {"X-User-Id": "u", "X-Identity-Status": "Invalid"},
		"too long":      {"X-User-Id": strings.Repeat("u", maxHeader+1), "X-Roles": "admin"},
		"too many":      {"X-User-Id": "u", "X-Roles": strings.Repeat("r,", maxRoles+1)},
	} {
		if id, err := a.Authenticate(t.Context(), request("127.0.0.1", h)); image.KindOf(err) != image.Unauthenticated || id.UserID != "" {
			t.Errorf("%s: %+v %v", name, id, err)
		}
	}
	id, err := a.Authenticate(t.Context(), request("127.0.0.1", map[string]string{"X-User-Id": "u", "OpenStack-System-Scope": "all"}))
	if err != nil || !id.SystemScope {
		t.Errorf("%+v %v", id, err)
	}
}

func TestWithoutIdentityEverybodyIsAnAdmin(t *testing.T) {
	id, err := None().Authenticate(t.Context(), Request{Token: "whatever"})
	if err != nil || !id.Anonymous || !slices.Contains(id.Roles, "admin") || id.ProjectID != "" {
		t.Errorf("%+v %v", id, err)
	}
}
