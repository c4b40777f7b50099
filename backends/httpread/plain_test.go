package httpread

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
)

func TestAnErrorQuotesNoURL(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"connection":  {refused, "connection refused"},
		"certificate": {&tls.CertificateVerificationError{Err: errors.New("expired")}, "expired"},
		"end":         {io.EOF, "ended the connection"},
		"protocol":    {errors.New(`malformed response "hush"`), "does not answer in HTTP"},
	} {
		err := Plain(fmt.Errorf("hush: %w", &url.Error{Op: "Get", URL: "http://user:hush@host/", Err: c.err}), "HTTP")
		if err == nil || errors.Is(err, io.EOF) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
