package backends

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// errAway is what a call is refused with while nobody asks the store.
var errAway = errors.New("the store is away")

// errLeft marks a call whose caller left: it says nothing about the store.
var errLeft = errors.New("the caller left")

// mostHosts bounds the breakers of one store.
const mostHosts = 1000

// Breaking says when a store that keeps failing is left alone.
type Breaking struct {
	After uint32        // failures in a row; 0: 8
	Rest  time.Duration // until it is asked again; 0: 3 s
	// Host names the server behind a locator, where one store has many: each is
	// left alone on its own. nil: there is one.
	Host func(Locator) string
	// Away hears of each server that is left alone from now on (1), or no longer
	// (-1), or of several in one. It may be nil.
	Away func(change int)
}

const (
	defaultAfter = 8 // two calls with three retries each
	defaultRest  = 3 * time.Second
)

// Breaker leaves a store alone for a while when its calls have failed again and
// again; then one call finds out whether it is back. So requests for what lies
// there are refused at once, or go to another store, and do not pile up (circuit
// breaker; Nygard, Release It!). They are refused with ErrUnavailable and a Busy
// that tells when the store is asked again.
//
// A failure is ErrUnavailable, or a read that breaks off. Everything else that a
// store answers shows that it is there. Create is refused, but not counted: most
// drivers ask nothing of the store before the first Write.
func Breaker(s Store, b Breaking) Store {
	if b.After == 0 {
		b.After = defaultAfter
	}
	if b.Rest <= 0 {
		b.Rest = defaultRest
	}
	d := &breaking{Store: s, b: b}
	d.mu.hosts = map[string]*breaker{}
	return d
}

type breaking struct {
	Store
	b  Breaking
	mu struct {
		sync.Mutex
		hosts map[string]*breaker
	}
}

func (s *breaking) Unwrap() Store { return s.Store }

// breaker is one server's.
type breaker struct {
	*gobreaker.TwoStepCircuitBreaker[any]
	until  atomic.Int64 // when the next try is, in Unix nanoseconds
	change atomic.Int64 // that Away has not heard of
}

// of returns the breaker of a locator's server; nil where there are too many that
// are left alone.
func (s *breaking) of(at Locator) *breaker {
	host := ""
	if s.b.Host != nil {
		host = s.b.Host(at)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.mu.hosts[host]; b != nil {
		return b
	}
	if len(s.mu.hosts) >= mostHosts && !s.forgetOneLocked() {
		return nil
	}
	b := s.breaker()
	s.mu.hosts[host] = b
	return b
}

// forgetOneLocked makes room: any server that is not left alone.
func (s *breaking) forgetOneLocked() bool {
	for host, b := range s.mu.hosts {
		if b.State() == gobreaker.StateClosed {
			delete(s.mu.hosts, host)
			return true
		}
	}
	return false
}

func (s *breaking) breaker() *breaker {
	b := &breaker{}
	b.TwoStepCircuitBreaker = gobreaker.NewTwoStepCircuitBreaker[any](gobreaker.Settings{
		Timeout:     s.b.Rest,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= s.b.After },
		IsExcluded:  func(err error) bool { return errors.Is(err, errLeft) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			switch to {
			case gobreaker.StateOpen:
				b.until.Store(time.Now().Add(s.b.Rest).UnixNano())
				if from == gobreaker.StateClosed {
					b.change.Add(1)
				}
			case gobreaker.StateClosed:
				b.change.Add(-1)
			}
		},
	})
	return b
}

// refusal says when the store is asked again.
func (b *breaker) refusal() error {
	until := time.Unix(0, b.until.Load())
	return Busy(max(time.Until(until), time.Second), fmt.Errorf("%w: it is tried again at %s", errAway, until.UTC().Format(time.RFC3339)))
}

// tell passes on what has changed, without a lock.
func (s *breaking) tell(b *breaker) {
	if c := b.change.Swap(0); c != 0 && s.b.Away != nil {
		s.b.Away(int(c))
	}
}

// begin asks to make a call. done is told what came of it.
func (s *breaking) begin(at Locator) (done func(error), probe bool, err error) {
	b := s.of(at)
	if b == nil {
		return func(error) {}, false, nil
	}
	ended, err := b.Allow()
	if err != nil {
		return nil, false, b.refusal()
	}
	return func(err error) { ended(err); s.tell(b) }, b.State() == gobreaker.StateHalfOpen, nil
}

// verdict is what a call's error says about the store.
func verdict(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return errLeft
	case errors.Is(err, ErrUnavailable):
		return err
	}
	return nil
}

func (s *breaking) Stat(ctx context.Context, at Locator) (Info, error) {
	done, _, err := s.begin(at)
	if err != nil {
		return Info{}, err
	}
	info, err := s.Store.Stat(ctx, at)
	done(verdict(ctx, err))
	return info, err
}

func (s *breaking) Delete(ctx context.Context, at Locator) error {
	done, _, err := s.begin(at)
	if err != nil {
		return err
	}
	err = s.Store.Delete(ctx, at)
	done(verdict(ctx, err))
	return err
}

func (s *breaking) Create(ctx context.Context, key string, size int64) (Writer, error) {
	if s.b.Host == nil {
		if b := s.of(""); b.State() == gobreaker.StateOpen {
			return nil, b.refusal()
		}
	}
	return s.Store.Create(ctx, key, size)
}

func (s *breaking) Open(ctx context.Context, at Locator, validator string, off, n int64) (io.ReadCloser, error) {
	done, probe, err := s.begin(at)
	if err != nil {
		return nil, err
	}
	r, err := s.Store.Open(ctx, at, validator, off, n)
	if err != nil {
		done(verdict(ctx, err))
		return nil, err
	}
	return &judgedReader{ReadCloser: r, ctx: ctx, done: done, probe: probe}, nil
}

// probeBytes are enough of a probe: others wait for it.
const probeBytes = 256 << 10

// judgedReader is a read whose outcome counts: that of a probe after its first
// bytes, else at its end.
type judgedReader struct {
	io.ReadCloser
	ctx   context.Context
	done  func(error)
	once  sync.Once
	probe bool
	n     int
}

func (r *judgedReader) judge(err error) {
	r.once.Do(func() { r.done(verdict(r.ctx, err)) })
}

func (r *judgedReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.n += n
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		r.judge(fmt.Errorf("%w: %w", ErrUnavailable, err))
	case err != nil && !errors.Is(err, io.EOF):
		r.judge(err)
	case r.probe && r.n >= probeBytes:
		r.judge(nil)
	}
	return n, err
}

func (r *judgedReader) Close() error {
	r.judge(nil)
	return r.ReadCloser.Close()
}
