package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"glimpse/cmd/testenv"
)

const limitedClients = 32

// limited: an origin of 100 MB/s. A storm on a cold image should take as long as
// one client alone, read the origin once, and begin at once for everybody. The
// origin is counted in a storm of its own, which strace slows down.
func limited(l *lab) error {
	image := l.image(l.size)
	g := l.node("", "stores.main.cache=on", "stores.main.rate_limit=100000000", "cache.disk.size=8GiB")
	id := l.stored(g, image)
	var ratio, p99, after []float64
	for range max(1, l.rounds/2) {
		if err := g.cold(l.ctx); err != nil {
			return err
		}
		one, err := receive(l.ctx, g.file(id), "", http.StatusOK, l.size)
		if err != nil {
			return err
		}
		if err := g.cold(l.ctx); err != nil {
			return err
		}
		first, end, late, err := l.limitedStorm(g.file(id), one.last/2)
		if err != nil {
			return err
		}
		l.say(fmt.Sprintf("one client: first byte %.1f ms, last %.2f s; %d clients: first byte p50 %.1f ms, p99 %.1f ms, last %.2f s; joined half-way: %+.2f s",
			one.first.Seconds()*1e3, one.last.Seconds(), limitedClients, median(first)*1e3, percentile(first, 0.99)*1e3, end, late-end))
		ratio, p99, after = append(ratio, end/one.last.Seconds()), append(p99, percentile(first, 0.99)*1e3), append(after, late-end)
	}
	l.say(fmt.Sprintf("medians: last byte %.3f of one client's (aim 1.05), first byte p99 %.1f ms (aim 50), who joined half-way ended %+.2f s after the others", median(ratio), median(p99), median(after)))

	if err := g.cold(l.ctx); err != nil {
		return err
	}
	tr := testenv.Strace(l, g.cmd.Process.Pid, testenv.Reads)
	if _, _, _, err := l.limitedStorm(g.file(id), 0); err != nil {
		return err
	}
	read := tr.BytesOf(filepath.Join(g.dir, "images"))
	l.say(fmt.Sprintf("origin, by strace: %d bytes of %d, %.4fx (aim 1.00)", read, l.size, float64(read)/float64(l.size)))
	return nil
}

// limitedStorm returns when each client had its first byte, when the last one had
// its last, and when one ended that joined after a while; in seconds.
func (l *lab) limitedStorm(from string, join time.Duration) (first []float64, end, late float64, err error) {
	start := time.Now()
	all := make([]times, limitedClients)
	errs := make([]error, limitedClients+1)
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() { all[i], errs[i] = receive(l.ctx, from, "", http.StatusOK, l.size) })
	}
	wg.Go(func() {
		select {
		case <-time.After(join):
		case <-l.ctx.Done():
		}
		_, errs[limitedClients] = receive(l.ctx, from, "", http.StatusOK, l.size)
		late = time.Since(start).Seconds()
	})
	wg.Wait()
	for _, t := range all {
		first = append(first, t.first.Seconds())
		end = max(end, t.last.Seconds())
	}
	return first, end, late, errors.Join(errs...)
}

// sparse: a range of 1 MiB of a cold image of 50 GiB costs the origin one chunk.
func sparse(l *lab) error {
	g := l.node("", "stores.main.cache=on")
	id, err := l.plant(g, 50<<30)
	if err != nil {
		return err
	}
	tr := testenv.Strace(l, g.cmd.Process.Pid, testenv.Reads)
	start := time.Now()
	if err := downloadRange(l.ctx, g.file(id), 33<<30+123, 1<<20); err != nil {
		return err
	}
	took := time.Since(start)
	read := tr.BytesOf(filepath.Join(g.dir, "images"))
	l.say(fmt.Sprintf("1 MiB of a cold 50 GiB image: %.1f ms; the origin gave %.2f MiB, by strace (aim: one chunk, 4 MiB)", took.Seconds()*1e3, float64(read)/(1<<20)))
	return nil
}

// plant puts an image of a sparse file into the store and the registry of a node,
// as an image that Glance wrote; uploading as much would take minutes.
func (l *lab) plant(g *glimpse, size int64) (id string, err error) {
	g.stop()
	g.process = nil
	db, err := openRegistry("sqlite:" + filepath.Join(g.dir, "registry.db"))
	if err != nil {
		return "", err
	}
	defer db.Close()
	id = "5f2e4a8c-0000-4000-8000-000000000000"
	file := filepath.Join(g.dir, "images", id)
	f, err := os.Create(file)
	if err == nil {
		err = errors.Join(f.Truncate(size), f.Close())
	}
	if err == nil {
		err = db.insert(l.ctx, id, "sparse", "admin", "public", size)
	}
	if err == nil {
		err = db.locate(l.ctx, id, "main", "file://"+file)
	}
	return id, errors.Join(err, g.restart(l.ctx))
}
