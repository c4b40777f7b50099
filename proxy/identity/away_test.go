package identity

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"glimpse/registry/image"
)

func TestAKeystoneThatMisbehavesIsAway(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"500":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"403":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) },
		"401":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) },
		"429":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) },
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"garbage":  func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") },
		"empty":    func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") },
		"no user": func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, `{"token":{"expires_at":"2100-01-01T00:00:00Z","roles":[{"name":"admin"}]}}`)
		},
		"no expiry": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"token":{"user":{"id":"u"}}}`) },
		"huge": func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, `{"x":"`)
			io.CopyN(w, endless{}, 2*maxBody)
			io.WriteString(w, `","token":{"expires_at":"2100-01-01T00:00:00Z","user":{"id":"u"}}}`)
		},
		"huge error": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			io.CopyN(w, endless{}, 64<<20)
		},
		"hang up": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.put("tok", time.Hour, nil, "member")
			k := open(t, f.config())
			f.set(h)
			_, err := ask(t, k, Request{Token: "tok"})
			wantKind(t, err, image.Unavailable)
			f.set(nil)
			if _, err := ask(t, k, Request{Token: "tok"}); err != nil {
				t.Errorf("it does not recover: %v", err)
			}
		})
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte("x"), len(p))), nil }

func TestAKeystoneThatHangsIsLeft(t *testing.T) {
	f := newFake(t)
	k := open(t, f.config())
	release := make(chan struct{})
	defer close(release)
	f.set(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := k.Authenticate(ctx, Request{Token: "tok"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	k.Close() // must cut the question short
}

func TestAKeystoneThatIsNotThereDoesNotStopTheNode(t *testing.T) {
	f := newFake(t)
	c := f.config()
	f.Close()
	_, err := ask(t, open(t, c), Request{Token: "tok"})
	wantKind(t, err, image.Unavailable)
}

func TestManyRequestsAskOnce(t *testing.T) {
	f := newFake(t)
	f.put("tok", time.Hour, nil, "member")
	k := open(t, f.config())
	first, leave := context.WithCancel(t.Context())
	entered, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	f.set(func(w http.ResponseWriter, r *http.Request) {
		once.Do(func() { close(entered) })
		<-release
		f.mu.Lock()
		defer f.mu.Unlock()
		f.asked = append(f.asked, r)
		f.answer(w, r)
	})
	left := make(chan error)
	go func() {
		_, err := k.Authenticate(first, Request{Token: "tok"})
		left <- err
	}()
	<-entered
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			if _, err := k.Authenticate(t.Context(), Request{Token: "tok"}); err != nil {
				t.Error(err)
			}
		})
	}
	close(release)
	wg.Wait()
	if n := f.questions(); n != 1 {
		t.Errorf("%d questions", n)
	}
}

func TestAWrongPasswordIsNotTriedForEveryRequest(t *testing.T) {
	f := newFake(t)
	c := f.config()
	c.Password = "wr0ng"
	k := open(t, c)
	for i := range 20 {
		_, err := ask(t, k, Request{Token: fmt.Sprint("tok", i)})
		wantKind(t, err, image.Unavailable)
	}
	if f.logins > 5 {
		t.Errorf("%d log-ins", f.logins)
	}
}

// Whatever goes wrong, neither the log nor an error may hold a token or a
// password, even where Keystone repeats what it was sent.
func TestSecretsStayOutOfLogsAndErrors(t *testing.T) {
	var log bytes.Buffer
	f := newFake(t)
	c := f.config()
	c.Password = "wr0ng-pa55"
	c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	k := open(t, c)
	said := fmt.Sprintf("%v %+v %#v", c, c, c)
	note := func(err error) { said += fmt.Sprintf(" %v %+v", err, err) }
	_, err := ask(t, k, Request{Token: "t0ken-of-user", ServiceToken: "t0ken-of-service"})
	note(err)
	f.password = "wr0ng-pa55"
	age(k, time.Hour)
	k.validator.ask = func(ctx context.Context, token string, e bool) (verdict, error) {
		cl := newClient(c, &http.Client{Transport: bounded{http.DefaultTransport}})
		return cl.validate(ctx, token, e)
	}
	f.set(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(500)
		fmt.Fprint(w, r.Header)
	})
	_, err = ask(t, k, Request{Token: "t0ken-of-user"})
	note(err)
	f.Close()
	_, err = ask(t, k, Request{Token: "t0ken-of-other"})
	note(err)
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	for _, secret := range []string{"wr0ng-pa55", "t0ken-of", "service-1"} {
		if strings.Contains(said+log.String(), secret) {
			t.Errorf("%q is told:\n%s\n%s", secret, said, log.String())
		}
	}
	if !strings.Contains(log.String(), "keystone can't validate tokens") || !strings.Contains(log.String(), "log in") {
		t.Errorf("the log says nothing useful: %s", log.String())
	}
}

func TestNoTokenFollowsARedirect(t *testing.T) {
	f, other := newFake(t), newFake(t)
	reached := false
	other.set(func(w http.ResponseWriter, _ *http.Request) {
		reached = true
		io.WriteString(w, `{"token":{"expires_at":"2100-01-01T00:00:00Z","user":{"id":"u"},"roles":[{"name":"admin"}]}}`)
	})
	k := open(t, f.config())
	f.set(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+r.URL.Path, http.StatusFound)
	})
	_, err := ask(t, k, Request{Token: "tok"})
	wantKind(t, err, image.Unavailable)
	other.Close()
	if reached {
		t.Error("another server was told the token")
	}
}
