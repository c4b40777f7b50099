package cachestore

import (
	"context"
	"os"

	"glimpse/cachestore/chunk"
)

// tier is what the engine needs of the disk.
type tier interface {
	Has(key chunk.Key, index int) (d chunk.Digest, length int, zero, ok bool)
	Read(ctx context.Context, key chunk.Key, index int) (diskChunk, error)
	Reserve(n int) bool
	Write(ctx context.Context, key chunk.Key, index int, data []byte, d chunk.Digest) error
	MarkZero(key chunk.Key, index int) error
	Admit(key chunk.Key, index int) bool
	Touch(key chunk.Key, index int)
	Remove(key chunk.Key, index int)
	Drop(key chunk.Key)
	Rename(from, to chunk.Key) error
	Describe(o chunk.Object)
	Objects() []chunk.Object
	Quarantine(key chunk.Key, index int)
	Bytes() (resident, evicted int64)
	Close(ctx context.Context) error
}

// diskChunk is a chunk on disk, open and kept from eviction until Close. One
// goroutine at a time.
type diskChunk interface {
	Len() int
	Digest() chunk.Digest
	// Block returns checked bytes of the chunk from off on, as many as fall into
	// whole blocks that fit buf.
	Block(buf []byte, off int) ([]byte, error)
	File() (*os.File, bool)
	Verify() error // of all of it, once
	Close() error
}
