package s3

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"glimpse/backends"
	"glimpse/backends/httpread"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const (
	// finishTimeout is what a server may take to put the parts together.
	finishTimeout = 5 * time.Minute
	// abortTimeout bounds the end of an upload that is given up.
	abortTimeout = time.Minute
	abortTries   = 10
)

// markName is the object's metadata that tells which Writer made it.
const markName = "glimpse-upload"

// upload is a multipart upload.
type upload struct {
	s    *Store
	key  string
	id   string
	mark string
	done []types.CompletedPart
}

// begin makes the upload. It does not stop with ctx: who does not hear the
// answer does not know what to abort.
func (s *Store) begin(ctx context.Context, key string) (*upload, error) {
	u := &upload{s: s, key: key, mark: rand.Text()}
	in := &s3.CreateMultipartUploadInput{Bucket: &s.c.Bucket, Key: &key, Metadata: map[string]string{markName: u.mark}}
	if s.checksums {
		in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32
	}
	create := func() error {
		out, err := call(context.WithoutCancel(ctx), s, s.c.Timeout, s.client.CreateMultipartUpload, in)
		if err == nil {
			u.id = aws.ToString(out.UploadId)
		}
		if err == nil && u.id == "" {
			err = errors.New("s3: the server gives the upload no name")
		}
		return err
	}
	err := s.again(ctx, create)
	if errors.Is(err, errNoBucket) && s.c.CreateBucket {
		if err = s.createBucket(ctx); err == nil {
			err = s.again(ctx, create)
		}
	}
	return u, err
}

func (s *Store) createBucket(ctx context.Context) error {
	in := &s3.CreateBucketInput{Bucket: &s.c.Bucket}
	// Amazon alone wants to be told where, and nothing for its first region.
	if s.checksums && s.c.Region != "us-east-1" {
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(s.c.Region)}
	}
	return s.again(ctx, func() error {
		_, err := call(ctx, s, s.c.Timeout, func(ctx context.Context, in *s3.CreateBucketInput, o ...func(*s3.Options)) (*s3.CreateBucketOutput, error) {
			out, err := s.client.CreateBucket(ctx, in, o...)
			var ours *types.BucketAlreadyOwnedByYou
			if errors.As(err, &ours) {
				err = nil
			}
			return out, err
		}, in)
		return err
	})
}

// part sends the next part.
func (u *upload) part(ctx context.Context, bufs [][]byte) error {
	number := int32(len(u.done) + 1) // at most maxParts
	if number > maxParts {
		return fmt.Errorf("s3: %w: an object has at most %d parts", backends.ErrFull, maxParts)
	}
	return u.s.again(ctx, func() error {
		out, err := u.send(ctx, number, bufs)
		if err == nil {
			u.done = append(u.done, types.CompletedPart{PartNumber: &number, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32})
		}
		return err
	})
}

// send makes one request with a part. The server may take as long as it goes on
// taking bytes.
func (u *upload) send(ctx context.Context, number int32, bufs [][]byte) (*s3.UploadPartOutput, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(u.s.c.Timeout, func() { cancel(httpread.ErrStalled) })
	defer silent.Stop()
	b := newBody(bufs, func() { silent.Reset(u.s.c.Timeout) })
	defer b.leave()
	in := &s3.UploadPartInput{Bucket: &u.s.c.Bucket, Key: &u.key, UploadId: &u.id, PartNumber: &number, Body: b, ContentLength: &b.size}
	out, err := u.s.client.UploadPart(ctx, in, u.s.signing()...)
	if err == nil && aws.ToString(out.ETag) == "" {
		return nil, fmt.Errorf("s3: %w: the server gives a part no name", backends.ErrUnavailable)
	}
	return out, translate(ctx, err)
}

// signing is how parts are signed.
func (s *Store) signing() []func(*s3.Options) {
	if s.https && !s.checksums {
		return []func(*s3.Options){unsigned}
	}
	return nil
}

// condition is the header that keeps an object from being replaced.
func (s *Store) condition() *string {
	if s.noReplace {
		return aws.String("*")
	}
	return nil
}

