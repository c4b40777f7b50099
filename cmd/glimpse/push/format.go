package push

import (
	"errors"
	"io"

	"glimpse/cmd/glimpse/imageapi"
	"glimpse/proxy/ops/inspect"
)

// What of a file tells its format: all headers lie in its first bytes, all footers
// in its last.
const (
	headBytes = 1 << 20
	tailBytes = 4 << 10
)

// Format guesses a file's disk format.
func Format(f io.ReaderAt, size int64) (string, error) {
	i := inspect.New()
	n := min(size, headBytes)
	parts := []io.Reader{io.NewSectionReader(f, 0, n)}
	if tail := min(size-n, tailBytes); tail > 0 {
		parts = append(parts, io.NewSectionReader(f, size-tail, tail))
	}
	if _, err := io.Copy(i, io.MultiReader(parts...)); err != nil {
		return "", err
	}
	switch r := i.Finish(); {
	case r.Ambiguous:
		return "", &imageapi.Error{Code: imageapi.Usage, Msg: "what the file is can't be told for sure: say --disk-format", Err: errors.New(r.Format)}
	case r.Format == "gpt":
		return "raw", nil
	default:
		return r.Format, nil
	}
}
