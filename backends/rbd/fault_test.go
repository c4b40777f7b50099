//go:build ceph

package rbd

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glimpse/backends"
	"glimpse/backends/backendtest"
	"glimpse/cmd/testenv"
)

// impatient gives up after a second.
func impatient(c *Config) { c.OpTimeout, c.ConnectTimeout = time.Second, 2*time.Second }

func TestAnOSDThatHangs(t *testing.T) {
	c := testenv.Ceph(t)
	s := fresh(t, impatient)
	data := backendtest.Bytes(4 << 20)
	at := backendtest.Put(t, s, "there", data, -1)
	w, err := s.Create(t.Context(), "under-way", -1)
	must(t, err)
	_, err = w.Write(data)
	must(t, err)
	r, err := s.Open(t.Context(), at, "", 0, -1)
	must(t, err)
	_, err = io.ReadFull(r, make([]byte, 10))
	must(t, err)

	c.PauseOSD()
	t.Cleanup(c.ResumeOSD)
	faults := 0
	fails := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, backends.ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
			return
		}
		faults++
	}
	began := time.Now()
	_, err = s.Stat(t.Context(), at)
	fails("Stat", err)
	_, err = io.Copy(io.Discard, r)
	fails("Read", err)
	must(t, r.Close())
	fails("Delete", s.Delete(t.Context(), at))
	_, err = s.InUse(t.Context(), at)
	fails("InUse", err)
	_, err = s.Create(t.Context(), "new", 1)
	fails("Create", err)
	for err = nil; err == nil; {
		_, err = w.Write(data)
	}
	fails("Write", err)
	fails("Cancel", w.Cancel())
	t.Logf("%d calls failed in %v", faults, time.Since(began))
	if faults == 0 {
		t.Fatal("no fault fired")
	}
	if d := time.Since(began); d > time.Minute {
		t.Errorf("that took %v", d)
	}
	// Who gives up does not wait for the timeout.
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("given up"))
	if _, err := s.Stat(ctx, at); err == nil || err.Error() != "given up" {
		t.Errorf("got %v", err)
	}

	c.ResumeOSD()
	if got := eventually(t, s, at); !bytes.Equal(got, data) {
		t.Errorf("%d other bytes after the outage", len(got))
	}
	// The reaper finds what the outage left.
	for ctx, end := context.WithTimeout(t.Context(), 2*time.Minute); ; {
		if err = s.Abort(ctx, w.Locator()); err == nil || ctx.Err() != nil {
			end()
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	must(t, err)
	left := 0
	must(t, s.Pending(t.Context(), func(backends.Locator, time.Time) error { left++; return nil }))
	if left != 0 {
		t.Errorf("%d uploads left", left)
	}
	backendtest.Put(t, s, "after", data, -1)
}

// eventually reads an image once the cluster answers again.
func eventually(t *testing.T, s *Store, at backends.Locator) []byte {
	t.Helper()
	ctx, end := context.WithTimeout(t.Context(), 2*time.Minute)
	defer end()
	for {
		_, err := s.Stat(ctx, at)
		if err == nil {
			return readAll(t, s, at)
		}
		if !errors.Is(err, backends.ErrUnavailable) {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func TestAClusterThatIsAwayAtTheStart(t *testing.T) {
	c := testenv.Ceph(t)
	s := fresh(t, nil)
	at := backendtest.Put(t, s, "x", []byte("x"), 1)
	c.PauseMonitor()
	t.Cleanup(c.ResumeMonitor)
	late, err := Open(Config{Conf: c.Conf, Pool: c.Pool, ConnectTimeout: time.Second, OpTimeout: 5 * time.Second})
	must(t, err)
	t.Cleanup(func() { must(t, late.Close()) })
	if _, err := late.Stat(t.Context(), at); !errors.Is(err, backends.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	c.ResumeMonitor()
	if got := eventually(t, late, at); string(got) != "x" {
		t.Errorf("got %q", got)
	}
}

func TestAConnectionThatIsShutOutIsMadeAgain(t *testing.T) {
	c := testenv.Ceph(t)
	s := fresh(t, nil)
	at := backendtest.Put(t, s, "x", []byte("x"), 1)
	before, err := s.acquire(t.Context())
	must(t, err)
	before.release()
	watch := uploadUnderWay(t, s)
	out, err := c.Command("osd", "blocklist", "add", watch)
	if err != nil {
		t.Fatal(err, out)
	}
	if got := eventually(t, s, at); string(got) != "x" {
		t.Errorf("got %q", got)
	}
	after, err := s.acquire(t.Context())
	must(t, err)
	after.release()
	if after == before {
		t.Error("the connection is the old one")
	}
}

// uploadUnderWay begins an upload and returns the address from which it is written.
func uploadUnderWay(t *testing.T, s *Store) (address string) {
	t.Helper()
	w, err := s.Create(t.Context(), "shut-out", 1)
	must(t, err)
	_, err = w.Write([]byte("x"))
	must(t, err)
	t.Cleanup(func() { _ = w.Cancel() }) // which has to fail
	own := w.(*writer)
	must(t, own.ask(t.Context(), func() error {
		watchers, err := own.up.h.img.ListWatchers()
		if err == nil {
			address = watchers[0].Addr
		}
		return err
	}))
	return address
}

func TestWrongConfigurationsAreTold(t *testing.T) {
	c := testenv.Ceph(t)
	if _, err := Open(Config{Conf: filepath.Join(t.TempDir(), "none")}); err == nil || !strings.Contains(err.Error(), "conf") {
		t.Errorf("no conf: %v", err)
	}
	at := backendtest.Put(t, fresh(t, nil), "x", []byte("x"), 1)
	s := fresh(t, nil)
	p, err := parse(at)
	must(t, err)
	other := p
	other.fsid = "00000000-0000-0000-0000-000000000000"
	if _, err := s.Stat(t.Context(), other.locator()); err == nil || !strings.Contains(err.Error(), "another Ceph cluster") {
		t.Errorf("another cluster: %v", err)
	}
	other = p
	other.pool = "nowhere"
	if _, err := s.Stat(t.Context(), other.locator()); errors.Is(err, backends.ErrNotFound) || !errors.Is(err, backends.ErrUnavailable) {
		t.Errorf("a pool that is not there: %v", err)
	}
	conf, err := os.ReadFile(c.Conf)
	must(t, err)
	file := filepath.Join(t.TempDir(), "ceph.conf")
	must(t, os.WriteFile(file, bytes.ReplaceAll(conf, []byte("admin.keyring"), []byte("no.keyring")), 0o600))
	bad, err := Open(Config{Conf: file})
	must(t, err)
	t.Cleanup(func() { must(t, bad.Close()) })
	if _, err := bad.Stat(t.Context(), at); err == nil || !strings.Contains(err.Error(), "connect") {
		t.Errorf("no keyring: %v", err)
	}
}
