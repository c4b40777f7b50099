package identity

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"glimpse/registry/image"
)

func ask(t *testing.T, k *keystone, r Request) (Identity, error) {
	t.Helper()
	return k.Authenticate(t.Context(), r)
}

func wantKind(t *testing.T, err error, want image.Kind) {
	t.Helper()
	if err == nil || image.KindOf(err) != want {
		t.Errorf("got %v, want kind %d", err, want)
	}
}

func TestAGoodTokenTellsWho(t *testing.T) {
	f := newFake(t)
	f.put("tok", time.Hour, nil, "Member", "READER")
	k := open(t, f.config())
	id, err := ask(t, k, Request{Token: "tok"})
	if err != nil {
		t.Fatal(err)
	}
	if id.UserID != "u-tok" || id.UserDomainID != "ud" || id.ProjectID != "p" || id.ProjectName != "P" || id.ProjectDomainID != "pd" ||
		!slices.Equal(id.Roles, []string{"member", "reader"}) || id.SystemScope || id.Expires.IsZero() {
		t.Errorf("%+v", id)
	}
	if r := f.asked[0]; r.Header.Get("OpenStack-Identity-Access-Rules") != "1" || r.URL.Query().Has("allow_expired") {
		t.Errorf("asked %s with %v", r.URL, r.Header)
	}
	id.Roles[0] = "admin" // the caller's own copy
	if id, _ := ask(t, k, Request{Token: "tok"}); id.Roles[0] != "member" || f.questions() != 1 {
		t.Errorf("%v after %d questions", id.Roles, f.questions())
	}
}

func TestScopesAreToldApart(t *testing.T) {
	f := newFake(t)
	f.put("sys", time.Hour, map[string]any{"project": nil, "system": map[string]any{"all": true}}, "admin")
	f.put("dom", time.Hour, map[string]any{"project": nil, "domain": map[string]any{"id": "d"}}, "admin")
	k := open(t, f.config())
	if id, err := ask(t, k, Request{Token: "sys"}); err != nil || !id.SystemScope || id.ProjectID != "" {
		t.Errorf("%+v %v", id, err)
	}
	if id, err := ask(t, k, Request{Token: "dom"}); err != nil || id.DomainID != "d" || id.SystemScope {
		t.Errorf("%+v %v", id, err)
	}
}

func TestWhatIsNoTokenIsRefusedWithoutAQuestion(t *testing.T) {
	f := newFake(t)
	k := open(t, f.config())
	for _, tok := range []string{"", "a b", "a\r\nX-Evil: 1", "tök", strings.Repeat("x", maxToken+1)} {
		_, err := ask(t, k, Request{Token: tok})
		wantKind(t, err, image.Unauthenticated)
	}
	if f.questions() != 0 || f.logins != 0 {
		t.Errorf("%d questions", f.questions())
	}
	if got := k.Challenge(); got != `Keystone uri="`+f.URL+`"` {
		t.Error(got)
	}
}

func TestAnUnknownTokenIsNotAskedAboutAgainAtOnce(t *testing.T) {
	f := newFake(t)
	k := open(t, f.config())
	for range 3 {
		_, err := ask(t, k, Request{Token: "bad"})
		wantKind(t, err, image.Unauthenticated)
	}
	if n := f.questions(); n != 1 {
		t.Errorf("%d questions", n)
	}
	f.put("bad", time.Hour, nil, "member") // a replica that lagged behind
	age(k, unknownTime)
	if _, err := ask(t, k, Request{Token: "bad"}); err != nil {
		t.Error(err)
	}
}

