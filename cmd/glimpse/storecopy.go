package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"glimpse/proxy/ops"
	"glimpse/registry/image"
)

type storeCopy struct {
	configFlags
	From   string   `help:"Copy the images of this store only." placeholder:"STORE"`
	To     string   `required:"" help:"The store that gets them." placeholder:"STORE"`
	All    bool     `help:"Copy all active images, of the store that --from names or of all."`
	Images []string `arg:"" optional:"" help:"Ids of images."`
}

func (c storeCopy) Run(ctx context.Context, out io.Writer) error {
	if c.All == (len(c.Images) > 0) {
		return errors.New("name images, or say --all")
	}
	return c.withStores(ctx, func(ctx context.Context, w *workshop) error {
		if _, err := w.store(c.To); err != nil {
			return err
		}
		list, err := c.images(ctx, w)
		if err != nil {
			return err
		}
		var total int64
		for _, m := range list {
			total += size(m)
		}
		b := bar(total, "copying")
		copied, failed := 0, 0
		for _, m := range list {
			err := w.Copy(ctx, m, c.To, func(n int) { _ = b.Add(n) })
			switch {
			case err == nil:
				copied++
			case errors.Is(err, ops.ErrHasIt):
				_ = b.Add64(size(m))
			case ctx.Err() != nil:
				return fmt.Errorf("stopped after %d of %d images; the same command goes on from there", copied, len(list))
			default:
				failed++
				fmt.Fprintf(out, "%s: %v\n", m.ID, err)
			}
		}
		_ = b.Finish()
		fmt.Fprintf(out, "%d copied, %d there already, %d failed\n", copied, len(list)-copied-failed, failed)
		if failed > 0 {
			return fmt.Errorf("%d images were not copied", failed)
		}
		return nil
	})
}

// images finds what is to be copied.
func (c storeCopy) images(ctx context.Context, w *workshop) (list []image.Image, err error) {
	if c.From != "" {
		if _, err := w.store(c.From); err != nil {
			return nil, err
		}
	}
	for _, id := range c.Images {
		m, err := w.db.Get(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("image %s: %w", id, err)
		}
		list = append(list, m)
	}
	if !c.All {
		return list, nil
	}
	err = w.images(ctx, func(m image.Image) error {
		from := m.Locations
		if c.From != "" {
			from = w.In(m, c.From)
		}
		here, err := w.anyHere(ctx, from)
		if here && m.Status == image.Active {
			list = append(list, m)
		}
		return err
	})
	return list, err
}

// anyHere says whether one of an image's places is not in another node's own folder:
// what is only there is for that node to copy.
func (w *workshop) anyHere(ctx context.Context, places []image.Location) (bool, error) {
	for _, l := range places {
		if other, err := w.Elsewhere(ctx, l); err != nil || !other {
			return err == nil, err
		}
	}
	return false, nil
}
