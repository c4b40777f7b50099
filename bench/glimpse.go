package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
)

// glimpse is the node under measurement.
type glimpse struct {
	*process
	binary, dir, file, config string
	api, ops                  int
}

const glimpseConfig = `data_dir: %s
listen: {api: "127.0.0.1:%d", ops: "127.0.0.1:%d"}
log: {level: warn}
cache: {memory: {size: 2GiB}, disk: {size: 0}}
`

func startGlimpse(ctx context.Context, binary, dir string) (*glimpse, error) {
	api, err := freePort()
	if err != nil {
		return nil, err
	}
	ops, err := freePort()
	if err != nil {
		return nil, err
	}
	g := &glimpse{binary: binary, dir: dir, api: api, ops: ops, file: filepath.Join(dir, "glimpse.yaml")}
	g.config = fmt.Sprintf(glimpseConfig, filepath.Join(dir, "data"), api, ops)
	if err := os.WriteFile(g.file, []byte(g.config), 0o600); err != nil {
		return nil, err
	}
	return g, g.restart(ctx)
}

// restart ends the node if it runs and starts it with an empty memory; there is
// no disk tier, so it is cold.
func (g *glimpse) restart(ctx context.Context) (err error) {
	if g.process != nil {
		g.stop()
	}
	if g.process, err = start(g.dir, g.binary, "serve", "--config", g.file); err != nil {
		return err
	}
	return waitFor(ctx, fmt.Sprintf("http://127.0.0.1:%d/readyz", g.ops))
}

func (g *glimpse) url(path string) string { return fmt.Sprintf("http://127.0.0.1:%d%s", g.api, path) }

func (g *glimpse) newImage() (string, error) {
	resp, err := http.Post(g.url("/v2/images"), "application/json",
		bytes.NewReader([]byte(`{"name": "bench", "disk_format": "raw", "container_format": "bare"}`)))
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

func (g *glimpse) deleteImage(id string) error {
	r, err := http.NewRequest(http.MethodDelete, g.url("/v2/images/"+id), nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