// finish has the parts put together. Where the answer is lost, the object itself
// tells whether it is this upload's.
func (u *upload) finish(ctx context.Context) error {
	return u.s.again(ctx, func() error {
		if !u.s.noReplace {
			if taken, err := u.taken(ctx); taken || err != nil {
				return err
			}
		}
		_, err := call(ctx, u.s, finishTimeout, u.s.client.CompleteMultipartUpload, &s3.CompleteMultipartUploadInput{
			Bucket: &u.s.c.Bucket, Key: &u.key, UploadId: &u.id, IfNoneMatch: u.s.condition(),
			MultipartUpload: &types.CompletedMultipartUpload{Parts: u.done},
		})
		if err == nil {
			return nil
		}
		if taken, terr := u.taken(ctx); taken {
			return terr
		}
		if errors.Is(err, errMet) { // by an object that has gone since
			err = fmt.Errorf("s3: %w", backends.ErrExists)
		}
		return err
	})
}

// taken says whether there is an object under the key, with ErrExists where
// another has made it.
func (u *upload) taken(ctx context.Context) (bool, error) {
	head, err := u.s.head(ctx, u.s.own(u.key))
	switch {
	case errors.Is(err, backends.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	case head.Metadata[markName] == u.mark:
		return true, nil
	}
	return true, fmt.Errorf("s3: %w", backends.ErrExists)
}

// empty makes an object of no bytes, which not every server makes out of parts.
// The upload's end comes first: it tells whether somebody has ended it.
func (u *upload) empty(ctx context.Context) error {
	if err := u.s.abort(ctx, u.key, u.id); err != nil {
		return err
	}
	return u.s.again(ctx, func() error {
		if !u.s.noReplace {
			if taken, err := u.taken(ctx); taken || err != nil {
				return err
			}
		}
		_, err := call(ctx, u.s, u.s.c.Timeout, u.s.client.PutObject, &s3.PutObjectInput{
			Bucket: &u.s.c.Bucket, Key: &u.key, IfNoneMatch: u.s.condition(), Metadata: map[string]string{markName: u.mark},
		})
		if errors.Is(err, errMet) {
			if taken, terr := u.taken(ctx); taken {
				return terr
			}
			return fmt.Errorf("s3: %w", backends.ErrExists)
		}
		return err
	})
}

// own is the object of a key in the store's bucket.
func (s *Store) own(key string) object {
	return object{bucket: s.c.Bucket, key: key, client: s.client}
}

// abort ends an upload, and returns errGone where there was none. Parts that the
// server was still taking may come back after it: so it is repeated until the
// server knows of no such upload.
func (s *Store) abort(ctx context.Context, key, id string) error {
	err := s.again(ctx, func() error { return s.abortOnce(ctx, key, id) })
	if err != nil {
		return err
	}
	for range abortTries {
		var left bool
		err := s.again(ctx, func() (err error) {
			left, err = s.known(ctx, key, id)
			return err
		})
		if err != nil || !left {
			return err
		}
		if err := s.again(ctx, func() error { return s.abortOnce(ctx, key, id) }); err != nil && !errors.Is(err, errGone) {
			return err
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return fmt.Errorf("s3: %w: an upload is still there after it was ended", backends.ErrUnavailable)
}

func (s *Store) abortOnce(ctx context.Context, key, id string) error {
	_, err := call(ctx, s, s.c.Timeout, s.client.AbortMultipartUpload, &s3.AbortMultipartUploadInput{Bucket: &s.c.Bucket, Key: &key, UploadId: &id})
	if errors.Is(err, backends.ErrNotFound) {
		err = errGone
	}
	return err
}

// known says whether the server has the upload.
func (s *Store) known(ctx context.Context, key, id string) (bool, error) {
	_, err := call(ctx, s, s.c.Timeout, s.client.ListParts, &s3.ListPartsInput{Bucket: &s.c.Bucket, Key: &key, UploadId: &id, MaxParts: aws.Int32(1)})
	if errors.Is(err, errGone) || errors.Is(err, backends.ErrNotFound) {
		return false, nil
	}
	return true, err
}
