package cachestore

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// A slab is a buffer for one chunk, outside Go's heap.
type slab struct {
	b     []byte
	class class // on whose account it is out; classNone in the pool or in the index
}

// arena is the memory that all slabs are cut from, and a chunk of zeros that
// costs no memory: its pages are never written, so that the kernel backs them
// all by one page.
type arena struct {
	all  []byte
	zero []byte
}

func newArena(count int, size int64) (*arena, []*slab, error) {
	all, err := unix.Mmap(-1, 0, count*int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, nil, fmt.Errorf("map %d slabs of %d bytes: %w", count, size, err)
	}
	zero, err := unix.Mmap(-1, 0, int(size), unix.PROT_READ, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		_ = unix.Munmap(all)
		return nil, nil, fmt.Errorf("map a chunk of zeros: %w", err)
	}
	if size >= 2<<20 { // whole huge pages fit a slab; where the kernel declines, nothing is lost
		_ = unix.Madvise(all, unix.MADV_HUGEPAGE)
	}
	slabs := make([]*slab, count)
	for i := range slabs {
		from, to := int64(i)*size, int64(i+1)*size
		slabs[i] = &slab{b: all[from:to:to]}
	}
	return &arena{all: all, zero: zero}, slabs, nil
}

// close unmaps everything: nobody may hold a slab any more.
func (a *arena) close() error {
	err := unix.Munmap(a.all)
	if e := unix.Munmap(a.zero); err == nil {
		err = e
	}
	return err
}
