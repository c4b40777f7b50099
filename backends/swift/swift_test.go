package swift

import (
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"glimpse/backends"
	"glimpse/backends/backendtest"
	"glimpse/cmd/testenv"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	testenv.Main(m, goleak.IgnoreAnyFunction("glimpse/cmd/testenv.launch.func1"))
} // it waits for a server's end

// part is where objects are cut; those under small are not.
const (
	part  = 64 << 10
	small = 8 << 10
)

var caps = backends.Caps{Ranged: true, UnknownSize: true, Validators: true, NoReplace: true, Pending: true, PartSize: part}

// config is for a container of its own on a server.
func config(c Credentials) Config {
	return Config{
		Accounts: map[string]Credentials{"ref1": c}, Reference: "ref1", Container: "glance-" + strings.ToLower(rand.Text()[:8]), CreateContainer: true,
		EndpointType: "public", PartSize: part, Small: small, NoReplace: true, ExpireSoon: time.Minute, Timeout: 20 * time.Second, Tries: 3,
	}
}

func store(t *testing.T, c Config) *Store {
	t.Helper()
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// made is a store that ends with the test, with its container there.
func made(t *testing.T, c Config) *Store {
	t.Helper()
	s := store(t, c)
	t.Cleanup(func() { _ = s.Close() })
	container(t, s)
	return s
}

func container(t *testing.T, s *Store) {
	t.Helper()
	if _, err := s.again(t.Context(), place{account: s.own()}, call{method: http.MethodPut, container: s.c.Container}); err != nil {
		t.Fatal(err)
	}
}

func v1(s *testenv.SwiftServer) Credentials {
	return Credentials{AuthURL: s.AuthURL, Version: 1, User: s.User, Key: backends.Secret(s.Key)}
}

func v3(s *testenv.SwiftServer) Credentials {
	return Credentials{AuthURL: s.AuthURL, Version: 3, User: s.User, Key: backends.Secret(s.Key), UserDomainID: "default", ProjectDomainID: "default"}
}

// overwrite replaces an object whole, as only an operator would.
func overwrite(t *testing.T, s *Store, at backends.Locator, data []byte) {
	t.Helper()
	p, err := s.find(at)
	if err != nil {
		t.Fatal(err)
	}
	c := call{method: http.MethodPut, container: p.container, object: p.object, body: [][]byte{data}}
	if _, err := s.again(t.Context(), p, c); err != nil {
		t.Fatal(err)
	}
}

func kit(t *testing.T, c Credentials, o backendtest.Options, change func(*Config)) {
	t.Helper()
	var s *Store
	o.Part = part
	o.Replace = func(t *testing.T, at backends.Locator, data []byte) { t.Helper(); overwrite(t, s, at, data) }
	backendtest.Run(t, func(t *testing.T) backends.Store {
		cfg := config(c)
		if change != nil {
			change(&cfg)
		}
		s = store(t, cfg)
		container(t, s)
		return s
	}, o)
}

func TestSwift(t *testing.T) {
	kit(t, v1(testenv.Swift(t)), backendtest.Options{Caps: caps, LooksFirst: true}, nil)
}

// names lists a container.
func names(t *testing.T, s *Store, container string) (all []string) {
	t.Helper()
	err := s.list(t.Context(), place{account: s.own(), container: container}, "", func(page []entry) error {
		for _, e := range page {
			all = append(all, e.Name)
		}
		return nil
	})
	if err != nil && !errors.Is(err, backends.ErrNotFound) {
		t.Fatal(err)
	}
	return all
}
