package s3

import (
	"context"
	"errors"
	"fmt"
	"time"

	"glimpse/backends"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// maxPages bounds a walk over a server's lists; a page has up to a thousand
// entries.
const maxPages = 1000

var errPages = fmt.Errorf("s3: %w: a list of the server's does not end", backends.ErrUnavailable)

// Pending lists the uploads of the bucket that are under way, Glance's too.
func (s *Store) Pending(ctx context.Context, fn func(backends.Locator, time.Time) error) error {
	return s.uploads(ctx, "", func(u types.MultipartUpload) error {
		at, err := s.lastWrite(ctx, u)
		if errors.Is(err, errGone) || errors.Is(err, backends.ErrNotFound) {
			return nil // it has ended meanwhile
		}
		if err != nil {
			return err
		}
		return fn(s.locator(aws.ToString(u.Key)), at)
	})
}

// Abort ends all uploads of a key.
func (s *Store) Abort(ctx context.Context, at backends.Locator) error {
	o, err := s.resolve(at)
	if err != nil {
		return err
	}
	if o.bucket != s.c.Bucket {
		return errBucket
	}
	// The list is read first: it is not walked while entries go.
	var ids []string
	err = s.uploads(ctx, o.key, func(u types.MultipartUpload) error {
		if aws.ToString(u.Key) == o.key {
			ids = append(ids, aws.ToString(u.UploadId))
		}
		return nil
	})
	for _, id := range ids {
		if aerr := s.abort(ctx, o.key, id); aerr != nil && !errors.Is(aerr, errGone) {
			err = errors.Join(err, aerr)
		}
	}
	return err
}

// uploads walks the uploads of the keys with a prefix. Where the bucket is
// missing there are none.
func (s *Store) uploads(ctx context.Context, prefix string, fn func(types.MultipartUpload) error) error {
	in := &s3.ListMultipartUploadsInput{Bucket: &s.c.Bucket}
	if prefix != "" {
		in.Prefix = &prefix
	}
	for range maxPages {
		out, err := call(ctx, s, s.c.Timeout, s.client.ListMultipartUploads, in)
		if errors.Is(err, errNoBucket) && s.c.CreateBucket {
			return nil
		}
		if err != nil {
			return err
		}
		for _, u := range out.Uploads {
			if err := fn(u); err != nil {
				return err
			}
		}
		if !aws.ToBool(out.IsTruncated) {
			return nil
		}
		in.KeyMarker, in.UploadIdMarker = out.NextKeyMarker, out.NextUploadIdMarker
	}
	return errPages
}

// lastWrite is when the newest part of an upload came, else when it began.
func (s *Store) lastWrite(ctx context.Context, u types.MultipartUpload) (time.Time, error) {
	at := aws.ToTime(u.Initiated)
	in := &s3.ListPartsInput{Bucket: &s.c.Bucket, Key: u.Key, UploadId: u.UploadId}
	for range maxPages {
		out, err := call(ctx, s, s.c.Timeout, s.client.ListParts, in)
		if err != nil {
			return at, err
		}
		for _, p := range out.Parts {
			if t := aws.ToTime(p.LastModified); t.After(at) {
				at = t
			}
		}
		if !aws.ToBool(out.IsTruncated) {
			return at, nil
		}
		in.PartNumberMarker = out.NextPartNumberMarker
	}
	return at, errPages
}
