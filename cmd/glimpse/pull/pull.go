package pull

import (
	"context"
	"time"

	"glimpse/cmd/glimpse/imageapi"
)

// Config is what a pull is made of.
type Config struct {
	Session  *imageapi.Session
	Image    imageapi.Image     // its Size is known
	Manifest *imageapi.Manifest // nil: not known
	Unsure   error              // why it can't be told whether there is one; a part file of chunks is kept then
	Nodes    []imageapi.Node    // the nearest first, at least one
	Streams  int                // connections at once
	Use      int                // nodes at once
	Stall    time.Duration      // a transfer that gives next to nothing for so long goes on elsewhere
	GiveUp   time.Duration      // without any progress
	Progress func(bytes int64)  // hears of bytes that are done; calls may be concurrent
}

// Report is what a pull has done.
type Report struct {
	Size    int64
	Fetched int64  // bytes that came over the network and were right
	Kept    int64  // bytes of an earlier pull that were right
	Wrong   int    // chunks that were not what they should be
	Failed  int    // transfers that broke off
	Nodes   int    // that gave bytes
	Proof   string // what the whole was compared with; "": nothing but the digests of its chunks
	Part    string // the file that a pull which failed has left for a later one to go on with; "": none
}

func (c Config) size() int64 { return *c.Image.Size }

// ToFile brings the image to a file, which is replaced when all is there.
func (c Config) ToFile(ctx context.Context, name string) (r Report, err error) {
	p, err := openPart(name, c)
	if err != nil {
		return r, err
	}
	defer p.close()
	if c.Manifest == nil {
		r, err = c.streamToFile(ctx, p)
	} else {
		r, err = c.chunksToFile(ctx, p)
	}
	if err != nil && r.Fetched+r.Kept > 0 && p.still() == nil {
		r.Part = p.f.Name()
	}
	return r, err
}
