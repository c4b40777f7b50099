package memstore

import (
	"maps"
	"slices"

	"glimpse/registry/image"
)

// same says that nothing that can be written differs.
func same(a, b image.Image) bool {
	return is(a.Name, b.Name) && a.Status == b.Status && a.Visibility == b.Visibility && is(a.Owner, b.Owner) &&
		is(a.Size, b.Size) && is(a.VirtualSize, b.VirtualSize) && is(a.DiskFormat, b.DiskFormat) && is(a.ContainerFormat, b.ContainerFormat) &&
		is(a.Checksum, b.Checksum) && is(a.HashAlgo, b.HashAlgo) && is(a.HashValue, b.HashValue) &&
		a.MinDisk == b.MinDisk && a.MinRAM == b.MinRAM && a.Protected == b.Protected && a.Hidden == b.Hidden &&
		maps.Equal(a.Properties, b.Properties) && slices.Equal(a.Tags, b.Tags) &&
		slices.EqualFunc(a.Locations, b.Locations, func(x, y image.Location) bool {
			return x.ID == y.ID && x.URL == y.URL && x.Status == y.Status && maps.Equal(x.Metadata, y.Metadata)
		})
}

func is[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}
