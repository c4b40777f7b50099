package s3

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Where the bucket stands in a request, and which stores claim conditional writes.
func TestStyles(t *testing.T) {
	var asked string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Host + r.URL.Path
		answer(200, nil, "Content-Length", "0")(w, r)
	}))
	t.Cleanup(srv.Close)
	for _, c := range []struct {
		endpoint, format, want string
		noReplace              bool
	}{
		{"http://s3.example.org", Auto, "s3.example.org/images/k", false},
		{"http://s3.example.org", Path, "s3.example.org/images/k", false},
		{"http://s3.example.org", Virtual, "images.s3.example.org/k", false},
		{"http://s3.eu-west-1.amazonaws.com", Auto, "images.s3.eu-west-1.amazonaws.com/k", true},
		{"http://s3.eu-west-1.amazonaws.com", Path, "s3.eu-west-1.amazonaws.com/images/k", true},
		{"http://amazonaws.com.example.org", Auto, "amazonaws.com.example.org/images/k", false},
	} {
		k := config(c.endpoint, "AK", "SK")
		k.Bucket, k.URLFormat, k.ConditionalWrites = "images", c.format, Auto
		s := store(t, k)
		s.transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, srv.Listener.Addr().String())
		}
		if _, err := s.Stat(t.Context(), s.locator("k")); err != nil {
			t.Error(err)
		}
		if asked != c.want || s.Caps().NoReplace != c.noReplace {
			t.Errorf("%s, %s: asks for %s, %+v", c.endpoint, c.format, asked, s.Caps())
		}
	}
}
