package disk

import (
	"errors"
	"log/slog"

	"glimpse/cachestore/chunk"
	"glimpse/cachestore/vfs"
)

// Errors, beside those of package chunk.
var (
	// ErrMiss: the chunk is not there, or no longer.
	ErrMiss = errors.New("not on disk")
	// ErrClosed: the tier is closed.
	ErrClosed = errors.New("disk tier is closed")
)

// Config is what a Tier is made of.
type Config struct {
	Path     string         // the tier's own folder
	Size     int64          // bytes it may use
	MinFree  float64        // share of the file system kept free
	FS       vfs.FS         // nil: the machine's
	Log      *slog.Logger   // nil: discarded
	Geometry chunk.Geometry // zero: chunk.Default
}

func (c Config) withDefaults() Config {
	if c.FS == nil {
		c.FS = vfs.OS{}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Geometry == (chunk.Geometry{}) {
		c.Geometry = chunk.Default
	}
	return c
}
