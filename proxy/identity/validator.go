package identity

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"glimpse/registry/image"
)

// Bounds of what is remembered and of what is asked at once.
const (
	maxKnown     = 20_000          // tokens; about 1 KiB each
	maxUnknown   = 4_000           // tokens that Keystone did not know: apart, so that a flood of them drives out no good one
	unknownTime  = 5 * time.Second // for which such a token is not asked about again
	maxFlights   = 2_000           // questions under way
	validateTime = 10 * time.Second

	// How long to wait for Keystone where memory has an answer within the grace. The
	// question goes on behind it, and its answer counts for the next request.
	knownTime = 2 * time.Second        // in general
	awayTime  = 500 * time.Millisecond // when it failed last
	leaveTime = 5 * time.Second        // for which nobody waits after it has failed or was silent
)

// validator answers questions about tokens from memory or from Keystone, each
// once at a time.
type validator struct {
	ask   func(ctx context.Context, token string, allowExpired bool) (verdict, error)
	ttl   time.Duration
	grace time.Duration
	most  time.Duration // knownTime
	log   *slog.Logger

	base  context.Context // of questions: they outlive the request that began them
	stop  context.CancelFunc
	tasks sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	away    bool      // as logged last
	missed  time.Time // when Keystone last failed, or had said nothing for as long as it was waited for; zero: it answered since
	known   *answers
	unknown *answers
	flights map[subject]*flight
}

// flight is one question to Keystone that any number of requests wait for.
type flight struct {
	done    chan struct{}
	verdict verdict // verdict and err: once done is closed
	err     error
}

func newValidator(ctx context.Context, c KeystoneConfig, k *client) *validator {
	v := &validator{
		ask: k.validate, ttl: c.TokenCacheTime, grace: c.OutageGrace, most: knownTime, log: c.Log,
		known: newAnswers(maxKnown), unknown: newAnswers(maxUnknown), flights: map[subject]*flight{},
	}
	v.base, v.stop = context.WithCancel(context.WithoutCancel(ctx))
	return v
}

func (v *validator) close() {
	v.mu.Lock()
	v.closed = true
	v.mu.Unlock()
	v.stop()
	v.tasks.Wait()
}

// validate returns what Keystone says or lately said. Its errors are
// Unauthenticated or Unavailable; the latter also when ctx ends.
func (v *validator) validate(ctx context.Context, token string, allowExpired bool) (verdict, error) {
	if !wellFormed(token) {
		return verdict{}, errBadToken
	}
	of := subjectOf(token, allowExpired)
	got, f, err := v.begin(of, token, time.Now())
	if f == nil {
		return got, err
	}
	most := v.patience(of, time.Now())
	patience := time.NewTimer(most)
	defer patience.Stop()
	select {
	case <-f.done:
	case <-patience.C:
		if most > 0 {
			v.miss(f, time.Now())
		}
		return v.bridge(of, errSilent, time.Now())
	case <-ctx.Done():
		return verdict{}, image.Wrap(image.Unavailable, ctx.Err(), msgAway)
	}
	if f.err != nil && !errors.Is(f.err, errNoToken) {
		return v.bridge(of, f.err, time.Now())
	}
	if f.err != nil || !allowExpired && !f.verdict.identity.Expires.After(time.Now()) {
		return verdict{}, errBadToken
	}
	return f.verdict, nil
}

const msgAway = "The identity service is not available."

// errSilent is the cause where nobody waited for Keystone's answer.
var errSilent = errors.New("keystone did not answer in time")

// patience is how long to wait for Keystone: longer than any question takes,
// unless the token can do without.
func (v *validator) patience(of subject, now time.Time) time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, ok := v.bridgedLocked(of, now)
	switch {
	case !ok:
		return 2 * validateTime
	case !v.missed.IsZero() && now.Sub(v.missed) < leaveTime:
		return 0
	case v.away:
		return awayTime
	}
	return v.most
}

// miss notes that a question was waited for in vain.
func (v *validator) miss(f *flight, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	select {
	case <-f.done: // it was answered in between
	default:
		v.missed = now
	}
}

// errBadToken is what all refused tokens get: it doesn't say why.
var errBadToken = image.Errorf(image.Unauthenticated, "The request you have made requires authentication.")

// begin returns a remembered answer, or a question to wait for.
func (v *validator) begin(of subject, token string, now time.Time) (verdict, *flight, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if e, ok := v.known.get(of); ok && now.Sub(e.read) < v.ttl && e.verdict.identity.Expires.After(now) {
		return e.verdict, nil, nil
	}
	if e, ok := v.unknown.get(of); ok && now.Sub(e.read) < unknownTime {
		return verdict{}, nil, errBadToken
	}
	if f := v.flights[of]; f != nil {
		return verdict{}, f, nil
	}
	if v.closed || len(v.flights) >= maxFlights {
		return verdict{}, nil, image.Errorf(image.Unavailable, "Too many tokens are being validated.")
	}
	f := &flight{done: make(chan struct{})}
	v.flights[of] = f
	v.tasks.Go(func() { v.fly(of, token, f) })
	return verdict{}, f, nil
}

func (v *validator) fly(of subject, token string, f *flight) {
	ctx, cancel := context.WithTimeout(v.base, validateTime)
	defer cancel()
	begun := time.Now()
	f.verdict, f.err = v.ask(ctx, token, of.allowExpired)
	v.land(of, begun, f)
}

func (v *validator) land(of subject, begun time.Time, f *flight) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.flights, of)
	switch {
	case errors.Is(f.err, errNoToken):
		v.known.drop(of)
		v.unknown.put(entry{of: of, read: begun})
	case f.err != nil:
	case f.verdict.identity.Expires.After(begun):
		v.known.put(entry{of, f.verdict, begun})
	}
	v.tellLocked(f.err)
	close(f.done)
}

// tellLocked notes whether Keystone answers, and logs when it goes and when it is
// back.
func (v *validator) tellLocked(err error) {
	away := err != nil && !errors.Is(err, errNoToken)
	v.missed = time.Time{}
	if away {
		v.missed = time.Now()
	}
	if away == v.away || v.closed {
		return
	}
	v.away = away
	if away {
		v.log.Warn("keystone can't validate tokens", "error", err)
	} else {
		v.log.Info("keystone validates tokens again")
	}
}

// bridge lets a token that was good before Keystone went be good for the grace,
// or until it expires.
func (v *validator) bridge(of subject, cause error, now time.Time) (verdict, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if got, ok := v.bridgedLocked(of, now); ok {
		return got, nil
	}
	return verdict{}, image.Wrap(image.Unavailable, cause, msgAway)
}

func (v *validator) bridgedLocked(of subject, now time.Time) (verdict, bool) {
	e, ok := v.known.get(of)
	ok = ok && v.grace > 0 && now.Sub(e.read) < max(v.ttl, 0)+v.grace && e.verdict.identity.Expires.After(now)
	return e.verdict, ok
}
