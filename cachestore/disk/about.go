package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"glimpse/cachestore/chunk"
	"glimpse/cachestore/vfs"
)

const (
	aboutHead = "glimpse object 1"
	maxAbout  = 64 << 10
)

// encodeAbout writes an object: its key, size, validator and reference, a line
// each, and a crc.
func encodeAbout(o chunk.Object) []byte {
	text := fmt.Sprintf("%s\n%s\n%d\n%s\n%s\n", aboutHead, strconv.Quote(string(o.Key)), o.Size, strconv.Quote(o.Validator), strconv.Quote(o.Ref))
	return fmt.Appendf([]byte(text), "%08x\n", castagnoli([]byte(text)))
}

func parseAbout(b []byte) (o chunk.Object, err error) {
	bad := fmt.Errorf("object file: %w", chunk.ErrCorrupt)
	if len(b) < 9 || fmt.Sprintf("%08x\n", castagnoli(b[:len(b)-9])) != string(b[len(b)-9:]) {
		return o, bad
	}
	lines := strings.Split(strings.TrimSuffix(string(b[:len(b)-9]), "\n"), "\n")
	if len(lines) != 5 || lines[0] != aboutHead {
		return o, bad
	}
	key, errKey := strconv.Unquote(lines[1])
	size, errSize := strconv.ParseInt(lines[2], 10, 64)
	validator, errValidator := strconv.Unquote(lines[3])
	ref, errRef := strconv.Unquote(lines[4])
	if errors.Join(errKey, errSize, errValidator, errRef) != nil || size < 0 {
		return o, bad
	}
	return chunk.Object{Key: chunk.Key(key), Size: size, Validator: validator, Ref: ref}, nil
}

// Describe notes what an object is, beside its chunks, if there are any: a key
// says neither the size nor where the bytes come from. It is not synced, and what
// can't be written is not known after the next Open.
func (t *Tier) Describe(about chunk.Object) {
	if t.closed.Load() || about.Key.Upload() || about.Size < 0 || t.described(about) {
		return
	}
	h := hashOf(about.Key)
	o := t.hold(h, false)
	if o == nil {
		return
	}
	defer t.letGo(o)
	o.s.mu.Lock()
	o.about = &about
	o.s.mu.Unlock()
	err := t.writeAbout(h.dir(t.root), about)
	if err == nil {
		return
	}
	o.s.mu.Lock()
	if o.about == &about { // its folder may only be coming: whoever tells again writes it
		o.about = nil
	}
	o.s.mu.Unlock()
	if !errors.Is(err, fs.ErrNotExist) {
		t.failed(err)
	}
}

func (t *Tier) writeAbout(dir string, about chunk.Object) error {
	tmp := filepath.Join(dir, t.tmpName())
	f, err := t.fs.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.Write(encodeAbout(about))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = t.fs.Rename(tmp, filepath.Join(dir, aboutFile))
	}
	if err != nil {
		_ = t.fs.Remove(tmp) // else the next Open removes it
	}
	return err
}

// described says whether that is known of the object, or there is nothing of it to
// tell. Of several references to the same bytes the first does.
func (t *Tier) described(about chunk.Object) bool {
	h := hashOf(about.Key)
	s := t.shardOf(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[h]
	return o == nil || o.about != nil
}

// Objects lists the objects of which there are chunks or marks and that were
// described. It does no I/O.
func (t *Tier) Objects() (all []chunk.Object) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for _, o := range s.objects {
			if o.about != nil && len(o.chunks)+len(o.zeros) > 0 {
				all = append(all, *o.about)
			}
		}
		s.mu.Unlock()
	}
	return all
}

// recoverAbout reads what is known of an object.
func (t *Tier) recoverAbout(o *object, dir string) {
	b, err := vfs.ReadFile(t.fs, filepath.Join(dir, aboutFile), maxAbout)
	if err != nil {
		return
	}
	if about, err := parseAbout(b); err == nil && hashOf(about.Key) == o.h {
		o.about = &about
	}
}
