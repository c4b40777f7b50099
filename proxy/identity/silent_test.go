package identity

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"glimpse/registry/image"
)

// silent is a validator whose Keystone answers as long as it is not silent.
type silent struct {
	*validator
	t      *testing.T
	silent atomic.Bool
	gone   atomic.Bool // it knows no token any more
	asked  atomic.Int64
}

func newSilent(t *testing.T) *silent {
	s := &silent{t: t}
	c := KeystoneConfig{TokenCacheTime: time.Minute, OutageGrace: time.Hour, Log: slog.New(slog.DiscardHandler)}
	s.validator = newValidator(t.Context(), c, nil)
	s.ask = func(ctx context.Context, _ string, _ bool) (verdict, error) {
		s.asked.Add(1)
		if s.silent.Load() {
			<-ctx.Done()
			return verdict{}, ctx.Err()
		}
		if s.gone.Load() {
			return verdict{}, errNoToken
		}
		return verdict{identity: Identity{Expires: time.Now().Add(24 * time.Hour)}}, nil
	}
	return s
}

// takes validates a token and says how long that took.
func (s *silent) takes(token string) (time.Duration, error) {
	begun := time.Now()
	_, err := s.validate(s.t.Context(), token, false)
	return time.Since(begun), err
}

func (s *silent) want(what, token string, most time.Duration) {
	s.t.Helper()
	if took, err := s.takes(token); err != nil || took != most {
		s.t.Errorf("%s: %v after %v, want it after %v", what, err, took, most)
	}
}

// A Keystone that says nothing keeps who is known waiting for two seconds, once;
// then nobody who is known waits while it has failed a moment ago. Who is not
// known waits for it.
func TestASilentKeystoneIsNotWaitedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSilent(t)
		defer s.close()
		for _, token := range []string{"one", "other", "third"} {
			s.want("at first", token, 0)
		}
		time.Sleep(2 * time.Minute)
		s.silent.Store(true)
		s.want("the first to meet it", "one", knownTime)
		s.want("again", "one", 0)
		s.want("the next", "other", 0)
		time.Sleep(leaveTime)
		s.want("later, while nothing has failed", "third", knownTime)
		if took, err := s.takes("new"); took != validateTime || image.KindOf(err) != image.Unavailable {
			t.Errorf("an unknown token: %v after %v", err, took)
		}
		s.want("it has failed", "one", 0)
		time.Sleep(validateTime + leaveTime) // nobody asks
		s.want("long after it failed", "one", awayTime)

		s.silent.Store(false)
		s.want("it is back, but nobody waits yet", "other", 0)
		synctest.Wait()
		before := s.asked.Load()
		s.want("the answer came behind it", "other", 0)
		if s.asked.Load() != before {
			t.Error("it was asked again")
		}
		s.silent.Store(true)
		s.want("it is silent again", "third", knownTime)
		s.silent.Store(false)
		time.Sleep(2 * time.Minute)
		s.want("it is back", "third", 0)
	})
}

// What a Keystone says later than it is waited for counts for the next request.
func TestALateAnswerCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSilent(t)
		defer s.close()
		s.want("at first", "one", 0)
		time.Sleep(2 * time.Minute)
		s.gone.Store(true)
		answer := s.ask
		s.ask = func(ctx context.Context, token string, e bool) (verdict, error) {
			time.Sleep(3 * time.Second)
			return answer(ctx, token, e)
		}
		s.want("before the answer", "one", knownTime)
		time.Sleep(time.Second)
		synctest.Wait()
		if took, err := s.takes("one"); took != 0 || image.KindOf(err) != image.Unauthenticated {
			t.Errorf("a token that is revoked: %v after %v", err, took)
		}
	})
}

// Without a grace everybody waits for Keystone, whatever it did a moment ago.
func TestWithoutAGraceASilentKeystoneIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSilent(t)
		defer s.close()
		s.grace = 0
		s.want("at first", "one", 0)
		time.Sleep(2 * time.Minute)
		s.silent.Store(true)
		for range 2 {
			if took, err := s.takes("one"); took != validateTime || image.KindOf(err) != image.Unavailable {
				t.Errorf("%v after %v", err, took)
			}
		}
	})
}

// A connection to a Keystone that has vanished is given up in seconds.
func TestAKeystoneThatVanishesIsNoticed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, transport, err := newHTTP(KeystoneConfig{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := transport.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if e := raw.Control(func(fd uintptr) {
		ms, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
		if err != nil || ms != 3000 {
			t.Errorf("%d ms, %v", ms, err)
		}
	}); e != nil {
		t.Fatal(e)
	}
}

// A server that takes the question and never answers: a token that it called good
// before goes on while the question is still under way.
func TestAKeystoneThatNeverAnswersIsBridged(t *testing.T) {
	f := newFake(t)
	f.put("tok", time.Hour, nil, "member")
	k := open(t, f.config())
	if _, err := ask(t, k, Request{Token: "tok"}); err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	defer close(release)
	f.set(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	age(k, 6*time.Minute)
	k.validator.most = 50 * time.Millisecond
	for range 3 {
		if _, err := ask(t, k, Request{Token: "tok"}); err != nil {
			t.Error(err)
		}
		k.validator.mu.Lock()
		if n := len(k.validator.flights); n != 1 {
			t.Errorf("%d questions are under way", n)
		}
		k.validator.mu.Unlock()
	}
	k.Close() // cuts the question short
}
