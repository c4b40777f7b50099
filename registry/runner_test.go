package registry_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/registry"
)

func TestPassesAreRepeatedUntilTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		begun, n := time.Now(), 0
		var gaps []time.Duration
		pass := func(context.Context) (registry.Report, error) {
			gaps = append(gaps, time.Since(begun))
			begun = time.Now()
			switch n++; {
			case n <= 3:
				return registry.Report{}, errors.New("no luck")
			case n == 6:
				cancel()
			}
			return registry.Report{}, nil
		}
		registry.Run(ctx, "svc", time.Minute, pass, slog.New(slog.NewTextHandler(&log, nil)))
		if n != 6 {
			t.Errorf("%d passes", n)
		}
		for i, g := range gaps {
			if i == 0 && g > time.Minute || i > 0 && (g < 45*time.Second || g > 75*time.Second) {
				t.Errorf("pass %d came after %s", i, g)
			}
		}
		if out := log.String(); strings.Count(out, "no luck") != 1 || strings.Count(out, "works again") != 1 || !strings.Contains(out, "service=svc") {
			t.Errorf("the log:\n%s", out)
		}
	})
}
