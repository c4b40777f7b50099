package view

import (
	"strings"
	"time"

	"glimpse/registry/image"
)

// Options say what of an image is shown.
type Options struct {
	Stores    bool         // the ids of the stores: where there are several stores
	DirectURL image.Secret // of the location to read from; "": none is shown
	Locations bool         // all of them, with their metadata
}

// hidden are properties that nobody is shown.
var hidden = map[string]bool{"os_glance_stage_host": true}

// Image returns the image as the API shows it.
func Image(m image.Image, o Options) map[string]any {
	v := map[string]any{}
	for name, value := range m.Properties {
		if !hidden[name] {
			v[name] = value
		}
	}
	base(v, m)
	self := "/v2/images/" + m.ID
	v["self"], v["file"], v["schema"] = self, self+"/file", "/v2/schemas/image"
	if o.Stores {
		if ids := stores(m); len(ids) > 0 {
			v["stores"] = strings.Join(ids, ",")
		}
	}
	if o.DirectURL != "" {
		v["direct_url"] = o.DirectURL.Reveal()
	}
	if o.Locations {
		v["locations"] = Locations(m)
	}
	return v
}

func base(v map[string]any, m image.Image) {
	tags := m.Tags
	if tags == nil {
		tags = []string{}
	}
	for name, value := range map[string]any{
		"id": m.ID, "name": m.Name, "status": m.Status, "visibility": m.Visibility, "owner": m.Owner,
		"size": m.Size, "virtual_size": m.VirtualSize, "disk_format": m.DiskFormat, "container_format": m.ContainerFormat,
		"checksum": m.Checksum, "os_hash_algo": m.HashAlgo, "os_hash_value": m.HashValue,
		"min_disk": m.MinDisk, "min_ram": m.MinRAM, "protected": m.Protected, "os_hidden": m.Hidden,
		"created_at": Time(m.CreatedAt), "updated_at": Time(m.UpdatedAt), "tags": tags,
	} {
		v[name] = value
	}
}

// Time is the API's form of a time: UTC, whole seconds, Z.
func Time(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func stores(m image.Image) (ids []string) {
	for _, l := range m.Locations {
		if id := l.Metadata["store"]; id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// Locations are those that the image's bytes can be read from. Data to validate
// them is written only.
func Locations(m image.Image) []any {
	list := []any{}
	for _, l := range m.Locations {
		if l.Status != "" && l.Status != string(image.Active) {
			continue
		}
		meta := l.Metadata
		if meta == nil {
			meta = map[string]string{}
		}
		list = append(list, map[string]any{"url": l.URL.Reveal(), "metadata": meta})
	}
	return list
}

// Images returns one page of a list. next is empty on the last one.
func Images(page []image.Image, first, next string, o func(image.Image) Options) map[string]any {
	list := make([]any, 0, len(page))
	for _, m := range page {
		list = append(list, Image(m, o(m)))
	}
	v := map[string]any{"images": list, "first": first, "schema": "/v2/schemas/images"}
	if next != "" {
		v["next"] = next
	}
	return v
}
