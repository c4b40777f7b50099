package modeltest

import (
	"context"
	"flag"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"glimpse/cachestore/vfs/faultfs"
	"glimpse/registry/image"

	"pgregory.net/rapid"
)

// tries is how often rapid is to try.
func tries(t *testing.T, short, long string) {
	t.Helper()
	n := short
	if os.Getenv("GLIMPSE_LONG") != "" {
		n = long
	}
	f := flag.Lookup("rapid.checks")
	if f.Value.String() != f.DefValue {
		return // as asked for on the command line
	}
	must(t, f.Value.Set(n))
	t.Cleanup(func() { must(t, f.Value.Set(f.DefValue)) })
}

// tally counts over all tries, so that a test can tell that it tested something.
type tally struct {
	mu sync.Mutex
	m  map[string]int
}

func (c *tally) add(what string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil {
		c.m = map[string]int{}
	}
	c.m[what] += n
}

// want fails where one of the things was never counted.
func (c *tally) want(t *testing.T, what ...string) {
	t.Helper()
	t.Logf("%v", c.m)
	for _, k := range what {
		if c.m[k] == 0 {
			t.Errorf("never: %s", k)
		}
	}
}

func drawOptions(t *rapid.T, sql bool) options {
	return options{
		SQL: sql, File: rapid.Bool().Draw(t, "file"), Chunk: rapid.SampledFrom([]int64{4 << 10, 128 << 10}).Draw(t, "chunk"),
		Slabs: rapid.IntRange(4, 16).Draw(t, "slabs"), Disk: rapid.SampledFrom([]int64{0, 192 << 10, 64 << 20}).Draw(t, "disk"),
		DiskIsSmall: rapid.Bool().Draw(t, "disk is small"), MemoryOnly: rapid.IntRange(0, 4).Draw(t, "memory only") == 1,
		Once: rapid.Bool().Draw(t, "once"), Share: rapid.SampledFrom([]string{"verified", "project", "off"}).Draw(t, "share"),
		ReadAhead: rapid.IntRange(0, 8).Draw(t, "read_ahead"), Streams: rapid.IntRange(1, 4).Draw(t, "fill_streams"),
		Staleness: rapid.SampledFrom([]time.Duration{0, time.Hour}).Draw(t, "staleness"),
	}
}

// deeds are what a try may do to its world.
type deeds struct {
	*world
	count *tally
}

func (d deeds) drawContent(t *rapid.T) []byte {
	c := d.o.Chunk
	size := rapid.SampledFrom([]int64{0, 1, c - 1, c, c + 1, 2 * c, 3*c + 17, 7*c - 1, 12 * c}).Draw(t, "size")
	zeros := rapid.SampledFrom([]uint64{0, 0, 1, 0b110, 0b1010100, ^uint64(0)}).Draw(t, "zeros")
	return content(uint8(rapid.IntRange(0, 2).Draw(t, "content")), size, c, zeros)
}

// one picks an image that fits; the deed is skipped where there is none.
func (d deeds) one(t *rapid.T, fits func(*entry) bool) *entry {
	list := slices.DeleteFunc(slices.Clone(d.entries), func(e *entry) bool { return !fits(e) })
	if len(list) == 0 {
		t.Skip("no image fits")
	}
	return list[rapid.IntRange(0, len(list)-1).Draw(t, "image")]
}

func (d deeds) drawRange(t *rapid.T, e *entry) (off, n int64) {
	size := int64(len(e.data))
	border := rapid.Custom(func(t *rapid.T) int64 {
		b := rapid.Int64Range(0, size/d.o.Chunk).Draw(t, "border") * d.o.Chunk
		return min(max(0, b+rapid.Int64Range(-1, 1).Draw(t, "beside")), size)
	})
	a, b := rapid.OneOf(border, rapid.Just(int64(0))).Draw(t, "from"), rapid.OneOf(border, rapid.Just(size)).Draw(t, "to")
	return min(a, b), max(a, b) - min(a, b)
}

