package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"glimpse/cmd/glimpse/imageapi"
)

// oneImage is a server of one image, as a Glance is one, that gives it in two parts.
func oneImage(t *testing.T, data []byte, between time.Duration) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/images", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"images": [{"id": "x", "status": "active", "size": %d}]}`, len(data))
	})
	mux.HandleFunc("GET /v2/images/x/file", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(data[:len(data)/2])
		w.(http.Flusher).Flush()
		time.Sleep(between)
		_, _ = w.Write(data[len(data)/2:])
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// Both names of the standard output mean it, and are never replaced by a file.
func TestPullToTheStandardOutput(t *testing.T) {
	data := bytes.Repeat([]byte("data"), 1000)
	s := oneImage(t, data, 0)
	for _, name := range []string{"-", "/dev/stdout"} {
		code, out, _ := ran("pull", "-q", "--endpoint", s.URL, "x", name)
		if code != 0 || out != string(data) {
			t.Errorf("%s: ended with %d, and gave %d bytes", name, code, len(out))
		}
		terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer terminal.Close()
		c := pullCmd{Image: "x", File: name, Streams: 1, Nodes: 1, Stall: 1, GiveUp: 1}
		if code := exitCode(c.Run(t.Context(), terminal)); code != 2 {
			t.Errorf("%s: to a terminal ends with %d", name, code)
		}
	}
}

// said returns what is written to the standard error.
func said(t *testing.T, do func()) string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	was := os.Stderr
	os.Stderr = f
	defer func() { os.Stderr = was }()
	do()
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Beside a terminal there is no bar: one line says what was done.
func TestABarIsForATerminal(t *testing.T) {
	s := oneImage(t, bytes.Repeat([]byte("data"), 1000), 300*time.Millisecond) // a bar is drawn now and then only
	text := said(t, func() {
		if code, _, errs := ran("pull", "--endpoint", s.URL, "x", filepath.Join(t.TempDir(), "out")); code != 0 || errs != "" {
			t.Errorf("ended with %d: %s", code, errs)
		}
	})
	if strings.Count(text, "\n") != 1 || strings.ContainsAny(text, "\r\x1b") || !strings.HasPrefix(text, "x: ") {
		t.Errorf("%q", text)
	}
}

// A disk that is full is told of, and is no fault of the service.
func TestAFullDisk(t *testing.T) {
	s := oneImage(t, bytes.Repeat([]byte("data"), 1000), 0)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	c := pullCmd{apiFlags: apiFlags{Endpoint: s.URL, Quiet: true}, Image: "x", File: "-", Streams: 1, Nodes: 1, Stall: 1e9, GiveUp: 1e9}
	if err := c.Run(t.Context(), full); exitCode(err) != 1 || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("%v", err)
	}
}

// Every way in which a command is told to end lets it clean up, but for what it was
// started to ignore.
func TestSignals(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		err := apiFlags{Endpoint: "http://127.0.0.1:1"}.withAPI(t.Context(), func(ctx context.Context, _ *imageapi.Session) error {
			if err := syscall.Kill(os.Getpid(), sig); err != nil {
				return err
			}
			<-ctx.Done()
			return ctx.Err()
		})
		if exitCode(err) != 130 {
			t.Errorf("%v: %v", sig, err)
		}
	}
	signal.Ignore(syscall.SIGHUP)
	defer signal.Reset(syscall.SIGHUP)
	if list := interrupts(); slices.Contains(list, os.Signal(syscall.SIGHUP)) || len(list) != 2 {
		t.Errorf("%v", list)
	}
}
