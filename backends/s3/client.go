package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"glimpse/backends/httpread"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

const (
	connectTimeout = 10 * time.Second
	maxHeader      = 64 << 10
	// maxText bounds every answer that is not an object: a page of a list has at
	// most a thousand entries.
	maxText = 4 << 20
)

// transport reaches the endpoint and nothing between: no proxy of the
// environment's, no redirects.
func transport(c Config) (*http.Transport, error) {
	t := &http.Transport{
		DialContext:     (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, TLSHandshakeTimeout: connectTimeout,
		ResponseHeaderTimeout: max(c.Timeout, finishTimeout), MaxResponseHeaderBytes: maxHeader,
		ExpectContinueTimeout: time.Second, // a server that is full says so before it is sent a part
		DisableCompression:    true, MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute,
		ReadBufferSize: 64 << 10, WriteBufferSize: 64 << 10,
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("s3: cacert: %w", err)
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("s3: cacert: no certificate in %s", c.CAFile)
		}
	}
	return t, nil
}

// newClient sets every option that the SDK would else take from the environment.
// Its own retries are off: a Store's callers try again, and a Writer does itself.
func (s *Store) newClient(access, secret string) *s3.Client {
	o := s3.Options{
		BaseEndpoint: &s.c.Endpoint, Region: s.c.Region, UsePathStyle: !s.virtual,
		Credentials: credentials.NewStaticCredentialsProvider(access, secret, ""),
		Retryer:     aws.NopRetryer{}, RetryMaxAttempts: 1,
		RequestChecksumCalculation:                aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation:                aws.ResponseChecksumValidationWhenRequired,
		DisableLogOutputChecksumValidationSkipped: true,
		HTTPClient: &http.Client{
			Transport:     bounded{s.transport},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	if s.checksums {
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenSupported
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenSupported
	}
	return s3.New(o)
}

// unsigned leaves a part's bytes out of the signature: TLS protects them.
func unsigned(o *s3.Options) {
	o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
}

type objectKey struct{}

// wantsObject marks a request whose good answer may be of any length.
func wantsObject(ctx context.Context) context.Context {
	return context.WithValue(ctx, objectKey{}, true)
}

// bounded limits how much of an answer the SDK can read.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err == nil && (r.Context().Value(objectKey{}) == nil || resp.StatusCode >= http.StatusMultipleChoices) {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxText)
	}
	return resp, err
}

// call makes one request, which has so much time in all.
func call[I, O any](ctx context.Context, s *Store, limit time.Duration, op func(context.Context, I, ...func(*s3.Options)) (O, error), in I, opts ...func(*s3.Options)) (O, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, httpread.ErrStalled)
	defer cancel()
	out, err := op(ctx, in, opts...)
	return out, translate(ctx, err)
}
