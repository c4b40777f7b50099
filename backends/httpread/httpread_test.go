package httpread

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestContentRange(t *testing.T) {
	for _, s := range []string{"", "bytes", "bytes 1", "bytes 1-2", "bytes x-2/3", "bytes 1-2/x", "bytes 1-2/-3", "bytes -1-2/3", "rows 1-2/3"} {
		if _, _, err := ContentRange(s); !errors.Is(err, ErrRange) {
			t.Errorf("%q is a range", s)
		}
	}
	for s, want := range map[string][2]int64{"bytes 7-9/*": {7, -1}, "bytes 7-9/10": {7, 10}} {
		if first, size, err := ContentRange(s); first != want[0] || size != want[1] || err != nil {
			t.Error(s, first, size, err)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		soon := time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat)
		for v, want := range map[string]time.Duration{
			"": 0, "7": 7 * time.Second, "-7": 0, "999999999": maxWait, "99999999999999999999": 0, "soon": 0,
			soon: 90 * time.Second, "Sat, 02 Jan 1999 15:04:05 GMT": 0,
		} {
			if got := RetryAfter(http.Header{"Retry-After": {v}}); got != want {
				t.Errorf("%q: %s", v, got)
			}
		}
	})
}

func TestTheEndIsChecked(t *testing.T) {
	errOther := errors.New("another")
	for name, c := range map[string]struct {
		n    int64
		same error
		want string
		err  error
	}{
		"counted":          {3, nil, "abc", nil},
		"whole":            {-1, nil, "abcdef", nil},
		"short":            {7, nil, "abcdef", io.ErrUnexpectedEOF},
		"counted, changed": {6, errOther, "", errOther},
		"whole, changed":   {-1, errOther, "abcdef", errOther}, // nobody could know which read is the last
	} {
		got, err := io.ReadAll(Check("x", io.NopCloser(strings.NewReader("abcdef")), c.n, func() error { return c.same }))
		if string(got) != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
