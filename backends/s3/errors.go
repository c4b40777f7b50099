package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"glimpse/backends"
	"glimpse/backends/httpread"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

var (
	errNoBucket = fmt.Errorf("s3: %w: the bucket is missing (create_bucket makes it)", backends.ErrUnavailable)
	errGone     = errors.New("s3: the upload is not there any more")
	errMet      = errors.New("s3: the condition of the request does not hold")
	errSkewed   = fmt.Errorf("s3: %w: the clocks of this machine and the server differ by too much (RequestTimeTooSkewed)", backends.ErrUnavailable)
)

// translate gives an error of the SDK the sentinel that callers test. Its text is
// left out: it may quote the URL, and whatever the server sent.
func translate(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	cause := context.Cause(ctx)
	if errors.Is(cause, httpread.ErrStalled) {
		return fmt.Errorf("s3: %w", cause)
	}
	if cause != nil {
		return cause
	}
	var resp *smithyhttp.ResponseError
	if errors.As(err, &resp) && resp.Response != nil && resp.Response.StatusCode >= http.StatusMultipleChoices {
		return statusError(resp.Response.StatusCode, codeOf(err), resp.Response.Header)
	}
	if code := codeOf(err); code != "" { // an error in an answer that began well
		return statusError(http.StatusInternalServerError, code, http.Header{})
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return errors.New("s3: the server's answer is too long")
	}
	return fmt.Errorf("s3: %w: %w", backends.ErrUnavailable, httpread.Plain(err, "S3's protocol"))
}

// broken is translate for the body of an object.
func broken(ctx context.Context, err error) error {
	if context.Cause(ctx) == nil && errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("s3: %w", io.ErrUnexpectedEOF)
	}
	return translate(ctx, err)
}

// codeOf is S3's name of an error, as far as it is one.
func codeOf(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return ""
	}
	code := api.ErrorCode()
	if len(code) > 64 || strings.ContainsFunc(code, func(r rune) bool { return (r|0x20 < 'a' || r|0x20 > 'z') && (r < '0' || r > '9') }) {
		return "unnamed"
	}
	return code
}

// statusError is the error of an answer. The names come first: servers differ in
// the statuses that they send them with.
func statusError(status int, code string, h http.Header) error {
	switch code {
	case "NoSuchBucket":
		return errNoBucket
	case "NoSuchUpload":
		return errGone
	case "PreconditionFailed":
		return errMet
	case "RequestTimeTooSkewed":
		return errSkewed
	case "QuotaExceeded", "EntityTooLarge", "InsufficientStorage", "XMinioStorageFull", "ServiceQuotaExceeded":
		return fmt.Errorf("s3: %w: %s", backends.ErrFull, code)
	case "SlowDown", "RequestTimeout", "OperationAborted", "ConditionalRequestConflict", "InternalError", "ServiceUnavailable":
		return busy(status, code, h)
	case "AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException":
		return fmt.Errorf("s3: the bucket is in another region (%s)", code)
	}
	switch {
	case status == http.StatusNotFound:
		return fmt.Errorf("s3: %w", backends.ErrNotFound)
	case status == http.StatusPreconditionFailed:
		return errMet
	case status == http.StatusRequestedRangeNotSatisfiable:
		return fmt.Errorf("s3: %w", io.ErrUnexpectedEOF)
	case status == http.StatusInsufficientStorage:
		return fmt.Errorf("s3: %w", backends.ErrFull)
	case status >= 500, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout:
		return busy(status, code, h)
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return fmt.Errorf("s3: the server refuses the credentials or what they ask for (%s)", describe(status, code))
	}
	return fmt.Errorf("s3: the server answers %s", describe(status, code))
}

func busy(status int, code string, h http.Header) error {
	return backends.Busy(httpread.RetryAfter(h), fmt.Errorf("s3: %w: the server answers %s", backends.ErrUnavailable, describe(status, code)))
}

func describe(status int, code string) string {
	if code == "" {
		return fmt.Sprintf("status %d", status)
	}
	return fmt.Sprintf("status %d, %s", status, code)
}
