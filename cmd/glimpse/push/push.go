package push

import (
	"context"
	"fmt"
	"io"
	"maps"
	"time"

	"glimpse/cmd/glimpse/imageapi"

	"github.com/google/uuid"
)

// Config is what a push is made of.
type Config struct {
	Session    *imageapi.Session
	Nodes      []imageapi.Node // the nearest first, at least one
	Attributes map[string]any  // of the image; "id" may be among them
	Store      string          // "": the default store
	Stall      time.Duration   // an upload of which nothing moves for so long is given up
	Progress   func(bytes int64)

	// The bytes: a file, from its beginning, or a stream.
	File   io.ReaderAt // nil: Stream
	Size   int64       // of the file
	Stream io.Reader
}

const (
	tries         = 3
	firstWait     = 500 * time.Millisecond // before the second of them
	makeTimeout   = 20 * time.Second
	removeTimeout = 15 * time.Second
)

// Run returns the image, and what its bytes were compared by; "": its record has no
// hash.
func (c Config) Run(ctx context.Context) (imageapi.Image, string, error) {
	_, named := c.Attributes["id"] // which stays taken
	for try := 0; ; try++ {
		m, err := c.create(ctx)
		if err != nil {
			return m, "", err
		}
		done, proof, err := c.once(ctx, m.ID, c.Nodes[try%len(c.Nodes)])
		if err == nil {
			return done, proof, nil
		}
		if rerr := c.remove(ctx, m.ID); rerr != nil {
			return m, "", fmt.Errorf("%w; and image %s could not be removed: %w", err, m.ID, rerr)
		}
		if ctx.Err() != nil || named || c.File == nil || try == tries-1 || imageapi.CodeOf(err) != imageapi.Unreachable {
			return m, "", err
		}
	}
}

// persist does again what may be done twice, where nobody answered.
func persist(ctx context.Context, do func() error) error {
	for try := 0; ; try++ {
		err := do()
		if imageapi.CodeOf(err) != imageapi.Unreachable || try == tries-1 {
			return err
		}
		select {
		case <-time.After(firstWait << try):
		case <-ctx.Done():
			return err
		}
	}
}

// create makes the record. Its id is chosen here, so that one whose answer was lost
// is known: it is not made twice, and removed where nothing comes of it.
func (c Config) create(ctx context.Context) (m imageapi.Image, err error) {
	a := maps.Clone(c.Attributes)
	if _, named := a["id"]; !named {
		a["id"] = uuid.NewString()
	}
	id := fmt.Sprint(a["id"])
	if err := c.free(ctx, id); err != nil {
		return m, err
	}
	lost := false
	err = persist(ctx, func() error {
		// Who interrupts it would not know whether there is a record.
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), makeTimeout)
		defer cancel()
		m, err = c.Session.Create(within, a)
		if lost && imageapi.CodeOf(err) == imageapi.Failed { // an earlier try may have made it
			if there, serr := c.Session.Show(within, id); serr == nil {
				m, err = there, nil
			}
		}
		lost = lost || imageapi.CodeOf(err) == imageapi.Unreachable
		return err
	})
	if err == nil || !lost {
		return m, err
	}
	if rerr := c.remove(ctx, id); rerr != nil {
		err = fmt.Errorf("%w; and image %s, which may have been made, could not be removed: %w", err, id, rerr)
	}
	return m, err
}

// free says whether an id that was asked for can be had: an image that was there
// before is not to be taken for one whose answer was lost.
func (c Config) free(ctx context.Context, id string) error {
	if c.Attributes["id"] == nil {
		return nil
	}
	_, err := c.Session.Show(ctx, id)
	switch imageapi.CodeOf(err) {
	case 0:
		return imageapi.Errorf(imageapi.Failed, "there is an image %s already", id)
	case imageapi.NotFound:
		return nil
	}
	return err
}

// remove deletes an image, also when ctx has ended.
func (c Config) remove(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer cancel()
	err := persist(ctx, func() error { return c.Session.Delete(ctx, id) })
	if imageapi.CodeOf(err) == imageapi.NotFound {
		return nil
	}
	return err
}

// once uploads through a node and looks at what became of it.
func (c Config) once(ctx context.Context, id string, n imageapi.Node) (m imageapi.Image, proof string, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var stream io.Reader
	size := c.Size
	if c.File == nil {
		stream, size = abandonable(ctx, c.Stream), -1
	}
	b := c.body(stream, cancel)
	first := true
	begin := func() (io.Reader, error) {
		if first {
			first = false
			return b, nil
		}
		if b.end() && c.File == nil {
			return nil, imageapi.Errorf(imageapi.NotAllowed, "the token ran out while the standard input was being sent, and that can't be read twice")
		}
		c.Progress(-b.sent())
		b = c.body(stream, cancel)
		return b, nil
	}
	defer func() {
		b.end()
		if err != nil {
			c.Progress(-b.sent())
		}
	}()
	uerr := c.Session.Upload(ctx, n.Base, id, c.Store, begin, size)
	if uerr != nil && (imageapi.CodeOf(uerr) != imageapi.Unreachable || !b.all()) {
		return m, "", uerr
	}
	b.timer.Stop() // all is sent
	err = persist(ctx, func() (err error) {
		m, err = c.Session.Show(ctx, id)
		return err
	})
	if uerr != nil && (err != nil || m.Status != "active") { // else only the answer was lost
		return m, "", uerr
	}
	if err != nil {
		return m, "", err
	}
	proof, err = c.compare(m, b)
	return m, proof, err
}

// compare looks whether the record tells of the bytes that were sent.
func (c Config) compare(m imageapi.Image, b *body) (string, error) {
	if m.Size == nil || *m.Size != b.sent() {
		return "", imageapi.Errorf(imageapi.Wrong, "%d bytes were sent, and the record does not say so", b.sent())
	}
	p := imageapi.NewProof(m)
	switch {
	case p.Algo == "sha512":
		return p.Algo, p.Compare(b.digest())
	case p.Idle() || c.File == nil:
		return "", nil
	}
	if _, err := io.Copy(p, io.NewSectionReader(c.File, 0, c.Size)); err != nil {
		return "", err
	}
	return p.Conclude()
}
