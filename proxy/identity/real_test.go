package identity

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"glimpse/cmd/testenv"
	"glimpse/registry/image"
)

// call sends JSON and returns the answer's header; it decodes the answer into out.
func call(t *testing.T, method, url, token string, in, out any) http.Header {
	t.Helper()
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			t.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Auth-Token", token)
	r.Header.Set("X-Subject-Token", token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%s %s: %d %s %v", method, url, resp.StatusCode, b, err)
	}
	if out != nil {
		if err := json.Unmarshal(b, out); err != nil {
			t.Fatal(err)
		}
	}
	return resp.Header
}

type object = map[string]any

func logIn(t *testing.T, url string, identity, scope object) (token, user string) {
	t.Helper()
	auth := object{"identity": identity}
	if scope != nil {
		auth["scope"] = scope
	}
	var a answer
	h := call(t, http.MethodPost, url+"/auth/tokens", "", object{"auth": auth}, &a)
	return h.Get("X-Subject-Token"), a.Token.User.ID
}

func password(name, pw string) object {
	return object{"methods": []string{"password"}, "password": object{"user": object{"name": name, "password": pw, "domain": object{"id": "default"}}}}
}

func project(name string) object {
	return object{"project": object{"name": name, "domain": object{"id": "default"}}}
}

func TestARealKeystone(t *testing.T) {
	url := testenv.Keystone(t).URL
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	c := KeystoneConfig{
		AuthURL: url, Username: "glance", Password: "glancepw", ProjectName: "service", UserDomainName: "Default", ProjectDomainName: "Default",
		Interface: "internal", RegionName: "RegionOne", TokenCacheTime: time.Minute, ServiceTokenRoles: []string{"service"}, ServiceTokenRolesRequired: true,
	}
	k := open(t, c)
	tok, user := logIn(t, url, password("demo", "demopw"), project("demo"))
	id, err := ask(t, k, Request{Token: tok})
	if err != nil || id.UserID != user || id.ProjectName != "demo" || !slices.Contains(id.Roles, "member") || !slices.Contains(id.Roles, "reader") {
		t.Fatalf("%+v %v", id, err)
	}
	_, err = ask(t, k, Request{Token: "gAAAAABnonsense"})
	wantKind(t, err, image.Unauthenticated)
	service, _ := logIn(t, url, password("glance", "glancepw"), project("service"))
	if id, err := ask(t, k, Request{Token: tok, ServiceToken: service}); err != nil || !slices.Contains(id.ServiceRoles, "service") {
		t.Errorf("beside a service token: %+v %v", id, err)
	}

	// An application credential with access rules, which also serves to log in.
	var made struct {
		Credential struct{ ID, Secret string } `json:"application_credential"`
	}
	call(t, http.MethodPost, fmt.Sprintf("%s/users/%s/application_credentials", url, user), tok, object{"application_credential": object{
		"name":         fmt.Sprint("test-", time.Now().UnixNano()),
		"access_rules": []object{{"path": "/v2/images/*", "method": "GET", "service": "image"}},
	}}, &made)
	restricted, _ := logIn(t, url, object{"methods": []string{"application_credential"}, "application_credential": object{"id": made.Credential.ID, "secret": made.Credential.Secret}}, nil)
	if _, err := ask(t, k, Request{Token: restricted, Method: "GET", Path: "/v2/images/1"}); err != nil {
		t.Errorf("what the rule allows: %v", err)
	}
	_, err = ask(t, k, Request{Token: restricted, Method: "DELETE", Path: "/v2/images/1"})
	wantKind(t, err, image.Unauthenticated)

	byCredential := c
	byCredential.ApplicationCredentialID, byCredential.ApplicationCredentialSecret = made.Credential.ID, image.Secret(made.Credential.Secret)
	// Its user may log in but not ask about others: that is our trouble, not the caller's.
	_, err = ask(t, open(t, byCredential), Request{Token: service})
	wantKind(t, err, image.Unavailable)
	if _, err := ask(t, open(t, byCredential), Request{Token: restricted, Method: "GET", Path: "/v2/images/1"}); err != nil {
		t.Errorf("about itself: %v", err)
	}

	call(t, http.MethodDelete, url+"/auth/tokens", tok, nil, nil)
	age(k, time.Minute)
	_, err = ask(t, k, Request{Token: tok})
	wantKind(t, err, image.Unauthenticated)

	c.Password = "wrong"
	_, err = ask(t, open(t, c), Request{Token: service})
	wantKind(t, err, image.Unavailable)
}
