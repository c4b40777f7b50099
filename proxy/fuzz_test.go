package proxy

import (
	"net/url"
	"testing"
)

func FuzzRange(f *testing.F) {
	for _, s := range []string{"bytes=0-0", "bytes=-5", "bytes=5-", "bytes=5-2", "bytes=0-1,2-3", "bytes=", "lines=1-2", "bytes=99999999999999999999-", "bytes 0-4/*", "bytes -5/10", "bytes 1-2/10"} {
		f.Add(s, int64(1024))
		f.Add(s, int64(0))
	}
	f.Fuzz(func(t *testing.T, h string, size int64) {
		if size < 0 {
			return
		}
		for _, parse := range []func(string, int64) (span, error){parseRange, parseContentRange} {
			s, err := parse(h, size)
			if err == nil && (s.off < 0 || s.n <= 0 || s.off+s.n > size || s.off+s.n < 0) {
				t.Errorf("%q of %d: %+v", h, size, s)
			}
		}
	})
}

func FuzzListQuery(f *testing.F) {
	for _, s := range []string{
		"limit=5&marker=x", "sort=name:asc,size", "sort_key=name&sort_dir=asc", "name=in:a,%22b,c%22", "created_at=gte:2020-01-01T00:00:00Z", "size_min=1&size_max=2", "tag=a&tag=b", "visibility=all&member_status=all",
		"protected=true&os_hidden=false", "os_distro=x", "name=%00", "limit=-0", "updated_at=2020-01-01T00:00:00%2B02:00",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		v, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		q, err := parseQuery(v, 25, 1000)
		if err != nil {
			return
		}
		if q.Limit < 0 || q.Limit > 1000 || len(q.Equals) > maxFilters || len(q.Sort) > len(sortKeys) {
			t.Errorf("%q: %+v", raw, q)
		}
		if err := q.Check(); err != nil {
			t.Errorf("%q passes here and is refused by the registry: %v", raw, err)
		}
	})
}
