package cachestore

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"glimpse/cachestore/chunk"
	"glimpse/cachestore/disk"
)

func onDiskConfig(dir string, once bool) Config {
	c := config(4)
	c.VerifyOnce = once
	c.Disk = disk.Config{Path: dir, Size: 64 << 20}
	return c
}

func openReal(t *testing.T, c Config) *Store {
	t.Helper()
	s, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

// What was on disk is found after a restart, zeros and promoted names included.
func TestRestartFindsTheDisk(t *testing.T) {
	for _, once := range []bool{false, true} {
		t.Run(fmt.Sprintf("verify once %v", once), func(t *testing.T) {
			dir := t.TempDir()
			data := image(12*64*kib + 99)
			clear(data[64*kib : 3*64*kib])
			o := &origin{data: data}
			s := openReal(t, onDiskConfig(dir, once))
			mustFetch(t, s.Level("home", o), object(data), 0, -1, data)
			to := object(data)
			to.Key = "c:sha512:abc:1"
			s.Promote("p:test", to)
			stop(t, s)
			s = openReal(t, onDiskConfig(dir, once))
			l := s.Level("client", s.Level("home", o))
			for range 5 {
				mustFetch(t, l, to, 0, -1, data)
			}
			mustFetch(t, l, to, 70*kib, 300*kib, data[70*kib:370*kib])
			if n, _ := o.given(); n != int64(len(data)) {
				t.Fatalf("the origin gave %d bytes of %d", n, len(data))
			}
			if st := s.Stats(); st.SentDisk == 0 || st.DiskBytes == 0 {
				t.Fatalf("%+v", st)
			}
		})
	}
}

// After a stop that was not clean a flipped bit is found before its first use.
func TestFlippedBitIsFoundAfterACrash(t *testing.T) {
	for _, once := range []bool{false, true} {
		t.Run(fmt.Sprintf("verify once %v", once), func(t *testing.T) {
			dir := t.TempDir()
			data := image(8 * 64 * kib)
			o := &origin{data: data}
			s := openReal(t, onDiskConfig(dir, once))
			mustFetch(t, s.Level("home", o), object(data), 0, -1, data)
			eventually(t, "all is on disk", drained(s))
			stop(t, s)
			crash(t, dir)
			s = openReal(t, onDiskConfig(dir, once))
			l := s.Level("home", o)
			mustFetch(t, l, object(data), 0, -1, data)
			if n := s.Stats().VerifyFailures["disk"]; n != 1 {
				t.Fatalf("%d failures", n)
			}
			if n, _ := o.given(); n != int64(len(data))+64*kib {
				t.Fatalf("the origin gave %d bytes", n)
			}
		})
	}
}

// crash takes the clean marker away and flips a bit of the largest file found.
func crash(t *testing.T, dir string) {
	t.Helper()
	var chunkFile string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > 64*kib {
			chunkFile = p
		}
		if filepath.Dir(p) == dir {
			err = os.Remove(p)
		}
		return err
	})
	if err != nil || chunkFile == "" {
		t.Fatal("no chunk on disk", err)
	}
	b, err := os.ReadFile(chunkFile)
	if err != nil {
		t.Fatal(err)
	}
	b[1000] ^= 1
	if err := os.WriteFile(chunkFile, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// An upload that goes through the disk is read back from it under its new name.
func TestUploadToTheRealDisk(t *testing.T) {
	dir := t.TempDir()
	data := image(20 * 64 * kib)
	s := openReal(t, onDiskConfig(dir, false))
	w := s.NewWriter("token", false)
	for i := range 20 {
		b, err := w.Buffers(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		copy(b[0].Bytes(), data[i*64*kib:])
		w.Keep(i, b[0], 64*kib, digest(b[0].Bytes()), false)
		eventually(t, "written", drained(s))
	}
	w.Publish(object(data))
	o := &origin{data: data}
	mustFetch(t, s.Level("home", o), object(data), 0, -1, data)
	if n, _ := o.given(); n != 0 {
		t.Fatalf("the origin gave %d bytes", n)
	}
	// Asked of the disk alone: a Peek under the token would bring it to memory so named.
	eventually(t, "the token no longer names the bytes", func() bool {
		_, _, _, ok := s.disk.t.Has(chunk.UploadKey("token"), 3)
		return !ok
	})
}