func readable(e *entry) bool { return e.readable() }
func whatever(*entry) bool   { return true }

func (d deeds) Upload(t *rapid.T) {
	e := d.queuedOne(t)
	data := d.drawContent(t)
	b := body{data: data, announced: int64(len(data))}
	if rapid.Bool().Draw(t, "size unknown") {
		b.announced = -1
	}
	if d.upload(e, b) {
		d.count.add("uploads", 1)
	}
}

func (d deeds) queuedOne(t *rapid.T) *entry {
	if e := d.queued(); e != nil && rapid.Bool().Draw(t, "a new image") {
		return e
	}
	return d.one(t, func(e *entry) bool { return e.status == image.Queued })
}

func (d deeds) BrokenUpload(t *rapid.T) {
	e := d.queuedOne(t)
	data := d.drawContent(t)
	b := body{data: data, announced: -1}
	switch rapid.SampledFrom([]string{"breaks", "too short", "too long", "cancelled", "deleted"}).Draw(t, "how") {
	case "breaks":
		b.breaks = true
	case "too short":
		b.announced = int64(len(data)) + 1
	case "too long":
		b.announced = max(0, int64(len(data))-1)
		if len(data) == 0 {
			b.breaks = true
		}
	case "cancelled":
		b.at = rapid.Int64Range(0, int64(len(data))).Draw(t, "after")
		b.then = func(cancel context.CancelFunc) { cancel() }
	case "deleted":
		b.at = rapid.Int64Range(0, int64(len(data))).Draw(t, "after")
		b.then = func(context.CancelFunc) { d.remove(e) }
	}
	if !d.upload(e, b) {
		d.count.add("broken uploads", 1)
	}
}

func (d deeds) Read(t *rapid.T) {
	e := d.one(t, whatever)
	off, n := int64(0), int64(1)
	if e.readable() {
		off, n = d.drawRange(t, e)
	}
	leave := int64(-1)
	if rapid.IntRange(0, 5).Draw(t, "leaves early") == 1 {
		leave = rapid.Int64Range(0, n).Draw(t, "after")
	}
	d.read(e, off, n, rapid.SampledFrom([]int{0, 0, 100, 5000, 70_000}).Draw(t, "step"), leave)
	d.count.add("reads", 1)
}

// Crowd has several clients read at once.
func (d deeds) Crowd(t *rapid.T) {
	type client struct {
		e      *entry
		off, n int64
	}
	clients := make([]client, rapid.IntRange(2, 5).Draw(t, "clients"))
	for i := range clients {
		clients[i].e = d.one(t, readable)
		clients[i].off, clients[i].n = d.drawRange(t, clients[i].e)
	}
	var wg sync.WaitGroup
	var p panics
	for _, c := range clients {
		wg.Go(func() {
			defer p.catch()
			d.read(c.e, c.off, c.n, 0, -1)
		})
	}
	wg.Wait()
	p.throw()
	d.count.add("crowds", 1)
}

// panics brings the failure of a goroutine to the one who waits: rapid ends a
// failed try by a panic.
type panics struct {
	mu   sync.Mutex
	what any
}

func (p *panics) catch() {
	if r := recover(); r != nil {
		p.mu.Lock()
		p.what = r
		p.mu.Unlock()
	}
}

func (p *panics) throw() {
	if p.what != nil {
		panic(p.what)
	}
}

// Scan reads all there is, so that what was cached has to go.
func (d deeds) Scan(t *rapid.T) {
	d.one(t, readable)
	for _, e := range d.entries {
		if e.readable() {
			d.read(e, 0, int64(len(e.data)), 0, -1)
		}
	}
	d.count.add("scans", 1)
}

func (d deeds) Delete(t *rapid.T) {
	d.remove(d.one(t, func(e *entry) bool { return e.status != image.Deleted }))
	d.count.add("deletes", 1)
}

func (d deeds) Toggle(t *rapid.T) {
	d.toggle(d.one(t, readable))
	d.count.add("toggles", 1)
}

