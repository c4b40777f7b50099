package ops

import (
	"slices"

	"glimpse/registry/image"
)

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
	if v := r.format.VirtualSize; v >= 0 {
		r.virtual = &v
	}
	return nil
}
