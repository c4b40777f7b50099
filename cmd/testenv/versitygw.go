package testenv

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// S3Server is a real S3 server: versitygw, which keeps each bucket as a folder.
type S3Server struct {
	URL            string
	Access, Secret string
	Data           string // has a folder for each bucket, and in it a file for each object

	p *process
}

var startVersitygw = sync.OnceValues(func() (*S3Server, error) { return newVersitygw() })

// Versitygw returns the process's one versitygw.
func Versitygw(t testing.TB) *S3Server {
	t.Helper()
	Need(t, "versitygw")
	s, err := startVersitygw()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// VersitygwTLS starts one that speaks TLS, with the PEM files of a certificate
// for 127.0.0.1 and its key. It ends with the process.
func VersitygwTLS(t testing.TB, cert, key string) *S3Server {
	t.Helper()
	Need(t, "versitygw")
	s, err := newVersitygw("--cert", cert, "--key", key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newVersitygw(flags ...string) (*S3Server, error) {
	dir, err := os.MkdirTemp("", "glimpse-versitygw-")
	if err != nil {
		return nil, err
	}
	AtExit(func() { _ = os.RemoveAll(dir) })
	s := &S3Server{Access: "IMGACCESS", Secret: "IMGSECRET/with/slashes", Data: filepath.Join(dir, "data")}
	for _, d := range []string{s.Data, filepath.Join(dir, "iam")} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return nil, err
		}
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	args := append([]string{
		"--port", addr, "--access", s.Access, "--secret", s.Secret, "--region", "us-east-1",
		"--quiet", "--keep-alive", "--iam-dir", filepath.Join(dir, "iam"),
	}, flags...)
	s.URL = "http://" + addr
	if len(flags) > 0 {
		s.URL = "https://" + addr
	}
	if s.p, err = launch(filepath.Join(dir, "versitygw.log"), nil, "versitygw", append(args, "posix", s.Data)...); err != nil {
		return nil, err
	}
	AtExit(func() { s.p.end(syscall.SIGTERM) })
	return s, s.p.listens(addr, 20*time.Second)
}

// listens waits until something takes connections at addr, or the process has
// ended.
func (p *process) listens(addr string, within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.done:
			return fmt.Errorf("the server ended: %s", p.output())
		case <-ctx.Done():
			return fmt.Errorf("nothing listens at %s: %s", addr, p.output())
		case <-time.After(30 * time.Millisecond):
		}
	}
}
