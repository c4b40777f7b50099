package s3

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"glimpse/backends"
	"glimpse/backends/backendtest"
	"glimpse/cmd/testenv"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	testenv.Main(m, goleak.IgnoreAnyFunction("glimpse/cmd/testenv.launch.func1"))
}

var buckets atomic.Int64

// config is that of a bucket of the test's own.
func config(endpoint, access, secret string) Config {
	return Config{
		Endpoint: endpoint, AccessKey: backends.Secret(access), SecretKey: backends.Secret(secret),
		Bucket: fmt.Sprintf("bucket-%d", buckets.Add(1)), CreateBucket: true,
		PartSize: MinPart, ConditionalWrites: On, Retries: 3,
	}
}

func gateway(t *testing.T) Config {
	t.Helper()
	g := testenv.Versitygw(t)
	return config(g.URL, g.Access, g.Secret)
}

func store(t *testing.T, c Config) *Store {
	t.Helper()
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func abilities(noReplace bool) backends.Caps {
	return backends.Caps{Ranged: true, UnknownSize: true, Validators: true, Pending: true, NoReplace: noReplace, PartSize: MinPart}
}

// replace puts an object over another, as the driver never does.
func replace(t *testing.T, c Config, at backends.Locator, data []byte) {
	t.Helper()
	s := store(t, c)
	o, err := s.resolve(at)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &o.bucket, Key: &o.key, Body: bytes.NewReader(data)}); err != nil {
		t.Fatal(err)
	}
}

// kit runs the kit, each case in a bucket of its own.
func kit(t *testing.T, base Config, open func(Config) (*Store, error)) {
	t.Helper()
	var c Config
	backendtest.Run(t, func(t *testing.T) backends.Store {
		t.Helper()
		c = base
		c.Bucket = fmt.Sprintf("bucket-%d", buckets.Add(1))
		s, err := open(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.createBucket(t.Context()); err != nil {
			t.Fatal(err)
		}
		return s
	}, backendtest.Options{
		Caps: abilities(base.ConditionalWrites == On), Part: MinPart,
		Replace: func(t *testing.T, at backends.Locator, data []byte) { t.Helper(); replace(t, c, at, data) },
	})
}

func TestVersitygw(t *testing.T) { kit(t, gateway(t), Open) }

// What a client of Amazon's does, checksums and their trailers, over TLS.
func TestVersitygwOverTLS(t *testing.T) {
	cert, key := certificate(t)
	g := testenv.VersitygwTLS(t, cert, key)
	c := config(g.URL, g.Access, g.Secret)
	c.CAFile = cert
	t.Run("as any server", func(t *testing.T) { kit(t, c, Open) })
	t.Run("as Amazon", func(t *testing.T) {
		c.URLFormat = Path
		kit(t, c, func(c Config) (*Store, error) {
			u, err := url.Parse(c.Endpoint)
			if err != nil {
				return nil, err
			}
			return open(c, u, true)
		})
	})
	t.Run("not trusted", func(t *testing.T) {
		c.CAFile = ""
		_, err := store(t, c).Stat(t.Context(), store(t, c).locator("x"))
		if err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Error(err)
		}
	})
}

// A server that accepts If-None-Match and replaces objects all the same, knows no
// checksums, and is what OpenStack's sites run.
func TestRadosgw(t *testing.T) {
	g := testenv.RGW(t)
	c := config(g.URL, g.AccessKey, g.SecretKey)
	c.ConditionalWrites, c.Region = Auto, "default"
	t.Run("http", func(t *testing.T) { kit(t, c, Open) })
	t.Run("https", func(t *testing.T) {
		c.Endpoint, c.CAFile = g.TLSURL, g.CA
		kit(t, c, Open)
	})
}

func read(ctx context.Context, s backends.Store, at backends.Locator, validator string, off, n int64) ([]byte, error) {
	r, err := s.Open(ctx, at, validator, off, n)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}
