package image

// Limits are the quotas and the words that a deployment allows.
type Limits struct {
	Properties, Tags, Members, Locations int // most of each; negative: no limit
	SizeCap                              int64
	DiskFormats, ContainerFormats        []string
}

// DefaultLimits are Glance's.
func DefaultLimits() Limits {
	return Limits{
		Properties: 128, Tags: 128, Members: 128, Locations: 10,
		SizeCap:          1 << 40,
		DiskFormats:      []string{"ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop"},
		ContainerFormats: []string{"ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed"},
	}
}
