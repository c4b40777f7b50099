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
	"glimpse/registry/image"
)

type storeCheck struct {
	configFlags
	Stores []string `arg:"" optional:"" help:"Ids of stores; all where none is named."`
}

// probeSize is what is written: more than a chunk, and no whole number of blocks.
const probeSize = 5<<20 + 3

// readSize is how much is read back.
const readSize = 1 << 20

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
			half, result := w.check(ctx, st)
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
	return "read-only: an image was read, if there is one"
}

func writable(st ops.Store) bool { return !st.ReadOnly && !st.Backend.Caps().ReadOnly }

// check counts what uploads have left half done, then writes an object of its
// own, reads a part of it, and deletes it. Of a store that takes none it reads a
// part of an image that lies there.
func (w *workshop) check(ctx context.Context, st ops.Store) (half string, err error) {
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
		return half, w.readAny(ctx, st)
	}
	return half, roundTrip(ctx, st.Backend)
}

// errFound ends a walk that has found what it looks for.
var errFound = errors.New("found")

// readAny reads the beginning of the first image that lies in a store.
func (w *workshop) readAny(ctx context.Context, st ops.Store) error {
	var at backends.Locator
	err := w.images(ctx, func(m image.Image) error {
		if places := w.In(m, st.ID); len(places) > 0 && size(m) > 0 {
			at = backends.Locator(places[0].URL.Reveal())
			return errFound
		}
		return nil
	})
	if !errors.Is(err, errFound) {
		return err
	}
	info, err := st.Backend.Stat(ctx, at)
	if err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	r, err := st.Backend.Open(ctx, at, info.Validator, 0, min(max(info.Size, 1), readSize))
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	defer r.Close()
	if _, err := io.Copy(io.Discard, r); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	return nil
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
		err = errors.Join(fmt.Errorf("commit: %w", err), w.Cancel())
		if derr := remove(ctx, s, w.Locator()); derr != nil && !errors.Is(derr, backends.ErrNotFound) {
			err = errors.Join(err, derr) // it may have been done all the same
		}
		return err
	}
	return errors.Join(readBack(ctx, s, at, data), remove(ctx, s, at))
}

// remove deletes the object, also when the time is over, and looks whether it is
// gone.
func remove(ctx context.Context, s backends.Store, at backends.Locator) error {
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTime)
	defer cancel()
	if err := s.Delete(after, at); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	switch _, err := s.Stat(after, at); {
	case errors.Is(err, backends.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("stat after the deletion: %w", err)
	}
	return errors.New("it is still there after its deletion")
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
	off, n := int64(len(data)/2), int64(readSize)
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
