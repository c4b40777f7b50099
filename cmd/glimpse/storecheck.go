package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"glimpse/backends"
	"glimpse/proxy/ops"
)

type storeCheck struct {
	configFlags
	Stores []string `arg:"" optional:"" help:"Ids of stores; all where none is named."`
}

// probeSize is what is written: more than a chunk, and no whole number of blocks.
const probeSize = 5<<20 + 3

// checkTime bounds the check of one store.
const checkTime = 2 * time.Minute

func (c storeCheck) Run(ctx context.Context, out io.Writer) error {
	return c.withStores(ctx, func(ctx context.Context, w *workshop) error {
		list, err := w.named(c.Stores)
		if err != nil {
			return err
		}
		t := newTable(out, "store", "type", "result", "took", "half-done uploads")
		failed := 0
		for _, st := range list {
			start := time.Now()
			half, result := check(ctx, st)
			if result != nil {
				failed++
			}
			t.AppendRow([]any{st.ID, st.Type, verdict(st, result), time.Since(start).Round(time.Millisecond), half})
		}
		t.Render()
		if failed > 0 {
			return fmt.Errorf("%d of %d stores failed", failed, len(list))
		}
		return nil
	})
}

func verdict(st ops.Store, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case writable(st):
		return "written, read, deleted"
	}
	return "read-only: nothing was tried"
}

func writable(st ops.Store) bool { return !st.ReadOnly && !st.Backend.Caps().ReadOnly }

// check counts what uploads have left half done, then writes an object of its
// own, reads a part of it, and deletes it.
func check(ctx context.Context, st ops.Store) (half string, err error) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	half = "unknown"
	if st.Backend.Caps().Pending {
		n := 0
		if err := st.Backend.Pending(ctx, func(backends.Locator, time.Time) error { n++; return nil }); err != nil {
			return half, err
		}
		half = strconv.Itoa(n)
	}
	if !writable(st) {
		return half, nil
	}
	return half, roundTrip(ctx, st.Backend)
}

func roundTrip(ctx context.Context, s backends.Store) error {
	data, salt := make([]byte, probeSize), make([]byte, 8)
	_, _ = rand.Read(data) // never fails
	_, _ = rand.Read(salt)
	w, err := s.Create(ctx, "glimpse-check-"+hex.EncodeToString(salt), probeSize)
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	if _, err := w.Write(data); err != nil {
		return errors.Join(fmt.Errorf("write: %w", err), w.Cancel())
	}
	at, err := w.Commit(ctx)
	if err != nil {
		return errors.Join(fmt.Errorf("commit: %w", err), w.Cancel())
	}
	err = readBack(ctx, s, at, data)
	// It goes also when the time is over.
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTime)
	defer cancel()
	if derr := s.Delete(after, at); derr != nil {
		return errors.Join(err, fmt.Errorf("delete: %w", derr))
	}
	if _, serr := s.Stat(after, at); !errors.Is(serr, backends.ErrNotFound) {
		err = errors.Join(err, fmt.Errorf("it is still there after its deletion: %w", serr))
	}
	return err
}

// readBack reads what lies around the middle.
func readBack(ctx context.Context, s backends.Store, at backends.Locator, data []byte) error {
	info, err := s.Stat(ctx, at)
	if err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	if info.Size != int64(len(data)) {
		return fmt.Errorf("stat: %d bytes, %d were written", info.Size, len(data))
	}
	off, n := int64(len(data)/2), int64(1<<20)
	r, err := s.Open(ctx, at, info.Validator, off, n)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	defer r.Close()
	got := make([]byte, n)
	if _, err := io.ReadFull(r, got); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if !bytes.Equal(got, data[off:off+n]) {
		return errors.New("read: other bytes than were written")
	}
	return nil
}