func (d deeds) Adopt(t *rapid.T) {
	d.adopt(d.drawContent(t), rapid.Bool().Draw(t, "md5"), rapid.Bool().Draw(t, "sha512"))
	d.count.add("adoptions", 1)
}

func (d deeds) Restart(t *rapid.T) {
	crash := rapid.Bool().Draw(t, "crash")
	d.restart(crash, rapid.Uint64().Draw(t, "seed"))
	d.count.add(map[bool]string{true: "crashes", false: "restarts"}[crash], 1)
}

// sites are the calls that can fail.
var sites = []string{
	"query", "create record", "update record", "update record lost", "begin", "begin lost", "note", "note lost", "activate", "activate lost", "fail", "fail lost", "reap", "reap lost",
	"put content", "put content lost", "pin", "pin lost", "stat", "open", "create", "create lost", "write", "write lost", "commit", "commit lost", "cancel", "delete", "delete lost",
	"read", "read short", "read damaged",
}

func (d deeds) Fault(t *rapid.T) {
	site := rapid.SampledFrom(sites).Draw(t, "site")
	if site == "query" && d.f.was("read damaged") || site == "read damaged" && d.f.was("query") {
		t.Skip("without its manifest nobody can tell that a chunk is damaged")
	}
	d.f.arm(site, rapid.IntRange(1, 3).Draw(t, "calls"))
}

func (d deeds) DiskFault(t *rapid.T) {
	if d.o.Disk == 0 {
		t.Skip("no disk")
	}
	every := rapid.IntRange(1, 4).Draw(t, "every")
	fault := rapid.SampledFrom([]syscall.Errno{syscall.EIO, syscall.ENOSPC}).Draw(t, "errno")
	var mu sync.Mutex
	calls := 0
	d.disk.Fail(func(op faultfs.Op, _ string) error {
		mu.Lock()
		defer mu.Unlock()
		if calls++; calls%every != 0 || fault == syscall.ENOSPC && op != faultfs.Write && op != faultfs.Create {
			return nil
		}
		return fault
	})
}

func (d deeds) Heal(*rapid.T) {
	d.disk.Fail(nil)
	d.f.heal()
}

func (d deeds) Reap(*rapid.T) {
	d.audit()
	d.count.add("audits", 1)
}

// Whatever is done to a node, under any options, an image is the bytes that were
// acknowledged, or an error while something fails.
func TestOneAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		sql         bool
		short, long string
	}{
		"memory": {false, "200", "6000"},
		"sqlite": {true, "60", "1500"},
	} {
		t.Run(name, func(t *testing.T) {
			tries(t, c.short, c.long)
			var count tally
			rapid.Check(t, func(rt *rapid.T) { oneWorld(t, rt, c.sql, &count) })
			count.want(t, "uploads", "broken uploads", "reads", "crowds", "scans", "deletes", "toggles", "adoptions", "crashes", "restarts", "audits", "faults", "disk faults", "learned", "evicted")
		})
	}
}

func oneWorld(t *testing.T, rt *rapid.T, sql bool, count *tally) {
	dir, err := os.MkdirTemp(t.TempDir(), "world-")
	must(rt, err)
	w := newWorld(rt, dir, drawOptions(rt, sql))
	defer func() {
		w.close()
		count.add("faults", w.f.total())
		count.add("disk faults", w.diskFaults)
		count.add("learned", w.learned)
		count.add("evicted", w.evicted)
	}()
	d := deeds{w, count}
	rt.Repeat(map[string]func(*rapid.T){
		"upload": d.Upload, "upload that breaks": d.BrokenUpload, "read": d.Read, "crowd": d.Crowd, "scan": d.Scan, "delete": d.Delete,
		"deactivate or reactivate": d.Toggle, "adopt": d.Adopt, "restart": d.Restart, "fault": d.Fault, "disk fault": d.DiskFault,
		"heal": d.Heal, "reap": d.Reap,
	})
	w.audit()
}
