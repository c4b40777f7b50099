package httpread

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/url"
)

// WithoutURL takes off the client's own wrapping, which quotes the URL of the
// request.
func WithoutURL(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

// Plain keeps of an error of an HTTP client what quotes neither the URL of the
// request, which may hold credentials, nor what the server sent, such as where it
// redirects to: an error of the connection, its end before an answer, or an error of
// a certificate. Of any other it says that the server does not answer in the protocol.
func Plain(err error, protocol string) error {
	err = WithoutURL(err) // that wrapping is a net.Error too
	var ce *tls.CertificateVerificationError
	if errors.As(err, &ce) {
		return ce
	}
	var ne net.Error
	if errors.As(err, &ne) {
		return ne
	}
	if errors.Is(err, io.EOF) { // which must not be taken for the end of a body
		return errors.New("the server ended the connection without an answer")
	}
	return errors.New("the server does not answer in " + protocol)
}
