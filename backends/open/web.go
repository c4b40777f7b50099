package open

import (
	"context"

	"glimpse/backends"
	"glimpse/backends/web"
)

// Web holds the keys of type http.
type Web struct {
	CAFile       string   `yaml:"ca_file"`
	Insecure     bool     `yaml:"insecure"`
	Proxy        string   `yaml:"proxy"`
	AllowedHosts []string `yaml:"allowed_hosts"`
}

// Resolve finds the certificates beside the configuration.
func (w *Web) Resolve(d Dirs) error {
	w.CAFile = Under(d.Config, w.CAFile)
	return nil
}

// Open makes the store.
func (w *Web) Open(_ context.Context, _ string, c Common) (backends.Store, error) {
	return web.Open(web.Config{CAFile: w.CAFile, Insecure: w.Insecure, Proxy: w.Proxy, AllowedHosts: w.AllowedHosts, Timeout: c.Timeout})
}

// Properties are none.
func (w *Web) Properties() map[string]any { return nil }
