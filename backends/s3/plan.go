package s3

// maxParts is how many parts S3 lets an upload have.
const maxParts = 10_000

// reach is what fits into an upload whose size is unknown.
const reach = 1 << 40

// plan says how large each part of an upload is: first, doubled after every step
// parts.
type plan struct{ first, step int64 }

// planFor begins with parts of the configured size. A known size that is beyond
// maxParts of them doubles it at once. Where it is unknown, the fewest doublings
// that reach 1 TiB are spread evenly, so that small images keep small parts.
func planFor(part, size int64) plan {
	if size >= 0 {
		for part*maxParts < size {
			part *= 2
		}
		return plan{part, maxParts}
	}
	for steps := int64(1); ; steps++ {
		if step := maxParts / steps; step*part*(1<<steps-1) >= reach {
			return plan{part, step}
		}
	}
}

// part is how large the part of an index is, from 0.
func (p plan) part(index int) int64 { return p.first << (int64(index) / p.step) }
