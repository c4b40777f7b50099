package cachestore

import (
	"context"
	"sync"

	"glimpse/cachestore/chunk"
)

// writer takes the chunks of an upload. They are kept under a name that no
// reader can have, made of the upload's token, until Publish renames them.
type writer struct {
	s     *Store
	key   chunk.Key
	disk  bool
	mu    sync.Mutex
	ended bool
	marks map[int]bool // chunks of zeros
	kept  map[int]chunk.Digest
}

var _ chunk.Writer = (*writer)(nil)

// NewWriter takes the chunks of the upload called token. memoryOnly keeps them
// from the disk. The caller ends it with Publish or Cancel.
func (s *Store) NewWriter(token string, memoryOnly bool) chunk.Writer {
	return &writer{
		s: s, key: chunk.UploadKey(token), disk: s.disk != nil && !memoryOnly,
		marks: map[int]bool{}, kept: map[int]chunk.Digest{},
	}
}

// UploadQuota is how many buffers uploads may hold together: half of the slabs.
func (s *Store) UploadQuota() int { return s.pool.uploadQuota() }

// Buffers takes n buffers at once, in the order of asking; it refuses more than
// the quota of uploads.
func (w *writer) Buffers(ctx context.Context, n int) ([]chunk.Buffer, error) {
	slabs, _, err := w.s.pool.take(ctx, want{class: classUpload, n: n})
	if err != nil {
		return nil, err
	}
	list := make([]chunk.Buffer, n)
	for i, sl := range slabs {
		list[i] = &buffer{s: w.s, slab: sl}
	}
	return list, nil
}

// buffer is a slab on loan to an upload.
type buffer struct {
	s    *Store
	slab *slab // nil when it was given back or kept
}

func (b *buffer) Bytes() []byte { return b.slab.b }

func (b *buffer) Release() {
	if sl := b.take(); sl != nil {
		b.s.pool.put(sl)
	}
}

func (b *buffer) take() *slab {
	sl := b.slab
	b.slab = nil
	return sl
}

// Keep hands a chunk over. It stays in memory, and goes to the disk if there is
// room in the dirty half.
func (w *writer) Keep(index int, b chunk.Buffer, n int, d chunk.Digest, zero bool) {
	own, ok := b.(*buffer)
	if !ok {
		b.Release()
		return
	}
	w.mu.Lock()
	ended := w.ended
	if !ended {
		w.kept[index] = d
		if zero {
			w.kept[index] = chunk.Digest{}
			w.marks[index] = true
		}
	}
	w.mu.Unlock()
	if ended || zero {
		own.Release()
		return
	}
	sl := own.take()
	if sl == nil {
		return
	}
	e := &entry{slab: sl, n: n, id: id{w.key, index}, digest: d, pins: 1}
	if w.s.mem.insert(e) && w.disk {
		w.s.disk.offer(e)
	}
	w.s.mem.unpin(e)
}

// Publish makes the chunks readable under o's key.
func (w *writer) Publish(o chunk.Object) {
	if !w.end() {
		return
	}
	s := w.s
	count := s.geo.Count(o.Size)
	for i, d := range w.kept {
		if i < count {
			s.ledger.see(id{o.Key, i}, d, count)
		}
	}
	s.rename(w.key, o, false)
	if w.disk && len(w.marks) > 0 {
		s.spawn(func(ctx context.Context) {
			for i := range w.marks {
				if ctx.Err() != nil {
					return
				}
				s.disk.markZero(o, id{o.Key, i})
			}
		})
	}
}

// Cancel forgets everything.
func (w *writer) Cancel() {
	if w.end() {
		w.s.Drop(w.key)
	}
}

// end says whether this call ended the upload.
func (w *writer) end() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.ended
	w.ended = true
	return !was
}
