package ca

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"strings"
)

const scheme = "glimpse"

// checkName bounds what goes into the URI, so that it needs no quoting.
func checkName(what, s string) error {
	if s == "" {
		return fmt.Errorf("a certificate needs a %s", what)
	}
	if len(s) > 63 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "" ||
		strings.HasPrefix(s, ".") || strings.HasSuffix(s, ".") || strings.Contains(s, "..") {
		return fmt.Errorf("%s %q: up to 63 letters, digits, and - _ . within", what, s)
	}
	return nil
}

func uris(label, node string) []*url.URL {
	return []*url.URL{{Scheme: scheme, Host: label, Path: "/node/" + node}}
}

// names returns what a certificate was made for.
func names(c *x509.Certificate) (label, node string, err error) {
	found := 0
	for _, u := range c.URIs {
		if u.Scheme != scheme {
			continue
		}
		id, ok := strings.CutPrefix(u.Path, "/node/")
		if !ok || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return "", "", fmt.Errorf("the certificate's URI is not %s://LABEL/node/ID", scheme)
		}
		label, node = u.Host, id
		found++
	}
	if found != 1 {
		return "", "", fmt.Errorf("the certificate has %d URIs of the form %s://LABEL/node/ID, and needs one", found, scheme)
	}
	return label, node, nil
}
