package cachestore

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/cachestore/chunk"
	"glimpse/cachestore/disk"
	"glimpse/cachestore/vfs"
	"glimpse/cachestore/vfs/faultfs"
)

// loud counts what is logged as an error of the disk.
type loud struct{ slog.Handler }

var louder atomic.Int64

func (l loud) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError && strings.Contains(r.Message, "disk fails") {
		louder.Add(1)
	}
	return nil
}

func (l loud) Enabled(context.Context, slog.Level) bool { return true }

// The disk under a store fails in each way: everybody is served on and right, by
// fills that are shared; it is loud once; and it recovers by itself.
func TestADiskThatFailsInEachWay(t *testing.T) {
	fails := func(err error, ops ...faultfs.Op) faultfs.Rule {
		return func(op faultfs.Op, _ string) error {
			for _, o := range ops {
				if o == op {
					return err
				}
			}
			return nil
		}
	}
	for name, c := range map[string]struct {
		rule faultfs.Rule
		loud int64 // lines about it
	}{
		"full":       {fails(syscall.ENOSPC, faultfs.Write), 1},
		"writes":     {fails(syscall.EIO, faultfs.Write), 1},
		"reads":      {fails(syscall.EIO, faultfs.Read), 0}, // each bad chunk is reported; the disk is written to on
		"read-only":  {fails(syscall.EROFS, faultfs.Create, faultfs.Append, faultfs.Rename, faultfs.Remove, faultfs.Mkdir), 1},
		"everything": {func(faultfs.Op, string) error { return syscall.EIO }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fs := faultfs.New(vfs.NewMem(0))
				louder.Store(0)
				cfg := config(16)
				cfg.Disk = disk.Config{Path: "/cache", Size: 64 << 20, FS: fs}
				cfg.Log = slog.New(loud{slog.DiscardHandler})
				s := openReal(t, cfg)
				read := func(key chunk.Key, data []byte) int64 {
					t.Helper()
					o := &origin{data: data}
					l := s.Level("client", s.Level("home", o))
					obj := object(data)
					obj.Key = key
					var wg sync.WaitGroup
					for range 8 {
						wg.Go(func() { mustFetch(t, l, obj, 0, -1, data) })
					}
					wg.Wait()
					n, _ := o.given()
					return n
				}
				before := image(40 * 64 * kib)
				read("p:before", before)
				eventually(t, "all is on disk", drained(s))

				fs.Fail(c.rule)
				small := image(5 * 64 * kib)
				// Shared: eight readers cost far less than eight copies, though what is not
				// kept may be evicted before the last of them comes.
				if n := read("p:during", small); n > 2*int64(len(small)) {
					t.Errorf("the origin gave %d bytes of %d", n, len(small))
				}
				read("p:before", before)
				time.Sleep(3 * time.Second)
				read("p:more", image(30*64*kib))
				eventually(t, "nothing waits for the disk", drained(s))
				if n := louder.Load(); n < c.loud || n > max(1, c.loud) {
					t.Errorf("%d lines about it, want %d", n, c.loud)
				}
				t.Logf("%d faults", fs.Fired())
				if fs.Fired() == 0 {
					t.Error("no fault fired")
				}

				fs.Fail(nil)
				time.Sleep(30 * time.Second)
				after := image(33 * 64 * kib)
				read("p:wake", image(64*kib)) // finds out that it works again
				eventually(t, "that is written", drained(s))
				time.Sleep(10 * time.Second)
				read("p:after", after)
				eventually(t, "all is on disk again", drained(s))
				if n := read("p:after", after); n != 0 {
					t.Errorf("the origin gave %d bytes of what the disk should have", n)
				}
			})
		})
	}
}
