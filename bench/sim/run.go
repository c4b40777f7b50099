package sim

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"

	"glimpse/cachestore"
	"glimpse/cachestore/chunk"
	"glimpse/cachestore/disk"
	"glimpse/cachestore/evict"
	"glimpse/cachestore/vfs"
)

const (
	unit     = 4 << 10 // bytes of a chunk
	diskCost = 8 << 10 // what the disk tier books for its file
)

// Result counts chunks.
type Result struct{ Served, Missed, Written int }

// Hits is the share of served bytes that the origin did not give.
func (r Result) Hits() float64 { return 1 - float64(r.Missed)/float64(r.Served) }

// Writes is how much was written to disk for each served byte.
func (r Result) Writes() float64 { return float64(r.Written) / float64(r.Served) }

func (r Result) String() string {
	return fmt.Sprintf("hits %.3f, disk writes %.3f per served byte", r.Hits(), r.Writes())
}

// Store replays a trace on a store with so many chunks of memory and disk.
func Store(ctx context.Context, t Trace, memory, onDisk int) (Result, error) {
	var res Result
	o := &origin{}
	fs := &counted{Mem: vfs.NewMem(0)}
	s, err := cachestore.Open(ctx, cachestore.Config{
		Geometry: chunk.Geometry{Chunk: unit, Extent: 16}, Memory: int64(memory) * unit, ReadAhead: 0, FillStreams: 1,
		Disk: disk.Config{Path: "/cache", Size: int64(onDisk) * diskCost, FS: fs},
	})
	if err != nil {
		return res, err
	}
	l := s.Level("client", s.Level("zone", s.Level("home", o)))
	for _, r := range t.Requests {
		obj := chunk.Object{Key: chunk.Key(fmt.Sprint("p:", r.Image)), Size: int64(t.Sizes[r.Image]) * unit, Validator: "v"}
		b, err := l.Open(ctx, obj, int64(r.From)*unit, int64(r.To-r.From)*unit)
		if err != nil {
			return res, err
		}
		_, err = b.WriteTo(io.Discard)
		if err = errors.Join(err, b.Close()); err != nil {
			return res, err
		}
		res.Served += r.To - r.From
		for s.Stats().SlabsDirty > 0 { // so that a replay does not depend on the scheduler
			runtime.Gosched()
		}
	}
	res.Missed, res.Written = int(o.chunks.Load()), int(fs.chunks.Load())
	return res, s.Close(ctx)
}

// LRU replays a trace on a list of so many chunks that keeps all it sees, on disk.
func LRU(t Trace, size int) Result {
	var res Result
	type id struct{ image, index int }
	p := evict.NewLRU[id]()
	in := map[id]bool{}
	for _, r := range t.Requests {
		for i := r.From; i < r.To; i++ {
			res.Served++
			k := id{r.Image, i}
			if in[k] {
				p.Touch(k)
				continue
			}
			res.Missed++
			res.Written++
			for len(in) >= size {
				gone, _ := p.Evict(func(id) bool { return true })
				delete(in, gone)
			}
			p.Insert(k, 1)
			in[k] = true
		}
	}
	return res
}

// origin gives chunks that differ from one another, and counts them.
type origin struct{ chunks atomic.Int64 }

func (o *origin) OpenRange(_ context.Context, obj chunk.Object, off, n int64) (chunk.Stream, error) {
	return &stream{o, obj.Key, off, off + n}, nil
}

type stream struct {
	o       *origin
	key     chunk.Key
	at, end int64
}

func (s *stream) Next() (chunk.Piece, error) {
	if s.at >= s.end {
		return chunk.Piece{}, io.EOF
	}
	b := make([]byte, unit)
	copy(b, s.key)
	binary.LittleEndian.PutUint64(b[64:], uint64(s.at)+1)
	p := chunk.Piece{Index: int(s.at / unit), Off: s.at, Len: unit, Data: b}
	s.at += unit
	s.o.chunks.Add(1)
	return p, nil
}

func (s *stream) Close() error { return nil }

// counted is a disk that counts the chunks that are written to it.
type counted struct {
	*vfs.Mem
	chunks atomic.Int64
}

func (c *counted) Create(name string) (vfs.File, error) {
	f, err := c.Mem.Create(name)
	return &file{f, c}, err
}

type file struct {
	vfs.File
	c *counted
}

func (f *file) Write(p []byte) (int, error) {
	if len(p) >= unit { // a chunk; less is a key or a mark
		f.c.chunks.Add(1)
	}
	return f.File.Write(p)
}
