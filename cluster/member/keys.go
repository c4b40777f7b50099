package member

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"github.com/hashicorp/memberlist"
)

// keys are the gossip keys and the file they stand in: base64, one a line, of 16,
// 24 or 32 bytes. Messages are encrypted with the first, and read with any.
type keys struct {
	file string
	ring *memberlist.Keyring
	turn chan struct{} // held by who changes both; nothing else waits for it
}

var errNoKeys = errors.New("gossip has no keys: set cluster.keyring_file on all nodes, and start them again")

// NewKey makes a gossip key for a keyring file.
func NewKey() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return base64.StdEncoding.EncodeToString(b)
}

func openKeys(file string) (*keys, error) {
	all, err := readKeys(file)
	if err != nil {
		return nil, err
	}
	r, err := memberlist.NewKeyring(all, all[0])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &keys{file: file, ring: r, turn: make(chan struct{}, 1)}, nil
}

// readKeys returns at least one key. No error holds any of the file's text.
func readKeys(file string) ([][]byte, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("gossip keys: %w", err)
	}
	var all [][]byte
	for i, line := range strings.Split(string(b), "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		key, err := parseKey(line)
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", file, i+1, err)
		}
		all = append(all, key)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s holds no key", file)
	}
	return all, nil
}

func parseKey(text string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || memberlist.ValidateKey(key) != nil {
		return nil, errors.New("not a gossip key: 16, 24 or 32 bytes in base64")
	}
	return key, nil
}

// set makes the ring what all says. What is new can be read before anything is
// written with it, and what goes is no longer written with before it goes.
func (k *keys) set(all [][]byte) error {
	for _, key := range all {
		if err := k.ring.AddKey(key); err != nil {
			return err
		}
	}
	if err := k.ring.UseKey(all[0]); err != nil {
		return err
	}
	for _, key := range k.ring.GetKeys() {
		if !slices.ContainsFunc(all, func(a []byte) bool { return bytes.Equal(a, key) }) {
			if err := k.ring.RemoveKey(key); err != nil {
				return err
			}
		}
	}
	return nil
}

// change applies fn to the keys of the file and of the ring, the file first.
func (k *keys) change(ctx context.Context, text string, fn func(all [][]byte, at int, key []byte) ([][]byte, error)) error {
	if k == nil {
		return errNoKeys
	}
	key, err := parseKey(strings.TrimSpace(text))
	if err != nil {
		return err
	}
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	all, err := readKeys(k.file)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(all, func(a []byte) bool { return bytes.Equal(a, key) })
	if all, err = fn(all, at, key); err != nil {
		return err
	}
	var out strings.Builder
	for _, a := range all {
		out.WriteString(base64.StdEncoding.EncodeToString(a) + "\n")
	}
	if err := renameio.WriteFile(k.file, []byte(out.String()), 0o600); err != nil {
		return fmt.Errorf("gossip keys: %w", err)
	}
	return k.set(all)
}

// AddKey lets a key be read with. To rotate without a gap, each step on all nodes
// before the next: add the new key, use it, remove the old one. The keyring file
// follows.
func (m *Members) AddKey(ctx context.Context, key string) error {
	return m.keys.change(ctx, key, func(all [][]byte, at int, key []byte) ([][]byte, error) {
		if at >= 0 {
			return all, nil
		}
		return append(all, key), nil
	})
}

// UseKey has all that is sent encrypted with a key that was added.
func (m *Members) UseKey(ctx context.Context, key string) error {
	return m.keys.change(ctx, key, func(all [][]byte, at int, key []byte) ([][]byte, error) {
		if at < 0 {
			return nil, errors.New("the key is not on this node: add it on all nodes first")
		}
		return slices.Insert(slices.Delete(all, at, at+1), 0, key), nil
	})
}

// RemoveKey forgets a key that is not in use.
func (m *Members) RemoveKey(ctx context.Context, key string) error {
	return m.keys.change(ctx, key, func(all [][]byte, at int, _ []byte) ([][]byte, error) {
		switch {
		case at == 0:
			return nil, errors.New("the key is in use: use another one on all nodes first")
		case at < 0:
			return all, nil
		}
		return slices.Delete(all, at, at+1), nil
	})
}

// Keys returns a fingerprint of each gossip key, that in use first.
func (m *Members) Keys() []string {
	if m.keys == nil {
		return nil
	}
	var names []string
	for _, k := range m.keys.ring.GetKeys() {
		sum := sha256.Sum256(k)
		names = append(names, hex.EncodeToString(sum[:6]))
	}
	return names
}

// ReloadKeys reads the keyring file again. An error leaves the keys as they are.
func (m *Members) ReloadKeys(ctx context.Context) error {
	if m.keys == nil {
		return nil
	}
	select {
	case m.keys.turn <- struct{}{}:
		defer func() { <-m.keys.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	all, err := readKeys(m.keys.file)
	if err != nil {
		return err
	}
	return m.keys.set(all)
}

// watchKeys reloads the file when it changes, until ctx ends.
func (m *Members) watchKeys(ctx context.Context) {
	if m.keys == nil {
		return
	}
	var last os.FileInfo
	failed := ""
	tick := time.NewTicker(cmp.Or(m.c.keysEach, keysInterval))
	defer tick.Stop()
	for {
		now, err := os.Stat(m.keys.file)
		if err == nil && (last == nil || !now.ModTime().Equal(last.ModTime()) || now.Size() != last.Size()) {
			err = m.ReloadKeys(ctx)
			last = now
			if err == nil {
				m.log.InfoContext(ctx, "gossip keys read", "keys", m.Keys())
			}
		}
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			failed = ""
		case err.Error() != failed:
			failed = err.Error()
			m.log.WarnContext(ctx, "gossip keys stay as they are", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
