package swift

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"glimpse/backends"
	"glimpse/backends/backendtest"
	"glimpse/cmd/testenv"
)

// tenants is a store of users' accounts, whose own user may do everything.
func tenants(t *testing.T) Tenants {
	t.Helper()
	c := config(v3(testenv.SwiftKeystone(t)))
	c.AdminTenants = []string{"0ps"}
	s, err := OpenTenants(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// uploaded writes an object on behalf of a user.
func uploaded(t *testing.T, s Tenants, token, key string, data []byte) (place, backends.Locator) {
	t.Helper()
	w, err := backends.CreateFor(t.Context(), backends.Retry(s, backends.Retries{Max: 1}), backends.Secret(token), key, int64(len(data)))
	if err == nil {
		_, err = w.Write(data)
	}
	if err != nil {
		t.Fatal(err)
	}
	at, err := w.Commit(t.Context())
	if err != nil || at != w.Locator() {
		t.Fatal(err)
	}
	p, err := s.find(at)
	if err != nil {
		t.Fatal(err)
	}
	return p, at
}

// status is what a user is answered who asks for something plainly.
func (s Tenants) status(t *testing.T, token string, p place, c call) (int, http.Header) {
	t.Helper()
	resp, err := s.sendWith(t.Context(), grant{token: token, storage: p.storage}, c)
	if err != nil {
		t.Fatal(err)
	}
	discard(resp)
	return resp.StatusCode, resp.Header
}

// A user's image lies in the account and by the rights of the user, in a container
// of its own, as Glance has it; others read it there when it is shared with them;
// and its deletion leaves nothing.
func TestAnUploadToItsUsersAccount(t *testing.T) {
	s, k := tenants(t), testenv.Keystone(t)
	demo, alt := k.Token(t, "demo", "demopw", "demo"), k.Token(t, "alt", "altpw", "alt")
	data := backendtest.Bytes(2*part + 1)
	p, at := uploaded(t, s, demo, "id", data)
	own, err := s.own().grant(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := s.c.Container + "_id"; p.storage == own.storage || p.container != want || at.Reveal() != "swift+"+p.storage+"/"+want+"/id" {
		t.Error("the locator is not Glance's")
	}
	sound(t, s.Store, at, data)
	get := call{method: http.MethodGet, container: p.container, object: p.object}
	if code, _ := s.status(t, demo, p, get); code != http.StatusOK {
		t.Errorf("the owner: %d", code)
	}
	q, other := uploaded(t, s, alt, "theirs", data[:10]) // tells the other project's id
	if q.storage == p.storage {
		t.Error("two projects have one account")
	}
	_, project, _ := strings.Cut(q.storage, "AUTH_")
	for _, c := range []struct {
		everybody bool
		projects  []string
		read      string
		code      int
	}{
		{code: http.StatusForbidden},
		{projects: []string{"x", project, "a,*:*"}, read: "x:*," + project + ":*", code: http.StatusOK},
		{code: http.StatusForbidden},
		{everybody: true, read: "*:*", code: http.StatusOK},
	} {
		if err := s.Share(t.Context(), at, c.everybody, c.projects); err != nil {
			t.Fatal(err)
		}
		if code, _ := s.status(t, alt, p, get); code != c.code {
			t.Errorf("shared with %v: %d", c.projects, code)
		}
		_, h := s.status(t, demo, p, call{method: http.MethodHead, container: p.container})
		if h.Get(headerRead) != c.read || h.Get(headerWrite) != "0ps:*" {
			t.Errorf("the lists are %q and %q", h.Get(headerRead), h.Get(headerWrite))
		}
	}
	for _, at := range []backends.Locator{at, other} {
		if err := s.Delete(t.Context(), at); err != nil {
			t.Error(err)
		}
	}
	if code, _ := s.status(t, demo, p, call{method: http.MethodHead, container: p.container}); code != http.StatusNotFound {
		t.Errorf("the container is left: %d", code)
	}
	if err := s.Share(t.Context(), at, true, nil); !errors.Is(err, backends.ErrNotFound) {
		t.Errorf("who may read what is not there: %v", err)
	}
}

// Who may not write to the account does not by our hands, and what fails leaves no
// container.
func TestAnUploadByTheUsersRights(t *testing.T) {
	s, k := tenants(t), testenv.Keystone(t)
	for name, token := range map[string]string{"a reader": k.Token(t, "reader", "demopw", "demo"), "no token": "gAAAAAhush"} {
		w, err := s.CreateFor(t.Context(), backends.Secret(token), "id", -1)
		if err == nil {
			_, err = w.Write([]byte("x"))
			if cerr := w.Cancel(); cerr != nil {
				t.Logf("%s: %v", name, cerr)
			}
		}
		if err == nil || errors.Is(err, backends.ErrUnavailable) || strings.Contains(err.Error(), token) {
			t.Errorf("%s: %v", name, err)
		}
	}
	demo := k.Token(t, "demo", "demopw", "demo")
	for name, end := range map[string]func(w backends.Writer) error{
		"cancelled": backends.Writer.Cancel,
		"aborted":   func(w backends.Writer) error { return s.Abort(context.Background(), w.Locator()) },
	} {
		w, err := s.CreateFor(t.Context(), backends.Secret(demo), name, -1)
		if err == nil {
			_, err = w.Write(backendtest.Bytes(2 * part))
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := end(w); err != nil {
			t.Error(name, err)
		}
		if _, err := w.Commit(t.Context()); err == nil {
			t.Error(name, "is committed")
		}
		_ = w.Cancel()
		p := w.(*writer).p
		if code, _ := s.status(t, demo, p, call{method: http.MethodHead, container: p.container}); code != http.StatusNotFound {
			t.Errorf("%s: the container is left: %d", name, code)
		}
	}
}

// A token that ends in the middle of an upload does not end the upload.
func TestATokenThatEndsInTheMiddle(t *testing.T) {
	s, k, srv := tenants(t), testenv.Keystone(t), testenv.SwiftKeystone(t)
	demo := k.Token(t, "demo", "demopw", "demo")
	data := backendtest.Bytes(3 * part)
	w, err := s.CreateFor(t.Context(), backends.Secret(demo), "id", int64(len(data)))
	if err == nil {
		_, err = w.Write(data[:part+1])
	}
	if err != nil {
		t.Fatal(err)
	}
	k.Revoke(t, demo)
	srv.ForgetTokens(t)
	p := w.(*writer).p
	if code, _ := s.status(t, demo, p, call{method: http.MethodHead, container: p.container}); code != http.StatusUnauthorized {
		t.Fatalf("the token is good still: %d", code)
	}
	if _, err := w.Write(data[part+1:]); err != nil {
		t.Fatal(err)
	}
	at, err := w.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sound(t, s.Store, at, data)
	if err := s.Delete(t.Context(), at); err != nil {
		t.Error(err)
	}
}
