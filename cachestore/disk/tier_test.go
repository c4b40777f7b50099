package disk

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"glimpse/cachestore/chunk"
	"glimpse/cachestore/vfs"
	"glimpse/cachestore/vfs/faultfs"
)

func openAt(t *testing.T, dir string, size int64) *Tier {
	t.Helper()
	d, err := Open(t.Context(), Config{Path: dir, Size: size, Geometry: chunk.Geometry{Chunk: 256 << 10, Extent: 4}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.lock.Close() })
	return d
}

func bytesOf(seed byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = seed + byte(i*7) + byte(i>>8)
	}
	return b
}

func put(t *testing.T, d *Tier, key chunk.Key, index int, data []byte) {
	t.Helper()
	if !d.Reserve(len(data)) {
		t.Fatalf("no room for chunk %d", index)
	}
	if err := d.Write(t.Context(), key, index, data, digestOf(data)); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, d *Tier, key chunk.Key, index int) ([]byte, error) {
	t.Helper()
	c, err := d.Read(t.Context(), key, index)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var out []byte
	buf := make([]byte, BlockSize)
	for len(out) < c.Len() {
		b, err := c.Block(buf, len(out))
		if err != nil {
			return nil, err
		}
		out = append(out, b...)
	}
	return out, c.Verify()
}

func want(t *testing.T, d *Tier, key chunk.Key, index int, data []byte) {
	t.Helper()
	if b, err := get(t, d, key, index); err != nil || !bytes.Equal(b, data) {
		t.Fatalf("chunk %d of %s: %d bytes, %v", index, key, len(b), err)
	}
}

func files(t *testing.T, dir string) (list []string) {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "??", "*", "*-*-*"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestChunksAndMarksAreThereAfterACleanStop(t *testing.T) {
	dir := t.TempDir()
	d := openAt(t, dir, 1<<30)
	a, b := bytesOf(1, 256<<10), bytesOf(2, 100_001)
	put(t, d, "k", 0, bytesOf(9, 5))
	put(t, d, "k", 0, a) // the younger one wins
	put(t, d, "k", 7, b)
	if err := d.MarkZero("k", 3); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Config{Path: dir, Size: 1}); !errors.Is(err, vfs.ErrLocked) {
		t.Fatalf("a second process: %v", err)
	}
	before, _ := d.Bytes()
	if err := d.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	d = openAt(t, dir, 1<<30)
	if st := d.Stats(); st.FoundUnclean || st.Chunks != 2 || st.Bytes != before {
		t.Errorf("%+v, %d bytes before", st, before)
	}
	want(t, d, "k", 0, a)
	want(t, d, "k", 7, b)
	if _, _, zero, ok := d.Has("k", 3); !zero || !ok {
		t.Error("a zero mark is lost")
	}
	if _, err := os.Stat(filepath.Join(dir, markerFile)); !os.IsNotExist(err) {
		t.Errorf("the marker outlives Open: %v", err)
	}
}

func TestABadByteAnywhereIsFoundAfterAnUncleanStop(t *testing.T) {
	dir := t.TempDir()
	data := bytesOf(1, 3*BlockSize/2)
	d := openAt(t, dir, 1<<30)
	put(t, d, "k", 0, data)
	name := files(t, dir)[0]
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	_ = d.lock.Close()
	check := func(what string, at int, bad []byte) {
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o750), os.WriteFile(name, bad, 0o600)); err != nil {
			t.Fatal(err)
		}
		d := openAt(t, dir, 1<<30)
		if _, err := d.Read(t.Context(), "k", 0); !errors.Is(err, chunk.ErrCorrupt) {
			t.Errorf("%s at %d: %v", what, at, err)
		}
		if len(files(t, dir)) != 0 || d.Stats().Quarantined != 1 || d.Stats().Bytes != 0 {
			t.Errorf("%s at %d: not put aside, %+v", what, at, d.Stats())
		}
		_ = d.lock.Close()
	}
	for at := 0; at < len(good); at++ {
		if at > 10 && at < len(data)-2 && at%9973 != 0 {
			continue
		}
		bad := bytes.Clone(good)
		bad[at] ^= 4
		check("flip", at, bad)
		check("cut", at, good[:at])
	}
}

