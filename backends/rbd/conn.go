//go:build ceph

package rbd

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"glimpse/backends"

	"github.com/ceph/go-ceph/rados"
	ceph "github.com/ceph/go-ceph/rbd"
)

// cluster is a connection. Ceph's client finds its way back after an outage by
// itself; one that the cluster has shut out is replaced. The last user of a
// replaced one ends it.
type cluster struct {
	conn *rados.Conn
	fsid string
	refs atomic.Int64 // the store's own is one
}

func (c *cluster) release() {
	if c.refs.Add(-1) == 0 {
		c.conn.Shutdown()
	}
}

func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// The threads of librbd, by what a connection is for; see doc.go.
const (
	forAll       = "1"
	forUnprotect = "4"
)

// configure makes a connection that is not yet made: it reads the configuration
// and no more.
func configure(c Config, threads string) (conn *rados.Conn, err error) {
	if c.User == "" {
		conn, err = rados.NewConn()
	} else {
		conn, err = rados.NewConnWithUser(c.User)
	}
	if err != nil {
		return nil, fmt.Errorf("rbd: %w", err)
	}
	if c.Conf == "" {
		err = conn.ReadDefaultConfigFile()
	} else {
		err = conn.ReadConfigFile(c.Conf)
	}
	if err != nil {
		return nil, fmt.Errorf("rbd: conf %q can't be read: %w", c.Conf, err)
	}
	for _, o := range [][2]string{
		{"client_mount_timeout", seconds(c.ConnectTimeout)},
		{"rados_mon_op_timeout", seconds(c.OpTimeout)},
		{"rados_osd_op_timeout", seconds(c.OpTimeout)},
		// What librbd would keep unwritten could fail after it was acknowledged, and
		// the bytes are cached in another place.
		{"rbd_cache", "false"},
		{"librados_thread_count", threads},
	} {
		if err := conn.SetConfigOption(o[0], o[1]); err != nil {
			return nil, fmt.Errorf("rbd: %s: %w", o[0], err)
		}
	}
	return conn, nil
}

// acquire returns the connection, making it first where there is none. The
// caller releases it.
func (s *Store) acquire(ctx context.Context) (*cluster, error) {
	if c := s.connected(); c != nil {
		return c, nil
	}
	// One caller connects, the others wait for it.
	select {
	case s.connecting <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if err := s.begin(); err != nil {
		<-s.connecting
		return nil, err
	}
	failed := make(chan error, 1)
	go func() {
		defer s.calls.Done()
		defer func() { <-s.connecting }()
		failed <- s.connect()
	}()
	select {
	case err := <-failed:
		if err != nil {
			return nil, err
		}
		return s.acquire(ctx)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// connected returns a reference to the connection, nil where there is none.
func (s *Store) connected() *cluster {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cluster != nil {
		s.cluster.refs.Add(1)
	}
	return s.cluster
}

func (s *Store) connect() error {
	if c := s.connected(); c != nil {
		c.release()
		return nil
	}
	c, err := dial(s.cfg, forAll)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cluster = c
	return nil
}

// dial makes a connection, with one reference.
func dial(cfg Config, threads string) (*cluster, error) {
	conn, err := configure(cfg, threads)
	if err != nil {
		return nil, err
	}
	if err := conn.Connect(); err != nil {
		return nil, fmt.Errorf("rbd: %w: connect: %w", backends.ErrUnavailable, err)
	}
	fsid, err := conn.GetFSID()
	if err != nil {
		conn.Shutdown()
		return nil, fmt.Errorf("rbd: %w: fsid: %w", backends.ErrUnavailable, err)
	}
	c := &cluster{conn: conn, fsid: fsid}
	c.refs.Add(1)
	return c, nil
}

// noteFailure drops a connection that the cluster has shut out, so that the next
// call makes another.
func (s *Store) noteFailure(c *cluster, err error) {
	if e := code(err); e != syscall.ESHUTDOWN && e != syscall.ENOTCONN {
		return
	}
	s.mu.Lock()
	mine := s.cluster == c
	if mine {
		s.cluster = nil
	}
	s.mu.Unlock()
	if mine {
		c.release()
	}
}

// handle is an open pool, and an image in it.
type handle struct {
	s    *Store
	c    *cluster
	pool *rados.IOContext
	img  *ceph.Image // nil: none is open
}

// pool opens a pool. It blocks.
func (s *Store) pool(c *cluster, name string) (*handle, error) {
	p, err := c.conn.OpenIOContext(name)
	if err != nil {
		s.noteFailure(c, err)
		if code(err) == syscall.ENOENT { // which is not to be taken for a missing image
			err = fmt.Errorf("rbd: %w: there is no pool %q", backends.ErrUnavailable, name)
		}
		return nil, err
	}
	c.refs.Add(1)
	return &handle{s: s, c: c, pool: p}, nil
}

// close gives all back. It may block.
func (h *handle) close() error {
	err := h.closeImage()
	h.pool.Destroy()
	h.c.release()
	return err
}

func (h *handle) closeImage() error {
	if h.img == nil {
		return nil
	}
	err := h.img.Close()
	h.img = nil
	return err
}

// open opens an image, to write to it where write is set. A snapshot of "" is the
// image as it is now.
func (h *handle) open(image, snap string, write bool) (err error) {
	if snap == "" {
		snap = ceph.NoSnapshot
	}
	if write {
		h.img, err = ceph.OpenImage(h.pool, image, snap)
	} else {
		h.img, err = ceph.OpenImageReadOnly(h.pool, image, snap)
	}
	if err != nil {
		h.img = nil
		h.s.noteFailure(h.c, err)
	}
	return err
}

// reach opens the pool of a locator. It blocks.
func (s *Store) reach(ctx context.Context, at backends.Locator) (*handle, place, error) {
	p, err := parse(at)
	if err != nil {
		return nil, place{}, err
	}
	c, err := s.acquire(ctx)
	if err != nil {
		return nil, place{}, err
	}
	defer c.release()
	if p.fsid != "" && p.fsid != c.fsid {
		return nil, place{}, errors.New("rbd: the locator is of another Ceph cluster than the store's")
	}
	if p.pool == "" {
		p.pool = s.cfg.Pool
	}
	h, err := s.pool(c, p.pool)
	return h, p, err
}
