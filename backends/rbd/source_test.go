//go:build ceph

package rbd

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"glimpse/backends"
	"glimpse/backends/backendtest"
	"glimpse/cmd/testenv"
)

func TestReadsShareAnOpenImage(t *testing.T) {
	s := fresh(t, nil)
	data := backendtest.Bytes(3 << 20)
	at := backendtest.Put(t, s, "shared", data, -1)
	shared := func() *source {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.sources[at]
	}
	read := func() {
		t.Helper()
		if got := readAll(t, s, at); !bytes.Equal(got, data) {
			t.Fatalf("%d other bytes", len(got))
		}
		s.calls.Wait()
	}
	read()
	first := shared()
	if first == nil || first.users != 0 {
		t.Fatalf("after a read: %+v", first)
	}
	r, err := s.Open(t.Context(), at, "", 0, -1)
	must(t, err)
	if first.users != 1 {
		t.Errorf("a second read opened it anew: %+v", first)
	}
	s.expire(first) // does nothing, for it is read
	got, err := io.ReadAll(r)
	must(t, errors.Join(err, r.Close()))
	if !bytes.Equal(got, data) {
		t.Errorf("%d other bytes over the end of its time", len(got))
	}
	s.calls.Wait()
	s.expire(first)
	if shared() != nil {
		t.Error("it is not closed when its time is over")
	}
	read()
	if shared() == first {
		t.Error("a closed image is used")
	}

	// What another removes, and makes anew under the name, is seen at once.
	other, err := Open(config(testenv.Ceph(t)))
	must(t, err)
	t.Cleanup(func() { must(t, other.Close()) })
	info, err := s.Stat(t.Context(), at)
	must(t, err)
	must(t, other.Delete(t.Context(), at))
	if _, err := s.Open(t.Context(), at, info.Validator, 0, 1); !errors.Is(err, backends.ErrNotFound) {
		t.Errorf("a removed image: %v", err)
	}
	data = backendtest.Bytes(5 << 20)
	backendtest.Put(t, other, "shared", data, -1)
	if _, err := s.Open(t.Context(), at, info.Validator, 0, 1); !errors.Is(err, backends.ErrChanged) {
		t.Errorf("another image: %v", err)
	}
	read()
}
