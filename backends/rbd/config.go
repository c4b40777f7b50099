package rbd

import (
	"errors"
	"fmt"
	"math/bits"
	"time"
)

// Config says which pool of which cluster holds the images.
type Config struct {
	Conf           string        // a ceph.conf, which also names the keyring; "": where Ceph looks for it
	Pool           string        // "": images
	User           string        // of cephx, without "client."; "": as the conf says
	ChunkSize      int64         // bytes of an object of new images; 0: 8 MiB
	Thin           bool          // zeros are not written
	ConnectTimeout time.Duration // 0: 5 s
	OpTimeout      time.Duration // of each request to the cluster; 0: 30 s
}

// The objects of an image have 2^12 to 2^25 bytes.
const (
	minOrder = 12
	maxOrder = 25
)

// Check fills in the defaults and refuses what can't run.
func (c Config) Check() (Config, error) {
	if c.Pool == "" {
		c.Pool = "images"
	}
	if c.ChunkSize == 0 {
		c.ChunkSize = 8 << 20
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 5 * time.Second
	}
	if c.OpTimeout == 0 {
		c.OpTimeout = 30 * time.Second
	}
	if c.ChunkSize < 1<<minOrder || c.ChunkSize > 1<<maxOrder {
		return Config{}, fmt.Errorf("chunk_size: %d bytes are not between 4 KiB and 32 MiB", c.ChunkSize)
	}
	if c.ConnectTimeout < time.Second || c.OpTimeout < time.Second {
		return Config{}, errors.New("connect_timeout and op_timeout: Ceph counts in seconds, and 0 would be for ever")
	}
	return c, nil
}

// order is the logarithm of the size of objects; as in Glance a size between two
// powers of two is taken for the smaller one.
func (c Config) order() uint64 { return uint64(bits.Len64(uint64(c.ChunkSize)) - 1) }

// The growth of an image whose size is not known, as in Glance: by its chunk
// size first, then by twice as much each time.
const maxGrowth = 8 << 30

// growth returns the size that an image grows to so that it holds need bytes, and
// by how much to grow the next time.
func growth(size, step, need int64) (grown, next int64) {
	for size < need {
		size += step
		step = min(2*step, maxGrowth)
	}
	return size, step
}
