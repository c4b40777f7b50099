package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
)

// oneImage is a server of one image, as a Glance is one.
func oneImage(t *testing.T, data []byte) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/images", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"images": [{"id": "x", "status": "active", "size": %d}]}`, len(data))
	})
	mux.HandleFunc("GET /v2/images/x/file", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) })
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// Both names of the standard output mean it, and are never replaced by a file.
func TestPullToTheStandardOutput(t *testing.T) {
	data := bytes.Repeat([]byte("data"), 1000)
	s := oneImage(t, data)
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
