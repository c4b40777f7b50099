package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// glimpse is a node under measurement.
type glimpse struct {
	*process
	binary, dir string
	sets        []string
	api, ops    int
	token       string
	base        string // of the API, where it is another server's; empty: the node's own
}

// node starts a node with a data folder of its own; sets are configuration keys.
func (l *lab) node(name string, sets ...string) *glimpse {
	g := &glimpse{binary: l.binary, dir: filepath.Join(l.TempDir(), "data"), sets: sets}
	var err error
	if g.api, err = freePort(); err == nil {
		g.ops, err = freePort()
	}
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() {
		if g.process != nil {
			g.stop()
		}
	})
	l.say("glimpse " + name + ": " + strings.Join(sets, " "))
	if err := g.restart(l.ctx); err != nil {
		l.Fatal(err)
	}
	return g
}

// restart ends the node if it runs and starts it again, with an empty memory.
func (g *glimpse) restart(ctx context.Context) (err error) {
	if g.process != nil {
		g.stop()
	}
	if err := os.MkdirAll(g.dir, 0o750); err != nil {
		return err
	}
	args := []string{"serve"}
	for _, s := range append([]string{
		"data_dir=" + g.dir, "log.level=warn", "listen.api=127.0.0.1:" + strconv.Itoa(g.api), "listen.ops=127.0.0.1:" + strconv.Itoa(g.ops),
	}, g.sets...) {
		args = append(args, "--set", s)
	}
	if g.process, err = start(g.dir, g.binary, args...); err != nil {
		return err
	}
	return waitFor(ctx, fmt.Sprintf("http://127.0.0.1:%d/readyz", g.ops))
}

// cold restarts the node without the folder of its cache.
func (g *glimpse) cold(ctx context.Context) error {
	if g.process != nil {
		g.stop()
		g.process = nil
	}
	if err := os.RemoveAll(filepath.Join(g.dir, "cache")); err != nil {
		return err
	}
	return g.restart(ctx)
}

func (g *glimpse) url(path string) string {
	if g.base != "" {
		return g.base + path
	}
	return fmt.Sprintf("http://127.0.0.1:%d%s", g.api, path)
}

func (g *glimpse) file(id string) string { return g.url("/v2/images/" + id + "/file") }

func (g *glimpse) newImage(ctx context.Context) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url("/v2/images"),
		bytes.NewReader([]byte(`{"name": "bench", "disk_format": "raw", "container_format": "bare"}`)))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/json")
	if g.token != "" {
		r.Header.Set("X-Auth-Token", g.token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var m struct {
		ID string `json:"id"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&m); err != nil || resp.StatusCode != http.StatusCreated {
		return "", fmt.Errorf("create: %s %w", resp.Status, err)
	}
	return m.ID, nil
}

// stored uploads a file and returns the image's id.
func (l *lab) stored(g *glimpse, file string) string {
	id, err := g.newImage(l.ctx)
	if err == nil {
		err = put(l.ctx, g.file(id), file)
	}
	if err != nil {
		l.Fatal(err)
	}
	return id
}
