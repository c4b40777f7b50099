package pull

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"glimpse/cmd/glimpse/imageapi"
)

const imageSize = 40*chunkSize + 777

// Whatever some of the nodes do, the image comes whole as long as one is good, and
// nothing of it comes more often than the faults make it.
func TestOneGoodNodeIsEnough(t *testing.T) {
	for name, f := range map[string]fault{
		"all good": nil, "wrong bytes": flipped(1e9), "cut": broken(chunkSize + chunkSize/2), "silent": stuck, "dribbles": dribbling, "shorter": resized(-chunkSize), "longer": resized(1),
		"overloaded": busy(http.StatusServiceUnavailable), "not found there": busy(http.StatusNotFound), "not allowed there": busy(http.StatusForbidden), "no ranges": unranged,
	} {
		for _, piped := range []bool{false, true} {
			t.Run(fmt.Sprint(name, piped), func(t *testing.T) {
				t.Parallel()
				o := newOrigin(t, imageSize, 1)
				bad, good := o.serve(f), o.serve(nil)
				c, done := o.config(bad, good)
				out := filepath.Join(t.TempDir(), "out")
				var r Report
				var err error
				if piped {
					var b bytes.Buffer
					r, err = c.ToWriter(t.Context(), &b)
					must(t, os.WriteFile(out, b.Bytes(), 0o600))
				} else {
					r, err = c.ToFile(t.Context(), out)
				}
				must(t, err)
				o.check(out)
				t.Logf("%+v, %d bytes of the bad one, %d of the good one", r, bad.sent.Load(), good.sent.Load())
				if done.Load() != imageSize || r.Fetched != o.solid() || r.Proof != "sha512" {
					t.Errorf("%+v and %d bytes of progress", r, done.Load())
				}
				if f != nil && r.Wrong+r.Failed == 0 {
					t.Error("no fault was seen")
				}
				if (name == "wrong bytes") != (r.Wrong > 0) {
					t.Errorf("%d wrong chunks", r.Wrong)
				}
			})
		}
	}
}

// The same without a manifest. A pipe can't take back what was wrong.
func TestOneGoodNodeIsEnoughInOneStream(t *testing.T) {
	for name, f := range map[string]fault{
		"all good": nil, "wrong bytes": flipped(1e9), "cut": broken(chunkSize + chunkSize/2), "silent": stuck, "dribbles": dribbling,
		"shorter": resized(-chunkSize), "longer": resized(1), "endless": endless,
		"overloaded": busy(http.StatusServiceUnavailable), "not found there": busy(http.StatusNotFound), "not allowed there": busy(http.StatusForbidden), "no ranges": unranged,
	} {
		for _, piped := range []bool{false, true} {
			t.Run(fmt.Sprint(name, piped), func(t *testing.T) {
				t.Parallel()
				o := newOrigin(t, imageSize, 1)
				c, done := o.config(o.serve(f), o.serve(nil))
				c.Manifest = nil
				out := filepath.Join(t.TempDir(), "out")
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				var r Report
				var err error
				if piped {
					var b bytes.Buffer
					r, err = c.ToWriter(ctx, &b)
					if name == "wrong bytes" {
						if imageapi.CodeOf(err) != imageapi.Wrong {
							t.Errorf("%v", err)
						}
						return
					}
					must(t, os.WriteFile(out, b.Bytes(), 0o600))
				} else {
					r, err = c.ToFile(ctx, out)
				}
				must(t, err)
				o.check(out)
				if done.Load() != imageSize || r.Proof != "sha512" {
					t.Errorf("%+v and %d bytes of progress", r, done.Load())
				}
				if f != nil && name != "no ranges" && r.Wrong+r.Failed == 0 {
					t.Error("no fault was seen")
				}
			})
		}
	}
}

