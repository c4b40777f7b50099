package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"glimpse/backends"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// The ways to name a bucket in a URL, and to answer whether a server has
// conditional writes.
const (
	Auto    = "auto"
	Virtual = "virtual" // bucket.host/key
	Path    = "path"    // host/bucket/key
	On      = "on"
	Off     = "off"
)

// Config says which bucket is used and how it is reached.
type Config struct {
	Endpoint          string // URL of the server, without the bucket
	Bucket            string
	AccessKey         backends.Secret
	SecretKey         backends.Secret
	Region            string
	URLFormat         string        // Auto: Virtual for Amazon, Path for others, as Glance does it
	ConditionalWrites string        // On: CompleteMultipartUpload heeds If-None-Match; Auto: Amazon's do
	PartSize          int64         // of an upload's first parts; MinPart to MaxPart; 0: DefaultPart
	CAFile            string        // PEM; "": the system's
	CreateBucket      bool          // at the first upload, where it is missing
	Timeout           time.Duration // for an answer, and between two pieces of data; 0: 30 s
	Retries           int           // further tries of each request of an upload
}

// The sizes of parts.
const (
	MinPart     = 5 << 20 // S3's
	MaxPart     = 1 << 30
	DefaultPart = 64 << 20
)

const defaultTimeout = 30 * time.Second

// Store is one bucket.
type Store struct {
	c         Config
	host      string // of locations
	https     bool
	virtual   bool
	noReplace bool
	checksums bool // parts carry CRC32
	client    *s3.Client
	transport *http.Transport
}

var _ backends.Store = (*Store)(nil)

// Open checks the configuration and asks the server nothing.
func Open(c Config) (*Store, error) {
	u, err := url.Parse(c.Endpoint)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("s3: endpoint: not a URL such as https://s3.example.org")
	case !isBucket(c.Bucket):
		return nil, errors.New("s3: bucket: not the name of a bucket")
	case c.AccessKey == "" || c.SecretKey == "":
		return nil, errors.New("s3: access_key and secret_key are needed")
	}
	return open(c, u, isAmazon(u.Hostname()))
}

func isAmazon(host string) bool {
	host = strings.ToLower(host)
	return strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".amazonaws.com.cn")
}

// open makes the store. At Amazon requests carry checksums, which older servers
// refuse.
func open(c Config, u *url.URL, amazon bool) (*Store, error) {
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	if c.PartSize == 0 {
		c.PartSize = DefaultPart
	}
	if c.PartSize < MinPart || c.PartSize > MaxPart {
		return nil, fmt.Errorf("s3: part_size: %d bytes are not between 5 MiB and 1 GiB", c.PartSize)
	}
	s := &Store{c: c, host: hostOf(u), https: u.Scheme == "https", checksums: amazon}
	var err error
	if s.virtual, err = choose(c.URLFormat, amazon, Virtual, Path); err != nil {
		return nil, fmt.Errorf("s3: url_format: %w", err)
	}
	if s.noReplace, err = choose(c.ConditionalWrites, amazon, On, Off); err != nil {
		return nil, fmt.Errorf("s3: conditional_writes: %w", err)
	}
	if s.transport, err = transport(c); err != nil {
		return nil, err
	}
	s.client = s.newClient(c.AccessKey.Reveal(), c.SecretKey.Reveal())
	return s, nil
}

// choose tells whether a value is yes; Auto is what the server suggests.
func choose(value string, auto bool, yes, no string) (bool, error) {
	switch value {
	case Auto, "":
		return auto, nil
	case yes, no:
		return value == yes, nil
	}
	return false, fmt.Errorf("%q is not one of %s, %s, %s", value, Auto, yes, no)
}

// Caps are an S3 server's.
func (s *Store) Caps() backends.Caps {
	return backends.Caps{
		Ranged: true, UnknownSize: true, Validators: true, Pending: true,
		NoReplace: s.noReplace, PartSize: s.c.PartSize,
	}
}

// Stat asks for the object's head.
func (s *Store) Stat(ctx context.Context, at backends.Locator) (backends.Info, error) {
	o, err := s.resolve(at)
	if err != nil {
		return backends.Info{}, err
	}
	return s.stat(ctx, o)
}

func (s *Store) stat(ctx context.Context, o object) (backends.Info, error) {
	head, err := s.head(ctx, o)
	if errors.Is(err, backends.ErrNotFound) {
		err = s.missing(ctx, o, err)
	}
	if err != nil {
		return backends.Info{}, err
	}
	if head.ContentLength == nil {
		return backends.Info{}, fmt.Errorf("s3: %w: the server does not tell the object's size", backends.ErrUnavailable)
	}
	v := version{*head.ContentLength, aws.ToString(head.ETag), aws.ToString(head.VersionId)}
	return backends.Info{Size: v.size, Validator: v.String()}, nil
}

func (s *Store) head(ctx context.Context, o object) (*s3.HeadObjectOutput, error) {
	return call(ctx, s, s.c.Timeout, o.client.HeadObject, &s3.HeadObjectInput{Bucket: &o.bucket, Key: &o.key})
}

// missing tells a bucket that is missing from an object that is: the answer to a
// HEAD has no body to say which.
func (s *Store) missing(ctx context.Context, o object, notFound error) error {
	_, err := call(ctx, s, s.c.Timeout, o.client.HeadBucket, &s3.HeadBucketInput{Bucket: &o.bucket})
	if errors.Is(err, backends.ErrNotFound) {
		return errNoBucket
	}
	if errors.Is(err, backends.ErrUnavailable) {
		return err
	}
	return notFound
}

// Delete removes an object. S3 does not say whether there was one, so the store
// looks first.
func (s *Store) Delete(ctx context.Context, at backends.Locator) error {
	o, err := s.resolve(at)
	if err != nil {
		return err
	}
	if _, err := s.stat(ctx, o); err != nil {
		return err
	}
	_, err = call(ctx, s, s.c.Timeout, o.client.DeleteObject, &s3.DeleteObjectInput{Bucket: &o.bucket, Key: &o.key})
	return err
}

// Close ends idle connections.
func (s *Store) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}
