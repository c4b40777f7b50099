package swift

import (
	"testing"

	"glimpse/backends"
	"glimpse/backends/backendtest"
	"glimpse/cmd/testenv"
)

// Keystone's users, by password.
func TestSwiftByKeystone(t *testing.T) {
	kit(t, v3(testenv.SwiftKeystone(t)), backendtest.Options{Caps: caps}, nil)
}

// Ceph's gateway speaks Swift's API, and ignores If-None-Match.
func TestRadosgw(t *testing.T) {
	g := testenv.RGW(t)
	c := caps
	c.NoReplace = false
	cred := Credentials{AuthURL: g.SwiftAuth, Version: 1, User: g.SwiftUser, Key: backends.Secret(g.SwiftKey)}
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