func TestAFileHasHolesWhereTheImageHasZeros(t *testing.T) {
	o := newOrigin(t, imageSize, 1)
	c, _ := o.config(o.serve(nil))
	out := filepath.Join(t.TempDir(), "out")
	_, err := c.ToFile(t.Context(), out)
	must(t, err)
	st, err := os.Stat(out)
	must(t, err)
	if got := st.Sys().(*syscall.Stat_t).Blocks * 512; got > o.solid()+chunkSize {
		t.Errorf("%d bytes on disk, %d are not zeros", got, o.solid())
	}
	// Without a manifest too.
	c.Manifest = nil
	_, err = c.ToFile(t.Context(), out)
	must(t, err)
	o.check(out)
	st, err = os.Stat(out)
	must(t, err)
	if got := st.Sys().(*syscall.Stat_t).Blocks * 512; got > o.solid()+chunkSize {
		t.Errorf("in one stream %d bytes on disk, %d are not zeros", got, o.solid())
	}
}

// half ends a pull when about half is there.
func half(t *testing.T, c Config, out string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := make(chan int64, 1000)
	whole := c
	whole.Progress = func(k int64) { n <- k }
	go func() {
		for sum := int64(0); sum < c.size()/2; {
			select {
			case k := <-n:
				sum += k
			case <-ctx.Done():
				return
			}
		}
		cancel()
	}()
	r, err := whole.ToFile(ctx, out)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("the pull was not interrupted: %v", err)
	}
	if st, err := os.Stat(r.Part); err != nil || st.Size() == 0 {
		t.Errorf("it says that it leaves %q: %v", r.Part, err)
	}
}

// slowly gives a chunk at a time.
func slowly(s *server, w http.ResponseWriter, r *http.Request, data []byte) bool {
	http.ServeContent(&slow{counted{w, &s.sent}}, r, "", time.Time{}, bytes.NewReader(data))
	return true
}

type slow struct{ counted }

func (s *slow) Write(b []byte) (n int, err error) {
	for at := 0; at < len(b) && err == nil; at += n {
		time.Sleep(time.Millisecond)
		n, err = s.counted.Write(b[at:min(len(b), at+8<<10)])
		s.ResponseWriter.(http.Flusher).Flush()
	}
	return len(b), err
}

// What an interrupted pull has left is looked at, kept where it is right, and
// fetched anew where it is not.
func TestABrokenPullGoesOn(t *testing.T) {
	for _, streamed := range []bool{false, true} {
		t.Run(fmt.Sprint("one stream ", streamed), func(t *testing.T) {
			o := newOrigin(t, imageSize, 1)
			s := o.serve(slowly)
			c, _ := o.config(s)
			if streamed {
				c.Manifest = nil
			}
			out := filepath.Join(t.TempDir(), "out")
			half(t, c, out)
			s.sent.Store(0)
			r, err := c.ToFile(t.Context(), out)
			must(t, err)
			o.check(out)
			t.Logf("%+v, %d bytes were sent", r, s.sent.Load())
			if r.Kept < imageSize/8 || s.sent.Load() > imageSize-r.Kept+chunkSize {
				t.Errorf("%d bytes were kept, and %d sent again", r.Kept, s.sent.Load())
			}
		})
	}
}

// A part file in which anything may have happened: other bytes, bytes where zeros
// belong, too short, too long.
func TestWhatIsWrongInAPartFileIsFetchedAgain(t *testing.T) {
	for name, spoil := range map[string]func(f *os.File) error{
		"a bit":                 func(f *os.File) error { _, err := f.WriteAt([]byte("x"), 10); return err },
		"bytes where zeros are": func(f *os.File) error { _, err := f.WriteAt([]byte("x"), 4*chunkSize+10); return err },
		"too short":             func(f *os.File) error { return f.Truncate(chunkSize / 2) },
		"too long":              func(f *os.File) error { return f.Truncate(2 * imageSize) },
		"all of it":             func(f *os.File) error { _, err := f.WriteAt(bytes.Repeat([]byte{7}, imageSize), 0); return err },
	} {
		for _, streamed := range []bool{false, true} {
			t.Run(fmt.Sprint(name, streamed), func(t *testing.T) {
				t.Parallel()
				o := newOrigin(t, imageSize, 1)
				c, done := o.config(o.serve(slowly))
				if streamed {
					c.Manifest = nil
				}
				out := filepath.Join(t.TempDir(), "out")
				half(t, c, out)
				f, err := os.OpenFile(out+".part", os.O_RDWR, 0)
				must(t, err)
				must(t, spoil(f))
				must(t, f.Close())
				done.Store(0)
				_, err = c.ToFile(t.Context(), out)
				must(t, err)
				o.check(out)
				if done.Load() != imageSize {
					t.Errorf("%d bytes of progress", done.Load())
				}
			})
		}
	}
}

