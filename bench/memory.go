package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
)

// crowd: what memory a node takes for many slow streams, and for idle clients.
func crowd(l *lab) error {
	const downloads, uploads, idle = 200, 20, 10_000
	const memory = 256 << 20
	g := l.node("", "cache.memory.size="+strconv.Itoa(memory), "stores.main.cache=on")
	id, err := l.plant(g, 10<<30)
	if err != nil {
		return err
	}
	before, err := g.rss()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	eg, ctx := errgroup.WithContext(ctx)
	for range downloads {
		eg.Go(func() error { return ended(ctx, slowDownload(ctx, g.file(id))) })
	}
	for range uploads {
		id, err := g.newImage(ctx)
		if err != nil {
			return err
		}
		eg.Go(func() error { return ended(ctx, slowUpload(ctx, g.file(id))) })
	}
	var peak int64
	var watchErr error
	for start := time.Now(); time.Since(start) < 60*time.Second && ctx.Err() == nil; time.Sleep(time.Second) {
		n, err := g.rss()
		watchErr = err
		peak = max(peak, n)
	}
	cancel()
	if err := eg.Wait(); err != nil || watchErr != nil {
		return fmt.Errorf("%w, %w", err, watchErr)
	}
	bound := int64(memory + 64<<20 + (downloads+uploads)*256<<10)
	l.say(fmt.Sprintf("%d downloads and %d uploads of 10 GiB at 2.5 MB/s each, 60 s: at most %d MiB resident (aim %d = cache %d + 64 + 256 KiB a stream; idle before %d)",
		downloads, uploads, peak>>20, bound>>20, memory>>20, before>>20))

	if err := g.restart(l.ctx); err != nil {
		return err
	}
	conns, err := connect(l.ctx, g, idle)
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	if err != nil {
		return err
	}
	n, err := g.rss()
	l.say(fmt.Sprintf("%d idle keep-alive clients: %d MiB resident (aim 300)", len(conns), n>>20))
	return err
}

// ended forgives what the end of the measurement broke.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// pause paces a stream: 256 KiB ten times a second.
const pause, portion = 100 * time.Millisecond, 256 << 10

func slowDownload(ctx context.Context, from string) error {
	u, err := url.Parse(from)
	if err != nil {
		return err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", u.RequestURI()); err != nil {
		return err
	}
	for {
		if n, err := drop(conn.(*net.TCPConn), portion); err != nil || n < portion {
			return fmt.Errorf("a download ended: %w", err)
		}
		time.Sleep(pause)
	}
}

// slowUpload sends zeros as a body of unknown length.
func slowUpload(ctx context.Context, to string) error {
	r, w := io.Pipe()
	defer r.Close()
	go func() {
		b := make([]byte, portion)
		for {
			if _, err := w.Write(b); err != nil {
				return
			}
			time.Sleep(pause)
		}
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, to, r)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	return fmt.Errorf("an upload ended: %s", resp.Status)
}

// connect opens connections that have been used once.
func connect(ctx context.Context, g *glimpse, n int) (conns []net.Conn, err error) {
	var d net.Dialer
	buf := make([]byte, 4096)
	for range n {
		c, err := d.DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", g.api))
		if err != nil {
			return conns, err
		}
		conns = append(conns, c)
		if _, err := fmt.Fprintf(c, "GET /healthcheck HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			return conns, err
		}
		if _, err := c.Read(buf); err != nil {
			return conns, err
		}
	}
	return conns, nil
}

// rss is what the node has resident, in bytes.
func (g *glimpse) rss() (int64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", g.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if v, ok := bytes.CutPrefix(s.Bytes(), []byte("VmRSS:")); ok {
			kb, err := strconv.ParseInt(string(bytes.Fields(v)[0]), 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("no VmRSS")
}
