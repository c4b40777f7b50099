package swift

import (
	"errors"
	"testing"

	"glimpse/backends"
	"glimpse/backends/backendtest"
	"glimpse/cmd/testenv"
)

// Keystone's users, by password. What a store does behind the login is the same
// as with version 1, which the kit is run with.
func TestSwiftByKeystone(t *testing.T) {
	s := made(t, config(v3(testenv.SwiftKeystone(t))))
	data := backendtest.Bytes(2*part + 1)
	at := backendtest.Put(t, s, "k", data, -1)
	sound(t, s, at, data)
	if err := s.Delete(t.Context(), at); err != nil {
		t.Error(err)
	}
}

// An application credential stands for a user; locations name its reference.
func TestAnApplicationCredential(t *testing.T) {
	srv := testenv.SwiftKeystone(t)
	id, secret := testenv.Keystone(t).ApplicationCredential(t, "swift", "swiftpw", "service")
	c := config(Credentials{AuthURL: srv.AuthURL, Version: 3, AppID: id, AppSecret: backends.Secret(secret)})
	s := made(t, c)
	data := backendtest.Bytes(2 * part)
	at := backendtest.Put(t, s, "k", data, -1)
	if want := "swift+config://ref1/" + c.Container + "/k"; at.Reveal() != want {
		t.Error("the locator is not of the reference")
	}
	sound(t, s, at, data)
	if err := s.Delete(t.Context(), at); err != nil {
		t.Error(err)
	}
	c.Accounts["ref1"] = Credentials{AuthURL: srv.AuthURL, Version: 3, AppID: id, AppSecret: hush}
	wrong := store(t, c)
	defer wrong.Close()
	_, err := wrong.Stat(t.Context(), at)
	if err == nil || errors.Is(err, backends.ErrNotFound) || errors.Is(err, backends.ErrUnavailable) {
		t.Errorf("a wrong secret: %v", err)
	}
	quiet(t, err)
}

// gateway is for a container on Ceph's.
func gateway(t *testing.T) Config {
	t.Helper()
	g := testenv.RGW(t)
	c := config(Credentials{AuthURL: g.SwiftAuth, Version: 1, User: g.SwiftUser, Key: backends.Secret(g.SwiftKey)})
	c.NoReplace = false
	return c
}

// Ceph's gateway speaks Swift's API, and ignores If-None-Match.
func TestRadosgw(t *testing.T) {
	cred := gateway(t).Accounts["ref1"]
	c := caps
	c.NoReplace = false
	kit(t, cred, backendtest.Options{Caps: c}, func(c *Config) { c.NoReplace = false })
	t.Run("a false claim is found", func(t *testing.T) {
		w, err := made(t, config(cred)).Create(t.Context(), "k", 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("x")); err == nil {
			t.Error("it is not")
		}
		if err := w.Cancel(); err != nil {
			t.Error(err)
		}
	})
}