// The part file of another image is thrown away.
func TestAnotherImagesPartIsNotUsed(t *testing.T) {
	a, b := newOrigin(t, imageSize, 1), newOrigin(t, imageSize, 2)
	out := filepath.Join(t.TempDir(), "out")
	ca, _ := a.config(a.serve(slowly))
	half(t, ca, out)
	cb, _ := b.config(b.serve(nil))
	r, err := cb.ToFile(t.Context(), out)
	must(t, err)
	b.check(out)
	if r.Kept != 0 {
		t.Errorf("%d bytes of another image were kept", r.Kept)
	}
}

// What one stream has left is kept where the chunks have become known.
func TestChunksAreKeptOfAStream(t *testing.T) {
	o := newOrigin(t, imageSize, 1)
	c, _ := o.config(o.serve(slowly))
	out := filepath.Join(t.TempDir(), "out")
	stream := c
	stream.Manifest = nil
	half(t, stream, out)
	r, err := c.ToFile(t.Context(), out)
	must(t, err)
	o.check(out)
	if r.Kept < imageSize/4 {
		t.Errorf("%d bytes were kept", r.Kept)
	}
	half(t, c, out)
	unsure := stream
	unsure.Unsure = errIdle
	if _, err := unsure.ToFile(t.Context(), out); !errors.Is(err, errIdle) {
		t.Errorf("chunks are thrown away because nobody tells what they are: %v", err)
	}
	if st, err := os.Stat(out + ".part"); err != nil || st.Size() != c.size() {
		t.Errorf("the chunks are gone: %v, %v", st, err)
	}
	r, err = stream.ToFile(t.Context(), out)
	must(t, err)
	o.check(out)
	if r.Kept != 0 {
		t.Errorf("%d bytes of chunks in no order were taken for the beginning", r.Kept)
	}
}

func TestOnePullAtATime(t *testing.T) {
	o := newOrigin(t, imageSize, 1)
	c, _ := o.config(o.serve(nil))
	out := filepath.Join(t.TempDir(), "out")
	p, err := openPart(out, c)
	must(t, err)
	defer p.close()
	if _, err := c.ToFile(t.Context(), out); err == nil {
		t.Error("two pulls write one file")
	}
	if _, err := c.ToFile(t.Context(), t.TempDir()); imageapi.CodeOf(err) != imageapi.Usage {
		t.Errorf("into a folder: %v", err)
	}
}

// What can't be had right leaves no file, and says why by its code.
func TestWhatCannotBeHad(t *testing.T) {
	for name, c := range map[string]struct {
		f        fault
		want     imageapi.Code
		oneByOne bool // also without a manifest
	}{
		"wrong everywhere":     {flipped(1e9), imageapi.Wrong, true},
		"cut at once":          {broken(0), imageapi.Unreachable, true},
		"silent":               {stuck, imageapi.Unreachable, true},
		"dribbles":             {dribbling, imageapi.Unreachable, true},
		"overloaded":           {busy(503), imageapi.Unreachable, true},
		"not allowed any more": {busy(403), imageapi.NotAllowed, true},
		"deleted":              {busy(404), imageapi.NotFound, true},
		"no ranges":            {unranged, imageapi.Unreachable, false},
	} {
		for _, streamed := range []bool{false, true} {
			if streamed && !c.oneByOne {
				continue
			}
			t.Run(fmt.Sprint(name, streamed), func(t *testing.T) {
				t.Parallel()
				o := newOrigin(t, imageSize, 1)
				cfg, _ := o.config(o.serve(c.f))
				cfg.Stall = 30 * time.Second
				if c.want == imageapi.Unreachable {
					cfg.Stall, cfg.GiveUp = 100*time.Millisecond, 300*time.Millisecond
				}
				if streamed {
					cfg.Manifest = nil
				}
				out := filepath.Join(t.TempDir(), "out")
				_, err := cfg.ToFile(t.Context(), out)
				if imageapi.CodeOf(err) != c.want {
					t.Errorf("code %d: %v", imageapi.CodeOf(err), err)
				}
				if _, err := os.Stat(out); !os.IsNotExist(err) {
					t.Errorf("there is a file: %v", err)
				}
				if _, err := cfg.ToWriter(t.Context(), &bytes.Buffer{}); imageapi.CodeOf(err) != c.want {
					t.Errorf("to a pipe, code %d: %v", imageapi.CodeOf(err), err)
				}
			})
		}
	}
}

