package main

import (
	"crypto/md5"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"lukechampine.com/blake3"

	"glimpse/cmd/testenv"
)

// cost is what one GiB takes.
type cost struct{ wall, cpu float64 }

// upload: an image of twice the size is uploaded, beside Glance, and beside what
// its parts cost when they are done alone: that bounds what can be reached.
func upload(l *lab) error {
	image := l.image(2 * l.size)
	gib := float64(2*l.size) / (1 << 30)
	g, cached := l.node(""), l.node("", "stores.main.cache=on")
	folder := l.TempDir()
	dsn := testenv.MariaDB(l)
	testenv.GlanceDB(l, dsn)
	glance := testenv.Glance(l, dsn, folder)
	api := &glanceServer{url: glance.URL(""), pid: glance.PID()}
	var id string
	again := func(s interface{ newID(*lab) (string, error) }) func() error {
		return func() (err error) { id, err = s.newID(l); return err }
	}
	err := l.race("GiB", gib,
		variant{name: "glance-api", server: api, before: again(api), do: func() error { return put(l.ctx, api.url+"/v2/images/"+id+"/file", image) }},
		variant{name: "glimpse", goal: "cpu 0.85", server: g, before: again(g), do: func() error { return put(l.ctx, g.file(id), image) }},
		variant{name: "glimpse, also kept on disk", server: cached, before: again(cached), do: func() error { return put(l.ctx, cached.file(id), image) }})
	if err != nil {
		return err
	}

	var parts []cost
	for _, p := range []struct {
		name string
		run  func(*lab, string) error
	}{{"receive", receiveBody}, {"md5", hashing(md5.New().Write)}, {"sha512", hashing(sha512.New().Write)}, {"BLAKE3", hashing(blake3.New(32, nil).Write)}, {"write and sync", writing}} {
		c, err := costOf(func() error { return p.run(l, image) })
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		parts = append(parts, cost{c.wall / gib, c.cpu / gib})
		l.say(fmt.Sprintf("alone: %-14s %.3f s, %.3f cpu s per GiB", p.name, c.wall/gib, c.cpu/gib))
	}
	sum := 0.0
	for _, c := range parts {
		sum += c.cpu
	}
	best := min(1/parts[1].wall, 1/parts[4].wall, float64(runtime.NumCPU())/sum)
	l.say(fmt.Sprintf("bound: min(one md5 core %.2f, disk %.2f, %d cores / %.2f cpu s = %.2f) = %.2f GiB/s; the client (curl's like, in bench) runs on the same cores (aim 0.9 of it)",
		1/parts[1].wall, 1/parts[4].wall, runtime.NumCPU(), sum, float64(runtime.NumCPU())/sum, best))
	return nil
}

func (g *glimpse) newID(l *lab) (string, error) { return g.newImage(l.ctx) }

// glanceServer is a real glance-api.
type glanceServer struct {
	url string
	pid int
}

func (s *glanceServer) pids() ([]int, error) { return family(s.pid) }

func (s *glanceServer) newID(l *lab) (string, error) {
	return (&glimpse{base: s.url}).newImage(l.ctx)
}

// costOf is the wall and the processor time of this process while do runs.
func costOf(do func() error) (cost, error) {
	var before, after syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
		return cost{}, err
	}
	start := time.Now()
	err := do()
	wall := time.Since(start)
	if e := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err == nil {
		err = e
	}
	spent := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	return cost{wall.Seconds(), float64(spent) / 1e9}, err
}

// receiveBody takes an upload by curl and drops it.
func receiveBody(l *lab, image string) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	srv := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{r.Body}, make([]byte, 1<<20))
		done <- err
	})}
	defer srv.Close()
	go func() { _ = srv.Serve(ln) }() // ends with Close
	if out, err := exec.CommandContext(l.ctx, "curl", "-sS", "-T", image, "http://"+ln.Addr().String()+"/").CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return <-done
}

// hashing feeds a hash from memory, as often as the image is long.
func hashing(write func([]byte) (int, error)) func(*lab, string) error {
	return func(l *lab, _ string) error {
		b := make([]byte, 4<<20)
		for n := int64(0); n < 2*l.size; n += int64(len(b)) {
			if _, err := write(b); err != nil {
				return err
			}
		}
		return nil
	}
}

// writing writes as much as the image and makes it durable.
func writing(l *lab, _ string) error {
	f, err := os.Create(filepath.Join(l.TempDir(), "written"))
	if err != nil {
		return err
	}
	b := make([]byte, 4<<20)
	b[0] = 1
	for n := int64(0); n < 2*l.size && err == nil; n += int64(len(b)) {
		_, err = f.Write(b)
	}
	return errors.Join(err, f.Sync(), f.Close())
}