// After a clean stop nothing is verified whole beforehand; a flipped bit is found
// by the read that meets it, in the bytes by their block's checksum, in the
// trailer by its own.
func TestAFlippedBitAnywhereIsFoundByItsRead(t *testing.T) {
	dir := t.TempDir()
	data := bytesOf(1, 3*BlockSize/2)
	d := openAt(t, dir, 1<<30)
	put(t, d, "k", 0, data)
	name := files(t, dir)[0]
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	marker := filepath.Join(dir, markerFile)
	_ = d.lock.Close()
	flips := 0
	for at := 0; at < len(good); at++ {
		if at < len(data) && at%997 != 0 {
			continue
		}
		flips++
		bad := bytes.Clone(good)
		bad[at] ^= 1 << (at % 8)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o750), os.WriteFile(name, bad, 0o600), os.WriteFile(marker, []byte(magic), 0o600)); err != nil {
			t.Fatal(err)
		}
		d := openAt(t, dir, 1<<30)
		if d.Stats().FoundUnclean {
			t.Fatal("found unclean")
		}
		if b, err := readBlocks(t, d, "k", 0); !errors.Is(err, chunk.ErrCorrupt) {
			t.Errorf("byte %d of %d: %d bytes, %v", at, len(good), len(b), err)
		}
		_ = d.lock.Close()
	}
	t.Logf("%d flips", flips)
	if flips < 100 {
		t.Error("too few to say anything")
	}
}

// readBlocks reads a chunk as it is sent, without verifying all of it first.
func readBlocks(t *testing.T, d *Tier, key chunk.Key, index int) (out []byte, err error) {
	t.Helper()
	c, err := d.Read(t.Context(), key, index)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	for buf := make([]byte, BlockSize); len(out) < c.Len(); {
		b, err := c.Block(buf, len(out))
		if err != nil {
			return out, err
		}
		out = append(out, b...)
	}
	return out, nil
}

func TestAFullDiskEvictsAndStaysUnderItsSize(t *testing.T) {
	d := openAt(t, t.TempDir(), 10*cost(256<<10))
	for i := range 40 {
		put(t, d, "k", i, bytesOf(byte(i), 256<<10))
		if st := d.Stats(); st.Bytes > 10*cost(256<<10) {
			t.Fatalf("%+v", st)
		}
	}
	if st := d.Stats(); st.Chunks != 10 || st.Evicted != 30*cost(256<<10) || st.Reserved != 0 {
		t.Errorf("%+v", st)
	}
	if d.Admit("new", 0) || !d.Admit("new", 0) {
		t.Error("a full disk admits at the second try only")
	}
}

func TestAnOpenChunkIsNotEvictedAndOutlivesADrop(t *testing.T) {
	dir := t.TempDir()
	d := openAt(t, dir, cost(256<<10))
	data := bytesOf(3, 256<<10)
	put(t, d, "k", 0, data)
	c, err := d.Read(t.Context(), "k", 0)
	if err != nil {
		t.Fatal(err)
	}
	if d.Reserve(1) {
		t.Error("an open chunk was evicted")
	}
	d.Drop("k")
	if n, _ := d.Bytes(); n == 0 || len(files(t, dir)) != 0 {
		t.Errorf("%d bytes, %v", n, files(t, dir))
	}
	if err := c.Verify(); err != nil {
		t.Error(err)
	}
	_ = c.Close()
	if n, _ := d.Bytes(); n != 0 {
		t.Errorf("%d bytes are never given back", n)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "??", "*")); len(left) != 0 {
		t.Errorf("%v is left", left)
	}
}

