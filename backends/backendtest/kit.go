// Package backendtest is the kit that every origin store and every decorator
// passes. Run makes a fresh store for each case; what a driver's Caps leave out is
// checked against the table that the caller gives, so that no driver passes by
// claiming less.
package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"glimpse/backends"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
)

// Options say what the caller expects of the driver.
type Options struct {
	Caps backends.Caps
	// Replace overwrites the object behind at as only an operator could; nil leaves
	// out the cases of changing objects.
	Replace func(t *testing.T, at backends.Locator, data []byte)
	// Place and Remove are how objects come and go in a store that is read-only.
	Place  func(t *testing.T, key string, data []byte) backends.Locator
	Remove func(t *testing.T, at backends.Locator)
	// Part is where the store cuts objects, 0 where it does not: sizes and ranges at
	// each side of that border are tried too.
	Part int
	// LooksFirst is the server's own: it looks for an object before it takes the bytes.
	// Of writers in the same moment several may be told of success; the last one stays.
	LooksFirst bool
}

// sizes are those that are tried.
func (o Options) sizes() []int {
	s := []int{0, 1, 4095, 4096, 4097, 100_000}
	if o.Part > 0 {
		s = append(s, o.Part-1, o.Part, o.Part+1, 2*o.Part, 2*o.Part+1)
	}
	return s
}

func (o Options) put(t *testing.T, s backends.Store, key string, data []byte, size int64) backends.Locator {
	t.Helper()
	if o.Caps.ReadOnly {
		return o.Place(t, key, data)
	}
	return Put(t, s, key, data, size)
}

func (o Options) remove(t *testing.T, s backends.Store, at backends.Locator) {
	t.Helper()
	if o.Caps.ReadOnly {
		o.Remove(t, at)
	} else if err := s.Delete(t.Context(), at); err != nil {
		t.Fatal(err)
	}
}

// Run runs the kit.
func Run(t *testing.T, open func(t *testing.T) backends.Store, o Options) {
	for name, fn := range map[string]func(*testing.T, backends.Store, Options){
		"its abilities are the expected ones":              abilities,
		"what was written comes back, whole and in ranges": ranges,
		"a size that is not the announced one is refused":  announced,
		"a cancelled upload leaves nothing":                cancelled,
		"an upload that another ends":                      aborted,
		"of many writers of one key one wins":              racing,
		"what is not there is not found":                   missing,
		"readers do not disturb one another":               concurrent,
		"a cancelled context ends a read":                  contexts,
		"an overwritten object is noticed":                 changed,
		"a locator does not print":                         secrets,
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			fn(t, s, o)
		})
	}
}

// Bytes returns n bytes that tell their place, with two blocks of zeros among them.
func Bytes(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range b {
		b[i] = byte(r.Uint32() | 1)
	}
	if n > 3*4096 {
		clear(b[4096 : 3*4096])
	}
	return b
}

