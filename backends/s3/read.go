package s3

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"glimpse/backends"
	"glimpse/backends/httpread"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// version is what tells two objects of one key apart.
type version struct {
	size     int64 // -1: unknown
	etag, id string
}

// maxTag is how long a tag may be to be kept as it is.
const maxTag = 128

// String is the validator.
func (v version) String() string {
	if v.etag == "" {
		return ""
	}
	tag, kind := v.etag, "e"
	if v.id != "" {
		tag += " " + v.id
	}
	if len(tag) > maxTag {
		sum := sha256.Sum256([]byte(tag))
		tag, kind = hex.EncodeToString(sum[:]), "h"
	}
	return kind + strconv.FormatInt(v.size, 10) + " " + tag
}

// condition is the ETag with which a server refuses another version, nil where
// the validator does not hold one.
func condition(validator string) *string {
	kind, tag, ok := strings.Cut(validator, " ")
	if !ok || kind[0] != 'e' {
		return nil
	}
	tag, _, _ = strings.Cut(tag, " ")
	return &tag
}

var errRange = fmt.Errorf("s3: %w", httpread.ErrRange)

// span is the Range header for n bytes from off, nil for all.
func span(off, n int64) *string {
	switch {
	case n > 0:
		return aws.String(fmt.Sprintf("bytes=%d-%d", off, off+n-1))
	case off > 0:
		return aws.String(fmt.Sprintf("bytes=%d-", off))
	}
	return nil
}

// Open reads a range.
func (s *Store) Open(ctx context.Context, at backends.Locator, validator string, off, n int64) (io.ReadCloser, error) {
	o, err := s.resolve(at)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return http.NoBody, s.same(ctx, o, validator)
	}
	rctx, cancel := context.WithCancelCause(ctx)
	out, err := s.get(rctx, cancel, &s3.GetObjectInput{Bucket: &o.bucket, Key: &o.key, Range: span(off, n), IfMatch: condition(validator)}, o)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	body := httpread.Watch(rctx, cancel, out.Body, s.c.Timeout, broken)
	left, err := begin(out, validator, off, n)
	if err != nil {
		return nil, errors.Join(err, body.Close())
	}
	return httpread.Check("s3", body, left, func() error {
		if validator == "" {
			return nil
		}
		return s.same(rctx, o, validator)
	}), nil
}

// get sends the request; its answer must begin in time, and then has as long as
// its reader takes.
func (s *Store) get(ctx context.Context, cancel context.CancelCauseFunc, in *s3.GetObjectInput, o object) (*s3.GetObjectOutput, error) {
	silent := time.AfterFunc(s.c.Timeout, func() { cancel(httpread.ErrStalled) })
	defer silent.Stop()
	out, err := o.client.GetObject(wantsObject(ctx), in)
	if err = translate(ctx, err); errors.Is(err, errMet) {
		err = fmt.Errorf("s3: %w", backends.ErrChanged)
	}
	return out, err
}

// begin checks that the answer is the range, from the version asked for, and
// returns how many bytes its body must give, -1 where the server does not say.
func begin(out *s3.GetObjectOutput, validator string, off, n int64) (int64, error) {
	size, left := int64(-1), n
	if out.ContentLength != nil {
		size = *out.ContentLength
		if n < 0 {
			left = size
		}
	}
	if out.ContentRange != nil {
		first, whole, err := httpread.ContentRange(*out.ContentRange)
		if err != nil || first != off {
			return 0, errRange
		}
		size = whole
	} else if off > 0 {
		return 0, errRange // all that comes before may be the whole image
	}
	v := version{size, aws.ToString(out.ETag), aws.ToString(out.VersionId)}
	if validator != "" && v.String() != validator {
		return 0, fmt.Errorf("s3: %w", backends.ErrChanged)
	}
	return left, nil
}

// same fails where there is no object, or another version than the validator's.
func (s *Store) same(ctx context.Context, o object, validator string) error {
	info, err := s.stat(ctx, o)
	if err == nil && validator != "" && info.Validator != validator {
		err = fmt.Errorf("s3: %w", backends.ErrChanged)
	}
	return err
}
