package disk

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/cachestore/chunk"
	"glimpse/cachestore/vfs"
	"glimpse/cachestore/vfs/faultfs"

	"lukechampine.com/blake3"
)

var tiny = chunk.Geometry{Chunk: 128 << 10, Extent: 2}

func onFS(t *testing.T, fs vfs.FS, size int64) *Tier {
	t.Helper()
	d, err := Open(context.Background(), Config{Path: "/cache", Size: size, FS: fs, Geometry: tiny})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// content is the bytes under a key, which never change. Keys of one letter and
// what they were renamed to have one content.
func content(key chunk.Key, index int) []byte {
	n := 70_000 + index*1000
	return bytes.Repeat([]byte(fmt.Sprintf("%c-%d;", key[len(key)-1], index)), n/4)[:n]
}

// work is a day in the life of a tier; step is called after each call.
func work(d *Tier, step func()) {
	ctx := context.Background()
	for _, key := range []chunk.Key{"p:a", "p:b"} {
		for i := range 4 {
			b := content(key, i)
			if d.Reserve(len(b)) {
				_ = d.Write(ctx, key, i, b, blake3.Sum256(b))
			}
			step()
		}
		_ = d.MarkZero(key, 9)
		step()
	}
	_ = d.Rename("p:a", "c:sha512:a")
	step()
	b := content("p:b", 1)
	if d.Reserve(len(b)) {
		_ = d.Write(ctx, "p:b", 1, b, blake3.Sum256(b)) // again
	}
	step()
	d.Remove("p:b", 2)
	step()
	d.Drop("p:b")
	step()
	b = content("p:b", 3)
	if d.Reserve(len(b)) {
		_ = d.Write(ctx, "p:b", 3, b, blake3.Sum256(b))
	}
	step()
}

// honest asserts that whatever a tier gives out is right, and returns how much it
// gave.
func honest(t *testing.T, d *Tier, what string) (found int) {
	t.Helper()
	for _, key := range []chunk.Key{"p:a", "p:b", "c:sha512:a"} {
		for i := range 12 {
			_, _, zero, ok := d.Has(key, i)
			if ok && zero && i != 9 {
				t.Errorf("%s: chunk %d of %s is said to be zeros", what, i, key)
			}
			if !ok || zero {
				continue
			}
			c, err := d.Read(context.Background(), key, i)
			if err != nil {
				continue
			}
			if !c.Verified() && c.Verify() != nil {
				d.Quarantine(key, i)
				c.Close()
				continue
			}
			var got []byte
			buf := make([]byte, BlockSize)
			for off := 0; off < c.Len(); {
				b, err := c.Block(buf, off)
				if err != nil {
					break
				}
				got = append(got, b...)
				off += len(b)
			}
			if len(got) == c.Len() {
				found++
				if !bytes.Equal(got, content(key, i)) {
					t.Errorf("%s: chunk %d of %s has other bytes", what, i, key)
				}
			}
			c.Close()
		}
	}
	return found
}

// The power goes at every call to the file system, and what was not synced is
// lost or kept by chance: nothing that is given out afterwards is wrong.
func TestALossOfPowerAtEveryCall(t *testing.T) {
	mem := vfs.NewMem(0)
	fs := faultfs.New(mem)
	var clones []*vfs.Mem
	fs.Fail(func(op faultfs.Op, _ string) error {
		switch op {
		case faultfs.Write, faultfs.Create, faultfs.Append, faultfs.Rename, faultfs.Remove, faultfs.Sync, faultfs.SyncDir, faultfs.SyncFS:
			for seed := range uint64(3) {
				clones = append(clones, mem.Crash(uint64(len(clones))*7+seed))
			}
		}
		return nil
	})
	d := onFS(t, fs, 10<<20)
	work(d, func() {})
	if err := d.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	found := 0
	for i, c := range clones {
		again := onFS(t, c, 10<<20)
		found += honest(t, again, fmt.Sprint("clone ", i))
		work(again, func() {}) // and it goes on from there
		honest(t, again, fmt.Sprint("clone ", i, " at work"))
		if err := again.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d crashes, %d chunks survived", len(clones), found)
	if len(clones) < 100 || found == 0 {
		t.Errorf("%d crashes, %d chunks survived: too few to say anything", len(clones), found)
	}
}

// A clean stop is a promise: when the power goes right after it, all is there and
// right, as the marker says.
func TestACleanStopOutlivesALossOfPower(t *testing.T) {
	mem := vfs.NewMem(0)
	d := onFS(t, mem, 10<<20)
	work(d, func() {})
	if err := d.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := int64(5) // what work leaves: four of a under its new name, one of b
	for seed := range uint64(20) {
		again := onFS(t, mem.Crash(seed), 10<<20)
		if st := again.Stats(); st.FoundUnclean || st.Chunks != want {
			t.Errorf("seed %d: %+v, want %d chunks of a clean stop", seed, st, want)
		}
		if found := honest(t, again, "after the stop"); int64(found) != want {
			t.Errorf("seed %d: %d of %d chunks are right", seed, found, want)
		}
		if err := again.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// Each kind of call fails in each way: the tier says so, never lies, and recovers
// by itself when the faults end.
func TestFaultsDegradeAndPass(t *testing.T) {
	for name, rule := range map[string]faultfs.Rule{
		"the disk is full":       only(syscall.ENOSPC, faultfs.Write),
		"writes fail":            only(syscall.EIO, faultfs.Write),
		"reads fail":             only(syscall.EIO, faultfs.Read),
		"nothing can be synced":  only(syscall.EIO, faultfs.Sync, faultfs.SyncDir, faultfs.SyncFS),
		"remounted read-only":    only(syscall.EROFS, faultfs.Create, faultfs.Append, faultfs.Rename, faultfs.Remove, faultfs.Mkdir),
		"names can't be changed": only(syscall.EIO, faultfs.Rename, faultfs.Remove),
		"the free space is hid":  only(syscall.EIO, faultfs.Free),
		"everything fails":       func(faultfs.Op, string) error { return syscall.EIO },
		"every third call fails": everyThird(),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fs := faultfs.New(vfs.NewMem(0))
				d := onFS(t, fs, 10<<20)
				b := content("p:a", 0)
				if !d.Reserve(len(b)) || d.Write(t.Context(), "p:a", 0, b, blake3.Sum256(b)) != nil {
					t.Fatal("a healthy disk takes nothing")
				}
				time.Sleep(2 * limitEvery)
				fs.Fail(rule)
				work(d, func() { honest(t, d, "meanwhile") })
				if fs.Fired() == 0 {
					t.Fatal("no fault fired")
				}
				t.Logf("%d faults", fs.Fired())
				fs.Fail(nil)
				time.Sleep(2 * probeEvery)
				b = content("p:a", 2)
				if !d.Reserve(len(b)) {
					t.Fatal("it does not recover")
				}
				if err := d.Write(t.Context(), "p:a", 2, b, blake3.Sum256(b)); err != nil {
					t.Fatal(err)
				}
				if honest(t, d, "afterwards") == 0 {
					t.Error("nothing is kept after the faults")
				}
				if err := d.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func only(err error, ops ...faultfs.Op) faultfs.Rule {
	return func(op faultfs.Op, _ string) error {
		for _, o := range ops {
			if o == op {
				return err
			}
		}
		return nil
	}
}

func everyThird() faultfs.Rule {
	var mu sync.Mutex
	n := 0
	return func(faultfs.Op, string) error {
		mu.Lock()
		defer mu.Unlock()
		if n++; n%3 == 0 {
			return syscall.EIO
		}
		return nil
	}
}

// Somebody removes the cache's folder while it is in use.
func TestTheFolderIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := faultfs.New(vfs.NewMem(0))
		d := onFS(t, fs, 10<<20)
		b := content("p:a", 0)
		d.Reserve(len(b))
		if err := d.Write(t.Context(), "p:a", 0, b, blake3.Sum256(b)); err != nil {
			t.Fatal(err)
		}
		removeAll(t, fs, "/cache")
		honest(t, d, "without a folder")
		time.Sleep(2 * probeEvery)
		b = content("p:b", 1)
		for range 3 { // one write may fail to find it gone
			if d.Reserve(len(b)) && d.Write(t.Context(), "p:b", 1, b, blake3.Sum256(b)) == nil {
				break
			}
			time.Sleep(2 * probeEvery)
		}
		if honest(t, d, "with a new folder") == 0 {
			t.Error("nothing is kept")
		}
		if err := d.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func removeAll(t *testing.T, fs vfs.FS, dir string) {
	t.Helper()
	names, err := fs.ReadDir(dir)
	if err == nil {
		for _, n := range names {
			removeAll(t, fs, filepath.Join(dir, n))
		}
	}
	if err := fs.Remove(dir); err != nil {
		t.Fatal(err)
	}
}

func TestManyAtOnce(t *testing.T) {
	d := onFS(t, vfs.NewMem(0), 2<<20) // room for half of it
	var wg sync.WaitGroup
	keys := []chunk.Key{"p:a", "p:b", "p:c", "p:d"}
	for w, key := range keys {
		wg.Go(func() {
			for round := range 30 {
				for i := range 8 {
					b := content(key, i)
					if d.Admit(key, i) && d.Reserve(len(b)) {
						if err := d.Write(t.Context(), key, i, b, blake3.Sum256(b)); err != nil {
							t.Error(err)
						}
					}
					d.Touch(keys[(w+1)%4], i)
				}
				if round%7 == w {
					d.Drop(key)
				}
				_ = d.MarkZero(key, 9)
			}
		})
		wg.Go(func() {
			for range 60 {
				honest(t, d, "under load")
			}
		})
	}
	wg.Wait()
	if s := d.Stats(); s.Bytes > 2<<20 || s.Reserved != 0 || s.Evicted == 0 {
		t.Errorf("%+v", s)
	}
	if err := d.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestNamesThatAreNotOurs(t *testing.T) {
	mem := vfs.NewMem(0)
	d := onFS(t, mem, 10<<20)
	b := content("p:a", 0)
	d.Reserve(len(b))
	if err := d.Write(t.Context(), "p:a", 0, b, blake3.Sum256(b)); err != nil {
		t.Fatal(err)
	}
	dir := hashOf("p:a").dir("/cache")
	if err := d.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/cache/README", "/cache/zz", dir + "/notes.txt", dir + "/0", dir + "/-1-2-3", dir + "/" + strings.Repeat("9", 200)} {
		f, err := mem.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	d = onFS(t, mem, 10<<20)
	if honest(t, d, "among strangers") != 1 {
		t.Error("the chunk is lost")
	}
	if err := d.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// A million chunks of 200 images on a real file system, whose folders are in the
// kernel's cache. The aim is 2 s. Run it with -bench Recovery -benchtime 5x; to
// make the files takes a minute or two.
func BenchmarkRecovery(b *testing.B) {
	root := b.TempDir()
	for o := range 200 {
		dir := hashOf(chunk.Key(fmt.Sprint("p:", o))).dir(root)
		if err := os.MkdirAll(dir, 0o750); err != nil {
			b.Fatal(err)
		}
		for i := range 5000 {
			if err := os.WriteFile(filepath.Join(dir, fileName(uint32(i), 100, 1)), nil, 0o600); err != nil {
				b.Fatal(err)
			}
		}
	}
	for b.Loop() {
		d, err := Open(b.Context(), Config{Path: root, Size: 1 << 40, Geometry: tiny})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if n := d.Stats().Chunks; n != 1_000_000 {
			b.Fatalf("%d chunks", n)
		}
		if err := d.lock.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func FuzzFileName(f *testing.F) {
	f.Add(fileName(0, 1, 1))
	f.Add(fileName(1<<31, 4<<20, 77))
	f.Add("notes.txt")
	f.Fuzz(func(t *testing.T, s string) {
		if i, n, g, ok := parseFileName(s); ok && fileName(i, n, g) != s {
			t.Errorf("%q is read as %q", s, fileName(i, n, g))
		}
	})
}
