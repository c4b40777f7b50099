//go:build !race

package ring

const objects = 20_000