// Where every node has another length, no node is asked for ever.
func TestAWrongLengthEverywhere(t *testing.T) {
	for name, f := range map[string]fault{"shorter": resized(-1), "longer": resized(1)} {
		o := newOrigin(t, imageSize, 1)
		a, b := o.serve(f), o.serve(f)
		c, _ := o.config(a, b)
		c.Manifest = nil
		out := filepath.Join(t.TempDir(), "out")
		_, err := c.ToFile(t.Context(), out)
		if imageapi.CodeOf(err) != imageapi.Wrong || a.faults.Load() != 1 || b.faults.Load() != 1 {
			t.Errorf("%s: %v, after %d and %d answers", name, err, a.faults.Load(), b.faults.Load())
		}
		if _, err := os.Stat(out); !os.IsNotExist(err) {
			t.Errorf("%s: there is a file: %v", name, err)
		}
	}
}

// A manifest that is not the record's image is found out by the whole's hash.
func TestTheRecordsHashHasTheLastWord(t *testing.T) {
	o := newOrigin(t, imageSize, 1)
	c, _ := o.config(o.serve(nil))
	other := newOrigin(t, imageSize, 2)
	c.Image.HashValue = other.m.HashValue
	out := filepath.Join(t.TempDir(), "out")
	if r, err := c.ToFile(t.Context(), out); imageapi.CodeOf(err) != imageapi.Wrong || r.Part != "" {
		t.Errorf("%v, and it says that it leaves %q", err, r.Part)
	}
	left, _ := filepath.Glob(out + "*")
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A node that goes slow at the end does not keep the others waiting: the last chunk
// of its run is fetched from another one too.
func TestASlowNodeIsHelped(t *testing.T) {
	o := newOrigin(t, imageSize, 1)
	slow := o.serve(stuck)
	c, _ := o.config(slow, o.serve(nil))
	c.Stall = time.Hour
	start := time.Now()
	_, err := c.ToFile(t.Context(), filepath.Join(t.TempDir(), "out"))
	must(t, err)
	t.Logf("took %v", time.Since(start))
}

func TestAServerThatHasNoRangesIsReadFromTheStart(t *testing.T) {
	o := newOrigin(t, imageSize, 1)
	cut := o.serve(broken(3 * chunkSize))
	c, done := o.config(cut, o.serve(unranged))
	c.Manifest = nil
	out := filepath.Join(t.TempDir(), "out")
	r, err := c.ToFile(t.Context(), out)
	must(t, err)
	o.check(out)
	if r.Failed == 0 || cut.faults.Load() == 0 || done.Load() != imageSize {
		t.Errorf("%+v, %d bytes of progress", r, done.Load())
	}
	var b bytes.Buffer
	_, err = c.ToWriter(t.Context(), &b)
	must(t, err)
	if !bytes.Equal(b.Bytes(), o.data) {
		t.Error("a pipe got other bytes")
	}
}

// A server that has no ranges and breaks off now here, now there, is given up.
func TestBytesThatComeAgainAreNoProgress(t *testing.T) {
	o := newOrigin(t, imageSize, 1)
	s := o.serve(func(s *server, w http.ResponseWriter, r *http.Request, data []byte) bool {
		r.Header.Del("Range")
		n := imageSize/2 - int(s.faults.Load()%2)*imageSize/4
		http.ServeContent(&short{w, s, n}, r, "", time.Time{}, bytes.NewReader(data))
		return true
	})
	c, _ := o.config(s)
	c.Manifest, c.GiveUp = nil, time.Second
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := c.ToFile(ctx, filepath.Join(t.TempDir(), "out"))
	if n := s.faults.Load(); n < 2 || ctx.Err() != nil || imageapi.CodeOf(err) != imageapi.Unreachable {
		t.Errorf("%v, after %d transfers that broke off", err, n)
	}
}
