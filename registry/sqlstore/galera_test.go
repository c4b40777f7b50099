package sqlstore

import (
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"glimpse/cmd/testenv"
	"glimpse/registry"
	"glimpse/registry/registrytest"
)

// The kit holds where every operation goes to another server of a Galera cluster
// than the one before it: what was written is read at once, and transactions that
// meet on two servers are tried again.
func TestConformanceOverGalera(t *testing.T) {
	cluster := testenv.Galera(t)
	registrytest.Run(t, func(t *testing.T, lease time.Duration) registry.Registry {
		db := ready(t, Config{URL: turning(t, cluster.Database(t)), UploadLease: lease})
		db.pool.SetMaxIdleConns(-1) // a connection for each operation
		return db
	})
}

// turning is the address of a way to several servers, each connection to the next
// one.
func turning(t *testing.T, dsns []string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { join(c, hostOf(t, dsns[i%len(dsns)])) })
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return strings.Replace(dsns[0], hostOf(t, dsns[0]), ln.Addr().String(), 1)
}

func hostOf(t *testing.T, dsn string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		t.Error(err)
		return ""
	}
	return u.Host
}

// join passes bytes between a connection and a server.
func join(c net.Conn, to string) {
	defer c.Close()
	s, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer s.Close()
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = io.Copy(s, c); s.Close() })
	_, _ = io.Copy(c, s)
	c.Close()
	wg.Wait()
}
