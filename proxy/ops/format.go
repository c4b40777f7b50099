package ops

import (
	"slices"

	"glimpse/registry/image"
)

// virtualSize is that of the declared format: what else the bytes look like may be
// a header made up to claim any size.
func virtualSize(declared string, r *received) *int64 {
	v := r.format.VirtualSize
	switch {
	case declared == "raw":
		v = r.size
	case r.format.Format != declared:
		v = -1
	}
	if v < 0 {
		return nil
	}
	return &v
}

// checkFormat compares the bytes with the declared disk_format, and learns the
// size of the disk inside. Other containers than bare hold what they hold.
func (a *attempt) checkFormat(r *received) error {
	m := a.u.Image
	if *m.ContainerFormat != "bare" || r.size == 0 {
		return nil
	}
	gpt := slices.Contains(a.s.cfg.Limits.DiskFormats, "gpt")
	if err := r.format.Check(*m.DiskFormat, gpt); err != nil {
		if a.s.cfg.RequireFormatMatch {
			return image.Errorf(image.Unsupported, "Image content does not match disk_format: %w", err)
		}
		a.s.cfg.Log.Warn("the bytes of an upload are not of their disk_format", "image", m.ID, "disk_format", *m.DiskFormat, "error", err)
	}
	if w := r.format.Warning(*m.DiskFormat); w != "" {
		a.s.cfg.Log.Warn("an upload is tolerated", "image", m.ID, "why", w)
	}
	r.virtual = virtualSize(*m.DiskFormat, r)
	return nil
}