func TestARevokedTokenIsGoodForTheCacheTimeAtMost(t *testing.T) {
	f := newFake(t)
	f.put("tok", time.Hour, nil, "member")
	k := open(t, f.config())
	ask(t, k, Request{Token: "tok"})
	delete(f.tokens, "tok")
	age(k, 5*time.Minute)
	_, err := ask(t, k, Request{Token: "tok"})
	wantKind(t, err, image.Unauthenticated)
	f.set(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	age(k, unknownTime)
	_, err = ask(t, k, Request{Token: "tok"})
	wantKind(t, err, image.Unavailable) // the grace does not bring it back
}

func TestACachedTokenExpires(t *testing.T) {
	f := newFake(t)
	k := open(t, f.config())
	var token string
	var id Identity
	err := error(errBadToken)
	for life := 50 * time.Millisecond; err != nil && life < time.Minute; life *= 2 { // until one is good for long enough to be asked about
		token = fmt.Sprint("tok-", life)
		f.put(token, life, nil, "member")
		id, err = ask(t, k, Request{Token: token})
	}
	if err != nil {
		t.Fatal(err)
	}
	f.set(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	<-time.After(time.Until(id.Expires))
	_, err = ask(t, k, Request{Token: token})
	wantKind(t, err, image.Unavailable)
}

func TestAnOutageIsBridgedForKnownTokensOnly(t *testing.T) {
	f := newFake(t)
	f.put("tok", time.Hour, nil, "member")
	f.put("new", time.Hour, nil, "member")
	k := open(t, f.config())
	ask(t, k, Request{Token: "tok"})
	f.set(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	age(k, 6*time.Minute)
	if _, err := ask(t, k, Request{Token: "tok"}); err != nil {
		t.Error(err)
	}
	_, err := ask(t, k, Request{Token: "new"})
	wantKind(t, err, image.Unavailable)
	age(k, 4*time.Minute)
	_, err = ask(t, k, Request{Token: "tok"})
	wantKind(t, err, image.Unavailable)
}

func TestWithoutCacheEveryRequestAsks(t *testing.T) {
	f := newFake(t)
	f.put("tok", time.Hour, nil, "member")
	c := f.config()
	c.TokenCacheTime = -1
	k := open(t, c)
	for range 3 {
		if _, err := ask(t, k, Request{Token: "tok"}); err != nil {
			t.Fatal(err)
		}
	}
	if n := f.questions(); n != 3 {
		t.Errorf("%d questions", n)
	}
}

func TestTheServiceUserLogsInAgain(t *testing.T) {
	f := newFake(t)
	f.put("a", time.Hour, nil, "member")
	k := open(t, f.config())
	ask(t, k, Request{Token: "a"})
	f.mu.Lock()
	f.service = "revoked"
	f.mu.Unlock()
	_, err := ask(t, k, Request{Token: "unknown"})
	wantKind(t, err, image.Unauthenticated) // a 404 after a new log-in is still a 404
	f.put("b", time.Hour, nil, "member")
	if _, err := ask(t, k, Request{Token: "b"}); err != nil || f.logins != 2 {
		t.Errorf("%v after %d log-ins", err, f.logins)
	}
}

func TestAnApplicationCredentialLogsIn(t *testing.T) {
	f := newFake(t)
	f.put("tok", time.Hour, nil, "member")
	f.password = "s3cret"
	c := f.config()
	c.ApplicationCredentialID, c.ApplicationCredentialSecret, c.Password = "ac-id", "s3cret", ""
	if _, err := ask(t, open(t, c), Request{Token: "tok"}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(f.login, "ac-id") || strings.Contains(f.login, "scope") || strings.Contains(f.login, "glance") {
		t.Errorf("sent %s", f.login)
	}
}

func TestAnExpiredTokenNeedsAService(t *testing.T) {
	f := newFake(t)
	f.put("old", -time.Minute, nil, "member")
	f.put("svc", time.Hour, nil, "SERVICE")
	f.put("usr", time.Hour, nil, "member")
	k := open(t, f.config())
	for _, service := range []string{"", "usr", "nonsense", "old"} {
		_, err := ask(t, k, Request{Token: "old", ServiceToken: service})
		wantKind(t, err, image.Unauthenticated)
	}
	id, err := ask(t, k, Request{Token: "old", ServiceToken: "svc"})
	if err != nil || !slices.Equal(id.ServiceRoles, []string{"service"}) || id.UserID != "u-old" {
		t.Errorf("%+v %v", id, err)
	}
	// Nobody else may profit from the answer.
	_, err = ask(t, k, Request{Token: "old"})
	wantKind(t, err, image.Unauthenticated)
	if id, err := ask(t, k, Request{Token: "usr", ServiceToken: "usr"}); err != nil || id.ServiceRoles != nil {
		t.Errorf("a service token without the role counts: %+v %v", id, err)
	}
}

func TestAccessRulesAreHonoured(t *testing.T) {
	f := newFake(t)
	rules := func(r ...any) map[string]any {
		return map[string]any{"application_credential": map[string]any{"id": "x", "access_rules": append([]any{}, r...)}}
	}
	rule := func(service, method, path string) any {
		return map[string]any{"id": "r", "service": service, "method": method, "path": path}
	}
	f.put("one", time.Hour, rules(rule("image", "GET", "/v2/images/{id}"), rule("compute", "DELETE", "/**")), "member")
	f.put("none", time.Hour, rules(), "member")
	f.put("free", time.Hour, map[string]any{"application_credential": map[string]any{"id": "x"}}, "member")
	f.put("svc", time.Hour, nil, "service")
	k := open(t, f.config())
	for _, c := range []struct {
		token, service, method, path string
		want                         bool
	}{
		{"one", "", "GET", "/v2/images/1", true},
		{"one", "", "GET", "/v2/images/1/file", false},
		{"one", "", "DELETE", "/v2/images/1", false},
		{"one", "svc", "DELETE", "/v2/images/1", true},
		{"one", "nonsense", "DELETE", "/v2/images/1", false},
		{"none", "", "GET", "/v2/images", false},
		{"free", "", "DELETE", "/v2/images/1", true},
	} {
		if _, err := ask(t, k, Request{Token: c.token, ServiceToken: c.service, Method: c.method, Path: c.path}); (err == nil) != c.want {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestPathPatterns(t *testing.T) {
	for _, c := range []struct {
		rule, path string
		want       bool
	}{
		{"/v2/images", "/v2/images", true},
		{"/v2/images", "/v2/images/", false},
		{"/v2.images", "/v2ximages", false},
		{"/v2/*/file", "/v2/images/file", true},
		{"/v2/*", "/v2/", false},
		{"/v2/*", "/v2/a/b", false},
		{"/v2/**", "/v2/a/b", true},
		{"/**/file", "/v2/images/1/file", true},
		{"**", "/", true},
		{"/v2/{a}/{b}", "/v2/x/y", true},
		{"/v2/{a", "/v2/{a", true},
		{"/v2/{a", "/v2/x", false},
		{"", "/v2", false},
		{"/(", "/(", true},
	} {
		p := permits([]accessRule{{"image", "GET", c.rule}})
		if got := allowed(p, "GET", c.path); got != c.want {
			t.Errorf("%s of %s: got %v", c.rule, c.path, got)
		}
	}
}

func TestConfigurationsThatCanNotWork(t *testing.T) {
	good := newFake(t).config()
	for name, spoil := range map[string]func(*KeystoneConfig){
		"no URL":      func(c *KeystoneConfig) { c.AuthURL = "" },
		"another URL": func(c *KeystoneConfig) { c.AuthURL = "ftp://x/" },
		"user in URL": func(c *KeystoneConfig) { c.AuthURL = "http://a:sesame@x/" },
		"no password": func(c *KeystoneConfig) { c.Password = "" },
		"no project":  func(c *KeystoneConfig) { c.ProjectName = "" },
		"no secret":   func(c *KeystoneConfig) { c.ApplicationCredentialID = "x" },
		"no CA":       func(c *KeystoneConfig) { c.CAFile = "/nonexistent" },
		"a bad URI":   func(c *KeystoneConfig) { c.WWWAuthenticateURI = "x\"\r\nX: y" },
	} {
		c := good
		spoil(&c)
		a, err := Keystone(t.Context(), c)
		if err == nil {
			a.Close()
			t.Errorf("%s is taken", name)
		} else if strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheEndpointComesFromTheCatalog(t *testing.T) {
	f := newFake(t)
	f.put("tok", time.Hour, nil, "member")
	endpoint := func(iface, region, path string) any {
		return map[string]any{"interface": iface, "region": region, "region_id": region, "url": f.URL + path}
	}
	f.catalog = []any{
		map[string]any{"type": "compute", "endpoints": []any{endpoint("internal", "two", "/nova")}},
		map[string]any{"type": "identity", "endpoints": []any{
			endpoint("public", "two", "/public"), endpoint("internal", "one", "/one"), endpoint("internal", "two", "/two/"),
		}},
	}
	for _, c := range []struct{ iface, region, moved string }{
		{"internal", "two", "/two"}, {"internal", "", "/one"}, {"public", "two", "/public"}, {"admin", "two", ""}, {"", "two", ""},
	} {
		conf := f.config()
		conf.Interface, conf.RegionName = c.iface, c.region
		f.moved = c.moved
		if _, err := ask(t, open(t, conf), Request{Token: "tok"}); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestTheVersionMayBeLeftOut(t *testing.T) {
	for url, want := range map[string]string{"http://x": "http://x/v3", "http://x/v3/": "http://x/v3", "https://x/identity/": "https://x/identity/v3"} {
		if got := v3(url); got != want {
			t.Errorf("%s: %s", url, got)
		}
	}
}

func TestAFloodOfBadTokensDrivesOutNoGoodOne(t *testing.T) {
	a := newAnswers(2)
	for _, tok := range []string{"a", "b", "a", "c"} {
		if _, ok := a.get(subjectOf(tok, false)); !ok {
			a.put(entry{of: subjectOf(tok, false)})
		}
	}
	_, hasA := a.get(subjectOf("a", false))
	_, hasB := a.get(subjectOf("b", false))
	if !hasA || hasB || len(a.by) != 2 || a.used.Len() != 2 {
		t.Errorf("a %v, b %v, %d kept", hasA, hasB, len(a.by))
	}
	f := newFake(t)
	f.put("tok", time.Hour, nil, "member")
	k := open(t, f.config())
	k.validator.unknown = newAnswers(2)
	ask(t, k, Request{Token: "tok"})
	for i := range 5 {
		ask(t, k, Request{Token: fmt.Sprint("bad", i)})
	}
	n := f.questions()
	if _, err := ask(t, k, Request{Token: "tok"}); err != nil || f.questions() != n {
		t.Errorf("%v, asked again: %v", err, f.questions() != n)
	}
}
