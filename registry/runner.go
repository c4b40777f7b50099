package registry

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"
)

// Report counts what a pass of a background service did.
type Report struct {
	Seen int // looked at
	Done int // dealt with
	Kept int // left for a later pass
}

// LogValue makes one group of the counts.
func (r Report) LogValue() slog.Value {
	return slog.GroupValue(slog.Int("seen", r.Seen), slog.Int("done", r.Done), slog.Int("kept", r.Kept))
}

// Run repeats pass until ctx ends, with every ± a quarter between the end of one
// and the beginning of the next; it begins within every, so that the nodes of a
// cluster don't act at once. An error is logged when it appears or changes, and
// once more when it is gone. A pass that panics takes the process down.
func Run(ctx context.Context, name string, every time.Duration, pass func(context.Context) (Report, error), log *slog.Logger) {
	log = log.With("service", name)
	last := ""
	for wait := jitter(0, every); ; wait = jitter(every-every/4, every+every/4) {
		if !sleep(ctx, wait) {
			return
		}
		r, err := pass(ctx)
		if ctx.Err() != nil {
			return
		}
		last = logPass(ctx, log, r, err, last)
	}
}

// logPass returns the text of the error, "" for none.
func logPass(ctx context.Context, log *slog.Logger, r Report, err error, last string) string {
	switch {
	case err != nil:
		if err.Error() != last {
			log.WarnContext(ctx, "a pass failed", "error", err, "report", r)
		}
		return err.Error()
	case last != "":
		log.InfoContext(ctx, "works again", "report", r)
	case r.Done > 0:
		log.InfoContext(ctx, "pass", "report", r)
	}
	return ""
}

// jitter returns a duration in [from, to].
func jitter(from, to time.Duration) time.Duration {
	return from + rand.N(max(to-from, 0)+1)
}

// sleep returns false when ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
