package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
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
	_, err := receive(ctx, from, "", http.StatusOK, size)
	return err
}

// receive asks with further header lines and takes n bytes.
func receive(ctx context.Context, from, header string, status int, n int64) (at times, err error) {
	u, err := url.Parse(from)
	if err != nil {
		return at, err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return at, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	start := time.Now()
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n%sConnection: close\r\n\r\n", u.RequestURI(), u.Host, header); err != nil {
		return at, err
	}
	head := bufio.NewReaderSize(conn, 4096)
	resp, err := http.ReadResponse(head, nil)
	if err != nil {
		return at, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != status || resp.ContentLength != n {
		return at, fmt.Errorf("%s, %d bytes, want %d", resp.Status, resp.ContentLength, n)
	}
	if _, err := head.Peek(1); err != nil {
		return at, err
	}
	at.first = time.Since(start)
	got, err := drop(conn.(*net.TCPConn), n-int64(head.Buffered()))
	if got += int64(head.Buffered()); err == nil && got != n {
		err = fmt.Errorf("body ended at %d of %d", got, n)
	}
	at.last = time.Since(start)
	return at, err
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

// downloadRange reads n bytes at off and drops them in the kernel.
func downloadRange(ctx context.Context, from string, off, n int64) error {
	_, err := receive(ctx, from, fmt.Sprintf("Range: bytes=%d-%d\r\n", off, off+n-1), http.StatusPartialContent, n)
	return err
}

// times are when a body began and ended, after its request was sent.
type times struct{ first, last time.Duration }

// stormTLS is storm over TLS; the bytes have to be deciphered to be dropped.
func stormTLS(ctx context.Context, from string, clients int, size int64) error {
	g, ctx := errgroup.WithContext(ctx)
	for range clients {
		g.Go(func() error {
			tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableCompression: true}
			defer tr.CloseIdleConnections()
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
			if err != nil {
				return err
			}
			resp, err := tr.RoundTrip(r)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if n, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{resp.Body}, make([]byte, 1<<20)); err != nil || n != size {
				return fmt.Errorf("%s: %d of %d bytes: %w", resp.Status, n, size, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// selfSigned makes a certificate for loopback.
func selfSigned(dir string) (cert, key string, err error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &k.PublicKey, k)
	if err != nil {
		return "", "", err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return "", "", err
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	return cert, key, errors.Join(
		os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600))
}
