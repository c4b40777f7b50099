package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// writeRandom makes a file that no zero detection or compression can shorten.
func writeRandom(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := io.CopyN(f, rand.Reader, size); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// put sends the file as an upload's body.
func put(ctx context.Context, to, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, to, f)
	if err != nil {
		return err
	}
	r.ContentLength = st.Size()
	r.Header.Set("Content-Type", "application/octet-stream")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s", resp.Status, b)
	}
	return nil
}

// storm downloads from as many clients at once and checks every length.
func storm(ctx context.Context, from string, clients int, size int64) error {
	g, ctx := errgroup.WithContext(ctx)
	for range clients {
		g.Go(func() error { return download(ctx, from, size) })
	}
	return g.Wait()
}

// download reads one body and drops its bytes in the kernel.
func download(ctx context.Context, from string, size int64) error {
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
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", u.RequestURI(), u.Host); err != nil {
		return err
	}
	head := bufio.NewReaderSize(conn, 4096)
	resp, err := http.ReadResponse(head, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.ContentLength != size {
		return fmt.Errorf("%s, %d bytes, want %d", resp.Status, resp.ContentLength, size)
	}
	got, err := drop(conn.(*net.TCPConn), size-int64(head.Buffered()))
	if got += int64(head.Buffered()); err == nil && got != size {
		err = fmt.Errorf("body ended at %d of %d", got, size)
	}
	return err
}

// drop receives up to n bytes with MSG_TRUNC, which discards them in the kernel.
func drop(conn *net.TCPConn, n int64) (got int64, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	buf := make([]byte, 1<<20) // never written: only its length counts
	for got < n {
		var k int
		var rerr error
		if err := raw.Read(func(fd uintptr) bool {
			k, _, rerr = unix.Recvfrom(int(fd), buf[:min(int64(len(buf)), n-got)], unix.MSG_TRUNC)
			return rerr != unix.EAGAIN
		}); err != nil {
			return got, err
		}
		if rerr == unix.EINTR {
			continue
		}
		if rerr != nil || k == 0 {
			return got, rerr
		}
		got += int64(k)
	}
	return got, nil
}

// gets sends n small requests over 32 kept connections.
func gets(ctx context.Context, from string, n int) error {
	const conns = 32
	tr := &http.Transport{MaxIdleConnsPerHost: conns, MaxConnsPerHost: conns, DisableCompression: true}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr, Timeout: 10 * time.Second}
	work := make(chan struct{}, n)
	for range n {
		work <- struct{}{}
	}
	close(work)
	g, ctx := errgroup.WithContext(ctx)
	for range conns {
		g.Go(func() error {
			for range work {
				if err := get(ctx, client, from); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func get(ctx context.Context, client *http.Client, from string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// cpuSeconds is the user and system time of a process and its children that
// still run, from /proc (ticks of 10 ms).
func cpuSeconds(pids []int) (total float64, err error) {
	for _, pid := range pids {
		b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			return 0, err
		}
		f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:]) // the name may hold spaces
		for _, i := range []int{11, 12} {
			n, err := strconv.ParseFloat(string(f[i]), 64)
			if err != nil {
				return 0, err
			}
			total += n / 100
		}
	}
	return total, nil
}
