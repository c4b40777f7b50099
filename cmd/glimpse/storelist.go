package main

import (
	"context"
	"io"
	"strings"

	"glimpse/backends"
	"glimpse/registry/image"

	"github.com/dustin/go-humanize"
)

type storeList struct{ configFlags }

func (c storeList) Run(ctx context.Context, out io.Writer) error {
	return c.withStores(ctx, func(ctx context.Context, w *workshop) error {
		count, bytes := map[string]int{}, map[string]int64{}
		err := w.images(ctx, func(m image.Image) error {
			for _, st := range w.stores {
				if len(w.In(m, st.ID)) > 0 {
					count[st.ID]++
					bytes[st.ID] += size(m)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		t := newTable(out, "store", "type", "images", "bytes", "weight", "can", "description")
		for _, st := range w.stores {
			t.AppendRow([]any{st.ID, st.Type, count[st.ID], humanize.IBytes(uint64(bytes[st.ID])), st.Weight, abilities(st.Backend.Caps(), st.ReadOnly, st.ID == w.DefaultStore()), st.Description})
		}
		t.Render()
		return nil
	})
}

func abilities(c backends.Caps, readOnly, isDefault bool) string {
	var words []string
	for _, a := range []struct {
		has  bool
		word string
	}{{isDefault, "default"}, {readOnly, "read-only"}, {!readOnly, "takes uploads"}, {c.Ranged, "ranges"}, {!c.Validators, "no versions"}} {
		if a.has {
			words = append(words, a.word)
		}
	}
	return strings.Join(words, ", ")
}