// Put writes data under key, in pieces of odd sizes.
func Put(t *testing.T, s backends.Store, key string, data []byte, size int64) backends.Locator {
	t.Helper()
	w, err := s.Create(t.Context(), key, size)
	if err != nil {
		t.Fatal(err)
	}
	for rest := data; len(rest) > 0; {
		n, err := w.Write(rest[:min(len(rest), 4097)])
		if err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	want := w.Locator()
	at, err := w.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if at != want {
		t.Fatal("the object is not where its writer said")
	}
	if err := w.Cancel(); err != nil {
		t.Fatalf("Cancel after Commit: %v", err)
	}
	return at
}

func read(ctx context.Context, s backends.Store, at backends.Locator, validator string, off, n int64) ([]byte, error) {
	r, err := s.Open(ctx, at, validator, off, n)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

func pending(t *testing.T, s backends.Store) (n int) {
	t.Helper()
	if !s.Caps().Pending {
		return 0
	}
	if err := s.Pending(t.Context(), func(backends.Locator, time.Time) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

func abilities(t *testing.T, s backends.Store, o Options) {
	if d := cmp.Diff(o.Caps, s.Caps()); d != "" {
		t.Errorf("not the expected ones: %s", d)
	}
	if !o.Caps.ReadOnly {
		return
	}
	_, err := s.Create(t.Context(), "x", 1)
	for call, err := range map[string]error{"Create": err, "Delete": s.Delete(t.Context(), "x"), "Abort": s.Abort(t.Context(), "x")} {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s of a store that is read-only: %v", call, err)
		}
	}
}

func ranges(t *testing.T, s backends.Store, o Options) {
	for _, size := range o.sizes() {
		data := Bytes(size)
		for _, announced := range []int64{int64(size), -1} {
			if announced < 0 && !o.Caps.UnknownSize {
				continue
			}
			at := o.put(t, s, fmt.Sprintf("k-%d-%d", size, announced), data, announced)
			info, err := s.Stat(t.Context(), at)
			if err != nil || info.Size != int64(size) || (info.Validator != "") != s.Caps().Validators {
				t.Fatalf("size %d: Stat gives %+v, %v", size, info, err)
			}
			whole, err := read(t.Context(), s, at, info.Validator, 0, -1)
			if err != nil || !bytes.Equal(whole, data) {
				t.Fatalf("size %d: %d bytes came back, %v", size, len(whole), err)
			}
			// A size that is not announced tells only where an object is cut.
			if s.Caps().Ranged && (announced >= 0 || o.Part == 0 || size >= o.Part-1) {
				borders(t, s, o, at, info.Validator, data)
			}
		}
	}
	if n := pending(t, s); n != 0 {
		t.Errorf("%d uploads pending after all are committed", n)
	}
}

// borders reads ranges that begin and end at each side of each border, several at
// a time, and one past the end.
func borders(t *testing.T, s backends.Store, o Options, at backends.Locator, validator string, data []byte) {
	t.Helper()
	size := int64(len(data))
	part := int64(o.Part)
	type span struct{ off, n int64 }
	seen := map[span]bool{}
	var g errgroup.Group
	g.SetLimit(4)
	for _, off := range []int64{0, 1, 4095, 4096, 4097, part - 1, part, part + 1, size - 1} {
		for _, n := range []int64{0, 1, 4096, size - off} {
			if off < 0 || n < 0 || off+n > size || seen[span{off, n}] {
				continue
			}
			seen[span{off, n}] = true
			g.Go(func() error {
				got, err := read(t.Context(), s, at, validator, off, n)
				if err != nil || !bytes.Equal(got, data[off:off+n]) {
					return fmt.Errorf("size %d, %d bytes from %d: %d came, %w", size, n, off, len(got), err)
				}
				return nil
			})
		}
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := read(t.Context(), s, at, validator, 0, size+1); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("size %d: a read past the end gives %v", size, err)
	}
}

func announced(t *testing.T, s backends.Store, o Options) {
	if o.Caps.ReadOnly {
		return
	}
	for name, n := range map[string]int{"short": 99, "long": 101} {
		w, err := s.Create(t.Context(), name, 100)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Write(make([]byte, n))
		if err == nil {
			_, err = w.Commit(t.Context())
		}
		if err == nil {
			t.Errorf("%d bytes for 100 were taken", n)
		}
		if err := w.Cancel(); err != nil {
			t.Error(err)
		}
		if _, err := s.Stat(t.Context(), w.Locator()); !errors.Is(err, backends.ErrNotFound) {
			t.Errorf("%s: something is there: %v", name, err)
		}
	}
	if n := pending(t, s); n != 0 {
		t.Errorf("%d uploads pending", n)
	}
}

func cancelled(t *testing.T, s backends.Store, o Options) {
	if o.Caps.ReadOnly {
		return
	}
	for _, n := range []int{0, 1, 100_000, o.Part, o.Part + 1} {
		w, err := s.Create(t.Context(), "c", int64(max(100_000, o.Part+1)))
		if err != nil {
			t.Fatal(err)
		}
		if pending(t, s) != 0 {
			t.Error("an upload is listed before its first write")
		}
		if _, err := w.Write(Bytes(n)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Stat(t.Context(), w.Locator()); !errors.Is(err, backends.ErrNotFound) {
			t.Errorf("visible before Commit: %v", err)
		}
		if n > 0 && s.Caps().Pending && pending(t, s) != 1 {
			t.Error("the upload under way is not listed")
		}
		for range 2 {
			if err := w.Cancel(); err != nil {
				t.Error(err)
			}
		}
		if _, err := s.Stat(t.Context(), w.Locator()); !errors.Is(err, backends.ErrNotFound) || pending(t, s) != 0 {
			t.Errorf("left after %d bytes: %v, %d pending", n, err, pending(t, s))
		}
	}
}

func aborted(t *testing.T, s backends.Store, _ Options) {
	if !s.Caps().Pending {
		t.Log("the store doesn't know what is half done")
		return
	}
	begin := func(key string) backends.Writer {
		w, err := s.Create(t.Context(), key, -1)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Write(Bytes(10))
		if errors.Is(err, backends.ErrExists) {
			return nil // of one key there is one upload at a time
		}
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	one, again, other := begin("a"), begin("a"), begin("a-b")
	for range 2 {
		if err := s.Abort(t.Context(), one.Locator()); err != nil {
			t.Error(err)
		}
	}
	if n := pending(t, s); n != 1 {
		t.Errorf("%d uploads pending, wanted is the one to another key", n)
	}
	listed := begin("c")
	err := s.Pending(t.Context(), func(at backends.Locator, last time.Time) error {
		if at == other.Locator() {
			return nil
		}
		if age := time.Since(last); age > time.Hour || age < -time.Hour {
			t.Errorf("written to just now, and %v ago by the list", age)
		}
		return s.Abort(t.Context(), at)
	})
	if err != nil || pending(t, s) != 1 {
		t.Errorf("after the end of what is listed %d uploads are pending, %v", pending(t, s), err)
	}
	for _, w := range []backends.Writer{one, again, listed} {
		if w == nil {
			continue
		}
		if _, err := w.Commit(t.Context()); err == nil {
			t.Error("an upload that was ended is committed")
		}
		if err := w.Cancel(); err != nil {
			t.Error(err)
		}
	}
	at, err := other.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Abort(t.Context(), at); err != nil {
		t.Error(err)
	}
	if _, err := s.Stat(t.Context(), at); err != nil {
		t.Errorf("what was committed went too: %v", err)
	}
}

func racing(t *testing.T, s backends.Store, o Options) {
	if !s.Caps().NoReplace {
		t.Log("the store replaces objects")
		return
	}
	var mu sync.Mutex
	won, at := map[byte]bool{}, backends.Locator("")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			w, err := s.Create(t.Context(), "one", 1)
			if errors.Is(err, backends.ErrExists) {
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			_, err = w.Write([]byte{byte(i)})
			var placed backends.Locator
			if err == nil {
				placed, err = w.Commit(t.Context())
			}
			switch {
			case err == nil:
				mu.Lock()
				won[byte(i)], at = true, placed
				mu.Unlock()
			case !errors.Is(err, backends.ErrExists):
				t.Error(err)
			}
			if err := w.Cancel(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(won) == 0 || len(won) > 1 && !o.LooksFirst || pending(t, s) != 0 {
		t.Fatalf("%d writers won, %d pending", len(won), pending(t, s))
	}
	if got, err := read(t.Context(), s, at, "", 0, -1); err != nil || len(got) != 1 || !won[got[0]] {
		t.Errorf("the bytes are %v, %v; of those who were told of success: %v", got, err, won)
	}
}

func missing(t *testing.T, s backends.Store, o Options) {
	at := o.put(t, s, "x", []byte("x"), 1)
	o.remove(t, s, at)
	_, serr := s.Stat(t.Context(), at)
	_, oerr := read(t.Context(), s, at, "", 0, -1)
	found := map[string]error{"Stat": serr, "Open": oerr}
	if !o.Caps.ReadOnly {
		found["Delete"] = s.Delete(t.Context(), at)
	}
	for op, err := range found {
		if !errors.Is(err, backends.ErrNotFound) {
			t.Errorf("%s: %v", op, err)
		}
	}
	if _, err := s.Stat(t.Context(), "nowhere://x"); err == nil {
		t.Error("a locator of another store is taken")
	}
}

func concurrent(t *testing.T, s backends.Store, o Options) {
	data := Bytes(50_000)
	at := o.put(t, s, "many", data, -1)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			off := int64(0)
			if s.Caps().Ranged {
				off = int64(i) * 1000
			}
			r, err := s.Open(t.Context(), at, "", off, -1)
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close()
			got, err := io.ReadAll(iotest.HalfReader(r))
			if err != nil || !bytes.Equal(got, data[off:]) {
				t.Errorf("from %d: %d bytes, %v", off, len(got), err)
			}
		})
	}
	wg.Wait()
}

// big is more than a connection holds in its buffers.
const big = 8 << 20

func contexts(t *testing.T, s backends.Store, o Options) {
	at := o.put(t, s, "x", Bytes(big), -1)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := s.Open(ctx, at, "", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, context.Canceled) {
		t.Errorf("the read ends with %v", err)
	}
	if o.Caps.ReadOnly {
		return
	}
	w, err := s.Create(t.Context(), "y", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(ctx); err == nil {
		t.Error("Commit went on without its context")
	}
	if err := w.Cancel(); err != nil {
		t.Error(err)
	}
}

func changed(t *testing.T, s backends.Store, o Options) {
	if !s.Caps().Validators || o.Replace == nil {
		t.Log("the store has no validators, or nothing can be replaced")
		return
	}
	at := o.put(t, s, "v", Bytes(200_000), -1)
	info, err := s.Stat(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	begin := func(n int64) io.ReadCloser {
		r, err := s.Open(t.Context(), at, info.Validator, 0, n)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		return r
	}
	toEnd, counted := begin(-1), begin(info.Size)
	defer toEnd.Close()
	defer counted.Close()
	o.Replace(t, at, bytes.Repeat([]byte{7}, 200_000))
	if _, err := io.Copy(io.Discard, toEnd); !errors.Is(err, backends.ErrChanged) {
		t.Errorf("a read that was under way ends with %v", err)
	}
	// Who knows the size reads no further, and must hear of it all the same.
	if _, err := io.ReadFull(counted, make([]byte, info.Size-10)); !errors.Is(err, backends.ErrChanged) {
		t.Errorf("a counted read that was under way ends with %v", err)
	}
	if _, err := read(t.Context(), s, at, info.Validator, 0, -1); !errors.Is(err, backends.ErrChanged) {
		t.Errorf("a new read with the old validator: %v", err)
	}
}

func secrets(t *testing.T, s backends.Store, o Options) {
	at := o.put(t, s, "hush", []byte("x"), 1)
	o.remove(t, s, at)
	_, err := s.Stat(t.Context(), at)
	for _, text := range []string{fmt.Sprint(at), fmt.Sprintf("%v %+v %#v %s", at, at, at, at), fmt.Sprint(err)} {
		if strings.Contains(text, at.Reveal()) {
			t.Errorf("it does: %s", text)
		}
	}
}