func TestARenamedObjectIsReadUnderItsNewKeyOnly(t *testing.T) {
	dir := t.TempDir()
	d := openAt(t, dir, 1<<30)
	data := bytesOf(4, 1000)
	put(t, d, "p:1", 0, data)
	if err := errors.Join(d.MarkZero("p:1", 1), d.Rename("p:1", "c:1")); err != nil {
		t.Fatal(err)
	}
	_ = d.lock.Close() // not clean
	d = openAt(t, dir, 1<<30)
	want(t, d, "c:1", 0, data)
	if _, _, zero, _ := d.Has("c:1", 1); !zero {
		t.Error("the zero mark stayed behind")
	}
	if _, err := d.Read(t.Context(), "p:1", 0); !errors.Is(err, ErrMiss) {
		t.Errorf("the old key: %v", err)
	}
	// The same file in a folder that has no alias is another object's.
	put(t, d, "x", 0, data)
	e := files(t, hashOf("c:1").dir(dir)+"/../..")
	for _, n := range e {
		if filepath.Dir(n) == filepath.Clean(hashOf("x").dir(dir)) {
			b, _ := os.ReadFile(files(t, dir)[0])
			if filepath.Dir(files(t, dir)[0]) == filepath.Dir(n) {
				b, _ = os.ReadFile(files(t, dir)[1])
			}
			_ = os.WriteFile(n, b, 0o600)
		}
	}
	if _, err := d.Read(t.Context(), "x", 0); !errors.Is(err, chunk.ErrCorrupt) {
		t.Errorf("another object's file: %v", err)
	}
}

// Bytes that come under one name after another, as of an image that many upload,
// are no failure of the disk, whether they are there already or not.
func TestAnObjectOfManyNames(t *testing.T) {
	for name, gone := range map[string]bool{"kept": false, "evicted each time": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d := openAt(t, dir, 1<<30)
			data := bytesOf(4, 1000)
			for i := range 3 * maxKeys {
				from := chunk.Key(fmt.Sprint("u:", i))
				put(t, d, from, 0, data)
				if err := errors.Join(d.MarkZero(from, 1), d.Rename(from, "c:1")); err != nil {
					t.Fatalf("rename %d: %v", i, err)
				}
				if _, _, zero, _ := d.Has("c:1", 1); !zero {
					t.Fatalf("rename %d: the zero mark stayed behind", i)
				}
				if _, err := d.Read(t.Context(), from, 0); !errors.Is(err, ErrMiss) {
					t.Fatalf("rename %d: the old key: %v", i, err)
				}
				switch {
				case !gone:
					want(t, d, "c:1", 0, data)
				case i < maxKeys-1:
					want(t, d, "c:1", 0, data)
					d.Remove("c:1", 0)
				default:
					if _, err := d.Read(t.Context(), "c:1", 0); !errors.Is(err, ErrMiss) {
						t.Fatalf("rename %d: moved to where it has no name: %v", i, err)
					}
				}
			}
			keys, err := readKeys(d.fs, hashOf("c:1").dir(dir))
			if most := map[bool]int{false: 2, true: maxKeys}[gone]; err != nil || len(keys) != most {
				t.Errorf("%d names, %v", len(keys), err)
			}
			put(t, d, "c:1", 0, data)
			want(t, d, "c:1", 0, data)
			if st := d.Stats(); st.WriteErrors > 0 || st.Degraded || st.Chunks != 1 {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestATornZeroLogLosesOnlyWhatIsTorn(t *testing.T) {
	h := hashOf("k")
	log := append(zeroMark(h, 1), zeroMark(h, 2)...)
	for n := range len(log) + 1 {
		got := parseZeros(h, append(bytes.Clone(log[:n]), zeroMark(h, 9)...))
		if len(got) != n/zeroRecord+1 || got[len(got)-1] != 9 {
			t.Errorf("cut at %d: %v", n, got)
		}
	}
	if len(parseZeros(hashOf("other"), log)) != 0 || len(parseZeros(h, make([]byte, 100))) != 0 {
		t.Error("stray bytes are zero marks")
	}
}

// Recovery reads folders: it opens no chunk, and so can stat none either.
func TestRecoveryOpensNoChunk(t *testing.T) {
	mem := vfs.NewMem(0)
	d := onFS(t, mem, 10<<20)
	work(d, func() {})
	before := d.Stats().Chunks
	_ = d.lock.Close() // as after a crash
	fs := faultfs.New(mem)
	listed := 0
	fs.Fail(func(op faultfs.Op, name string) error {
		if _, _, _, isChunk := parseFileName(filepath.Base(name)); isChunk {
			t.Errorf("%v of a chunk", op)
		}
		if op == faultfs.ReadDir {
			listed++
		}
		return nil
	})
	again := onFS(t, fs, 10<<20)
	if n := again.Stats().Chunks; n != before || n == 0 || listed == 0 {
		t.Errorf("%d chunks of %d, %d folders listed", n, before, listed)
	}
	_ = again.lock.Close()
}
