package view

// property is one base property of the image schema.
type property struct {
	name        string
	types       []string
	description string
	more        map[string]any
}

const uuidPattern = `^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$`

// ImageSchema is the JSON schema of an image, with the formats that are allowed
// here.
func ImageSchema(diskFormats, containerFormats []string) map[string]any {
	props := map[string]any{}
	for _, p := range imageProperties(diskFormats, containerFormats) {
		v := map[string]any{"description": p.description}
		if len(p.types) == 1 {
			v["type"] = p.types[0]
		} else {
			v["type"] = p.types
		}
		for k, x := range p.more {
			v[k] = x
		}
		props[p.name] = v
	}
	for name, description := range customProperties {
		props[name] = map[string]any{"type": "string", "description": description, "is_base": false}
	}
	return map[string]any{
		"name": "image", "properties": props, "additionalProperties": map[string]any{"type": "string"},
		"links": []any{
			map[string]any{"rel": "self", "href": "{self}"},
			map[string]any{"rel": "enclosure", "href": "{file}"},
			map[string]any{"rel": "describedby", "href": "{schema}"},
		},
	}
}

// customProperties are known to the schema though images need not have them.
var customProperties = map[string]string{
	"kernel_id":                             "Image to boot as a kernel, where the image is an ami.",
	"ramdisk_id":                            "Image to use as a ramdisk, where the image is an ami.",
	"instance_uuid":                         "Instance that the image was taken of. It is for people to read.",
	"architecture":                          "Processor architecture that the image is for.",
	"os_distro":                             "Common name of the operating system's distribution.",
	"os_version":                            "Version of the operating system, as its distributor counts.",
	"description":                           "Text for people about the image.",
	"cinder_encryption_key_id":              "Key of the volume that the image was made of, in the key manager.",
	"cinder_encryption_key_deletion_policy": "What becomes of the key when the image is deleted.",
}

func imageProperties(diskFormats, containerFormats []string) []property {
	str, strOrNull, intOrNull := []string{"string"}, []string{"null", "string"}, []string{"null", "integer"}
	ro := func(m map[string]any) map[string]any {
		if m == nil {
			m = map[string]any{}
		}
		m["readOnly"] = true
		return m
	}
	upTo := func(n int) map[string]any { return map[string]any{"maxLength": n} }
	count := map[string]any{"minimum": 0, "maximum": 1<<31 - 1}
	return []property{
		{"id", str, "Identifier of the image.", map[string]any{"pattern": uuidPattern}},
		{"name", strOrNull, "Name of the image, for people.", upTo(255)},
		{"status", str, "Where the image stands in its life.", ro(map[string]any{"enum": []string{
			"queued", "saving", "active", "killed", "deleted", "uploading", "importing", "pending_delete", "deactivated",
		}})},
		{"visibility", str, "Who sees the image.", map[string]any{"enum": []string{"community", "public", "private", "shared"}}},
		{"protected", []string{"boolean"}, "A protected image can't be deleted.", nil},
		{"os_hidden", []string{"boolean"}, "A hidden image is left out of lists that do not ask for it.", nil},
		{"checksum", strOrNull, "md5 of the data.", ro(upTo(32))},
		{"os_hash_algo", strOrNull, "Algorithm of os_hash_value.", ro(upTo(64))},
		{"os_hash_value", strOrNull, "Hash of the data, in hex.", ro(upTo(128))},
		{"owner", strOrNull, "Project that the image belongs to.", upTo(255)},
		{"size", intOrNull, "Bytes of the data.", ro(nil)},
		{"virtual_size", intOrNull, "Bytes of the disk that the data holds.", ro(nil)},
		{"container_format", strOrNull, "Format of the container.", map[string]any{"enum": orNull(containerFormats)}},
		{"disk_format", strOrNull, "Format of the disk.", map[string]any{"enum": orNull(diskFormats)}},
		{"created_at", str, "When the record was made.", ro(nil)},
		{"updated_at", str, "When the record was last changed.", ro(nil)},
		{"tags", []string{"array"}, "Words that the image is found by.", map[string]any{"items": map[string]any{"type": "string", "maxLength": 255}}},
		{"direct_url", str, "Where the data is kept.", ro(nil)},
		{"min_ram", []string{"integer"}, "Memory that the image needs to boot, in MB.", count},
		{"min_disk", []string{"integer"}, "Disk that the image needs to boot, in GB.", count},
		{"self", str, "Path of the image.", ro(nil)},
		{"file", str, "Path of the data.", ro(nil)},
		{"stores", str, "Stores that hold the data, with commas between.", ro(nil)},
		{"schema", str, "Path of this schema.", ro(nil)},
		{"locations", []string{"array"}, "Where the data is kept, all of it.", map[string]any{"items": locationSchema()}},
	}
}

func locationSchema() map[string]any {
	return map[string]any{
		"type": "object", "required": []string{"url", "metadata"},
		"properties": map[string]any{
			"url": map[string]any{"type": "string", "maxLength": 255}, "metadata": map[string]any{"type": "object"},
			"validation_data": map[string]any{
				"type": "object", "additionalProperties": false, "required": []string{"os_hash_algo", "os_hash_value"},
				"properties": map[string]any{
					"checksum":      map[string]any{"type": "string", "minLength": 32, "maxLength": 32},
					"os_hash_algo":  map[string]any{"type": "string", "maxLength": 64},
					"os_hash_value": map[string]any{"type": "string", "maxLength": 128},
				},
			},
		},
	}
}

func orNull(words []string) []any {
	list := []any{nil}
	for _, w := range words {
		list = append(list, w)
	}
	return list
}

// ImagesSchema is the schema of a list.
func ImagesSchema(imageSchema map[string]any) map[string]any {
	return collection("images", imageSchema)
}

// MemberSchema is the schema of a share.
func MemberSchema() map[string]any {
	str := func(description string) map[string]any {
		return map[string]any{"type": "string", "description": description}
	}
	return map[string]any{
		"name": "member",
		"properties": map[string]any{
			"created_at": str("When the share was made."), "updated_at": str("When it was last changed."),
			"image_id":  map[string]any{"type": "string", "pattern": uuidPattern, "description": "Image that is shared."},
			"member_id": str("Project that it is shared with."), "schema": map[string]any{"type": "string", "readOnly": true},
			"status": map[string]any{"type": "string", "enum": []string{"pending", "accepted", "rejected"}, "description": "What that project says to it."},
		},
	}
}

// MembersSchema is the schema of an image's shares.
func MembersSchema() map[string]any {
	v := collection("members", MemberSchema())
	delete(v["properties"].(map[string]any), "first")
	delete(v["properties"].(map[string]any), "next")
	v["links"] = []any{map[string]any{"rel": "describedby", "href": "{schema}"}}
	return v
}

func collection(name string, item map[string]any) map[string]any {
	str := map[string]any{"type": "string"}
	return map[string]any{
		"name": name,
		"properties": map[string]any{
			name: map[string]any{"type": "array", "items": item}, "first": str, "next": str, "schema": str,
		},
		"links": []any{
			map[string]any{"rel": "first", "href": "{first}"},
			map[string]any{"rel": "next", "href": "{next}"},
			map[string]any{"rel": "describedby", "href": "{schema}"},
		},
	}
}
