package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"glimpse/proxy/ops"
	"glimpse/registry/image"
)

type storeVerify struct {
	configFlags
	Store string `arg:"" help:"Id of the store whose images are read."`
}

// place is one copy of an image.
type place struct {
	m image.Image
	l image.Location
}

func (c storeVerify) Run(ctx context.Context, out io.Writer) error {
	return c.withStores(ctx, func(ctx context.Context, w *workshop) error {
		if _, err := w.store(c.Store); err != nil {
			return err
		}
		var places []place
		var total int64
		others := 0
		err := w.images(ctx, func(m image.Image) error {
			for _, l := range w.In(m, c.Store) {
				other, err := w.Elsewhere(ctx, l)
				if err != nil {
					return err
				}
				if other {
					others++
					continue
				}
				places = append(places, place{m, l})
				total += size(m)
			}
			return nil
		})
		if err != nil {
			return err
		}
		b := bar(total, "verifying")
		bad, unproven := 0, 0
		for _, p := range places {
			v, err := w.Verify(ctx, p.m, p.l, func(n int) { _ = b.Add(n) })
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil || !v.Good() {
				bad++
				fmt.Fprintf(out, "%s: %s\n", p.m.ID, finding(v, err))
			}
			if v.Unproven {
				unproven++
			}
		}
		_ = b.Finish()
		fmt.Fprintf(out, "%d images read, %d bad", len(places), bad)
		if unproven > 0 {
			fmt.Fprintf(out, ", %d without a digest to compare with", unproven)
		}
		if others > 0 {
			fmt.Fprintf(out, ", %d in the folders of other nodes, to be verified there", others)
		}
		fmt.Fprintln(out)
		if bad > 0 {
			return fmt.Errorf("%d images in store %s are not what they should be", bad, c.Store)
		}
		return nil
	})
}

// finding says what is wrong with a copy.
func finding(v ops.Verdict, err error) string {
	var parts []string
	if err != nil {
		parts = append(parts, "could not be read: "+err.Error())
	}
	if v.Missing {
		parts = append(parts, "is not in the store")
	}
	if len(v.Bad) > 0 {
		parts = append(parts, fmt.Sprintf("chunks %v differ from the manifest", v.Bad[:min(len(v.Bad), 20)]))
		if more := len(v.Bad) - 20; more > 0 {
			parts = append(parts, fmt.Sprintf("and %d more", more))
		}
	}
	if v.HashDiffers {
		parts = append(parts, "does not give the hash in its record")
	}
	return strings.Join(parts, ", ")
}
