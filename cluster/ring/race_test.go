//go:build race

package ring

const objects = 500
