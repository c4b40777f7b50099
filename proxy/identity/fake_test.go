package identity

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// fake is as much of a Keystone as validation needs.
type fake struct {
	*httptest.Server
	mu       sync.Mutex
	tokens   map[string]map[string]any // by token: the "token" object
	service  string                    // the service user's token that is good now
	logins   int
	asked    []*http.Request
	instead  http.HandlerFunc // answers validations where set
	password string
	login    string // the body of the last log-in
	catalog  []any  // that a log-in is told
	moved    string // before /v3 in the path of validations
}

func newFake(t *testing.T) *fake {
	f := &fake{tokens: map[string]map[string]any{}, password: "pa55word"}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	instead := f.instead
	f.mu.Unlock()
	if r.Method == http.MethodGet && instead != nil {
		instead(w, r)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/v3/auth/tokens":
		f.logins++
		f.login = string(body)
		if !bytes.Contains(body, []byte(f.password)) {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprintf(w, `{"error": {"message": "you sent %s"}}`, strings.ReplaceAll(string(body), `"`, "'"))
			return
		}
		f.service = fmt.Sprint("service-", f.logins)
		w.Header().Set("X-Subject-Token", f.service)
		w.WriteHeader(http.StatusCreated)
		json.NewEncoder(w).Encode(map[string]any{"token": map[string]any{"expires_at": "2100-01-01T00:00:00.000000Z", "catalog": f.catalog}})
	case r.URL.Path != f.moved+"/v3/auth/tokens":
		w.WriteHeader(http.StatusTeapot)
	case r.Header.Get("X-Auth-Token") != f.service || f.service == "":
		w.WriteHeader(http.StatusUnauthorized)
	default:
		f.asked = append(f.asked, r)
		f.answer(w, r)
	}
}

func (f *fake) answer(w http.ResponseWriter, r *http.Request) {
	tok, ok := f.tokens[r.Header.Get("X-Subject-Token")]
	if ok && r.URL.Query().Get("allow_expired") == "" {
		at, _ := time.Parse(time.RFC3339Nano, tok["expires_at"].(string))
		ok = at.After(time.Now())
	}
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"error":{"code":404,"message":"Could not recognize Fernet token","title":"Not Found"}}`)
		return
	}
	json.NewEncoder(w).Encode(map[string]any{"token": tok})
}

func (f *fake) put(token string, life time.Duration, more map[string]any, roles ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	tok := map[string]any{
		"expires_at": time.Now().Add(life).UTC().Format("2006-01-02T15:04:05.000000Z"),
		"user":       map[string]any{"id": "u-" + token, "name": "U", "domain": map[string]any{"id": "ud"}},
		"project":    map[string]any{"id": "p", "name": "P", "domain": map[string]any{"id": "pd"}},
	}
	var rs []any
	for _, r := range roles {
		rs = append(rs, map[string]any{"id": "x", "name": r})
	}
	tok["roles"] = rs
	for k, v := range more {
		tok[k] = v
	}
	f.tokens[token] = tok
}

func (f *fake) set(h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.instead = h
}

// questions returns how many validations there were.
func (f *fake) questions() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.asked)
}

func (f *fake) config() KeystoneConfig {
	return KeystoneConfig{
		AuthURL: f.URL, Username: "glance", Password: "pa55word", ProjectName: "service", UserDomainName: "Default", ProjectDomainName: "Default",
		Interface: "internal", TokenCacheTime: 5 * time.Minute, ServiceTokenRoles: []string{"Service"}, ServiceTokenRolesRequired: true,
		OutageGrace: 5 * time.Minute, Log: slog.New(slog.DiscardHandler),
	}
}

func open(t *testing.T, c KeystoneConfig) *keystone {
	t.Helper()
	a, err := Keystone(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	k := a.(*keystone)
	k.validator.most = time.Minute // a slow machine is no slow Keystone
	return k
}

// age makes all that is remembered older.
func age(k *keystone, by time.Duration) {
	v := k.validator
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, all := range []*answers{v.known, v.unknown} {
		for _, e := range all.by {
			x := e.Value.(entry)
			x.read = x.read.Add(-by)
			e.Value = x
		}
	}
}
