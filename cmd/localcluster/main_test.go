package main

import (
	"bytes"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"glimpse/cmd/testenv"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	testenv.Main(m, goleak.IgnoreAnyFunction("glimpse/cmd/testenv.launch.func1")) // it waits for a server's end
}

// What it prints is there: an image that comes in by one node goes out by another.
func TestAnImageGoesInHereAndOutThere(t *testing.T) {
	testenv.Need(t, "mariadbd", "mariadb-install-db")
	var out bytes.Buffer
	err := run(t.Context(), &out, func(nodes []*testenv.Node) {
		create, err := http.Post(nodes[0].URL("/v2/images"), "application/json", strings.NewReader(`{"disk_format": "raw", "container_format": "bare"}`))
		if err != nil {
			t.Error(err)
			return
		}
		body, _ := io.ReadAll(create.Body)
		create.Body.Close()
		id := regexp.MustCompile(`"id": *"([^"]+)"`).FindSubmatch(body)
		if id == nil {
			t.Errorf("%s: %s", create.Status, body)
			return
		}
		file := "/v2/images/" + string(id[1]) + "/file"
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, nodes[1].URL(file), strings.NewReader("bytes"))
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("Content-Type", "application/octet-stream")
		put, err := http.DefaultClient.Do(req)
		if err != nil || put.StatusCode != http.StatusNoContent {
			t.Errorf("upload: %v, %v", put, err)
			return
		}
		put.Body.Close()
		get, err := http.Get(nodes[2].URL(file))
		if err != nil {
			t.Error(err)
			return
		}
		defer get.Body.Close()
		if got, err := io.ReadAll(get.Body); err != nil || string(got) != "bytes" {
			t.Errorf("%s: %q, %v", get.Status, got, err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	if err != nil {
		t.Error(err)
	}
	if n := strings.Count(out.String(), "http://127.0.0.1:"); n < 8 {
		t.Errorf("it prints:\n%s", out.String())
	}
}
