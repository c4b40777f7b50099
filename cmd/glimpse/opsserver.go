package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"glimpse/cmd/glimpse/config"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// opsServer is the operator's listener: metrics, health, profiles and the operator
// API. It is net/http, for nothing here is hot. Who reaches it may do all: it is on
// loopback, a unix socket with a mode, or wants a client certificate.
type opsServer struct {
	http *http.Server
	ln   net.Listener
}

// newOpsServer listens; ready says why the node is not ready, or nil.
func newOpsServer(ctx context.Context, c config.Config, reg *prometheus.Registry, ready func(context.Context) error, cl *clusterNode) (*opsServer, error) {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := ready(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Write([]byte("ready\n"))
	})
	if cl != nil {
		cl.handle(mux, c.Cluster.Label)
	}
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	ln, err := listenOps(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("listen.ops: %w", err)
	}
	return &opsServer{ln: ln, http: &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}}, nil
}

// listenOps opens the listener that the configuration says.
func listenOps(ctx context.Context, c config.Config) (net.Listener, error) {
	var lc net.ListenConfig
	if path, ok := c.OpsSocket(); ok {
		if err := removeStale(ctx, path); err != nil {
			return nil, err
		}
		return listenUnix(ctx, path)
	}
	t := c.Listen.OpsTLS
	if t.ClientCA == "" {
		return lc.Listen(ctx, "tcp", c.Listen.Ops)
	}
	conf, err := serverTLS(t.Cert, t.Key, t.ClientCA)
	if err != nil {
		return nil, err
	}
	ln, err := lc.Listen(ctx, "tcp", c.Listen.Ops)
	if err != nil {
		return nil, err
	}
	return tls.NewListener(ln, conf), nil
}

// listenUnix makes a socket for its owner and his group. It gets its name when it has
// its mode: until then nobody else can come to it.
func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	hidden, err := os.MkdirTemp(filepath.Dir(path), ".ops-") // of mode 0700
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(hidden)
	var lc net.ListenConfig
	made := filepath.Join(hidden, "s")
	ln, err := lc.Listen(ctx, "unix", made)
	if err != nil {
		return nil, err
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	if err = os.Chmod(made, 0o660); err == nil {
		err = os.Rename(made, path)
	}
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return unixListener{ln, path}, nil
}

// unixListener takes its socket away when it closes.
type unixListener struct {
	net.Listener
	path string
}

func (l unixListener) Close() error {
	if err := l.Listener.Close(); err != nil {
		return err // once is enough
	}
	return os.Remove(l.path)
}

// removeStale removes a socket that a process which is gone has left. Nothing else
// that lies there is touched.
func removeStale(ctx context.Context, path string) error {
	switch st, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case st.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is there, and is no socket", path)
	}
	var d net.Dialer
	other, err := d.DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		return errors.Join(fmt.Errorf("%s is another process's", path), other.Close())
	case !errors.Is(err, syscall.ECONNREFUSED): // it may be there, and busy
		return err
	}
	return os.Remove(path)
}

// serve runs until close.
func (o *opsServer) serve() error {
	if err := o.http.Serve(o.ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (o *opsServer) close() error { return errors.Join(o.http.Close(), ignoreClosed(o.ln.Close())) }

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
