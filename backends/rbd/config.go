package rbd

import (
	"errors"
	"fmt"
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
