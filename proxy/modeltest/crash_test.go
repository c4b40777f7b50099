package modeltest

import (
	"context"
	"fmt"
	"os"
	"testing"

	"glimpse/registry/image"
)

// story is a run of deeds that crosses every step there is. It goes on after the
// node has died, as its clients do.
func story(w *world) {
	c := w.o.Chunk
	kept, gone, off, late := w.queued(), w.queued(), w.queued(), w.queued()
	same := content(1, 3*c+17, c, 0b10)
	w.tell(kept, body{data: same, announced: int64(len(same))})
	w.tell(gone, body{data: same, announced: -1})
	w.tell(off, body{data: nil, announced: 0})
	w.tell(late, body{data: content(2, 2*c, c, 0), announced: -1, breaks: true})
	w.tell(late, body{data: content(3, c, c, 0), announced: c})
	for _, e := range []*entry{kept, gone, off} {
		if e != nil && e.readable() {
			w.read(e, 0, int64(len(e.data)), 0, -1)
		}
	}
	if off != nil && off.readable() {
		w.toggle(off)
	}
	for _, e := range []*entry{gone, off} {
		if e != nil {
			w.remove(e)
		}
	}
}

// tell is upload for an image that may not have been made, or may no longer wait
// for its data.
func (w *world) tell(e *entry, b body) {
	w.t.Helper()
	if e != nil && e.status == image.Queued {
		w.upload(e, b)
	}
}

// A node that dies before or after any step of its uploads and deletes has lost
// nothing that it acknowledged, and one pass of the reaper leaves nothing else.
func TestADeathAtEveryStep(t *testing.T) {
	all := map[string]options{}
	for _, sql := range []bool{false, true} {
		for _, file := range []bool{false, true} {
			o := usual
			o.SQL, o.File = sql, file
			all[fmt.Sprintf("sqlite %v file %v", sql, file)] = o
		}
	}
	for name, o := range all {
		t.Run(name, func(t *testing.T) {
			w := aWorld(t, o)
			story(w)
			steps := w.f.steps
			w.audit()
			w.close()
			deaths := 0
			for i := range steps {
				for _, after := range []bool{false, true} {
					t.Run(fmt.Sprintf("%d %s after %v", i+1, steps[i], after), func(t *testing.T) {
						w := aWorld(t, o)
						defer w.close()
						w.f.kill(i+1, after)
						story(w)
						if w.f.isDead() {
							deaths++
						}
						w.restart(true, uint64(i))
						w.audit()
					})
				}
			}
			t.Logf("%d deaths at %d steps", deaths, len(steps))
			if deaths < 2*len(steps) {
				t.Errorf("%d deaths at %d steps", deaths, len(steps))
			}
		})
	}
}

func aWorld(t *testing.T, o options) *world {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "world-")
	must(t, err)
	return newWorld(t, dir, o)
}

// late is a body that waits after its first half until go is closed.
type late struct {
	began chan struct{} // closed when the first half has been read
	ready chan struct{}
}

func (l late) body(data []byte) body {
	return body{data: data, announced: -1, at: int64(len(data) / 2), then: func(context.CancelFunc) { close(l.began); <-l.ready }}
}

func newLate() late { return late{make(chan struct{}), make(chan struct{})} }

// A slow upload whose lease has lapsed is overtaken, and comes to its end only
// afterwards: it touches nothing of the winner's and leaves nothing of its own.
func TestAnOvertakenUpload(t *testing.T) {
	for name, reaped := range map[string]bool{"failed and begun again": false, "reaped": true} {
		for _, file := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, file %v", name, file), func(t *testing.T) {
				o := usual
				o.SQL, o.File = true, file
				w := aWorld(t, o)
				defer w.close()
				e := w.queued()
				l := newLate()
				lost := make(chan error, 1)
				go func() { lost <- w.try(e, l.body(content(1, 5*w.o.Chunk, w.o.Chunk, 0))) }()
				<-l.began
				w.lapse()
				if reaped {
					_, err := w.reaper.Pass(t.Context())
					must(t, err)
				} else {
					must(t, w.reg.Fail(t.Context(), w.f.attempts()[0], false))
				}
				winner := body{data: content(2, 3*w.o.Chunk, w.o.Chunk, 0), announced: -1}
				if !w.upload(e, winner) {
					t.Fatal("the second upload is not acknowledged")
				}
				close(l.ready)
				if err := <-lost; err == nil {
					t.Error("both were acknowledged")
				}
				w.audit()
			})
		}
	}
}

// An upload that is failed, begun again and failed while its first writer is
// still at work, and then won by a third: queued, saving, queued, saving and
// active look the same twice.
func TestAnUploadSeesTheSameStatusTwice(t *testing.T) {
	w := aWorld(t, usual)
	defer w.close()
	e := w.queued()
	first, second := newLate(), newLate()
	lost := make(chan error, 2)
	go func() { lost <- w.try(e, first.body(content(1, 3*w.o.Chunk, w.o.Chunk, 0))) }()
	<-first.began
	must(t, w.reg.Fail(t.Context(), w.f.attempts()[0], false))
	go func() { lost <- w.try(e, second.body(content(2, 3*w.o.Chunk, w.o.Chunk, 0))) }()
	<-second.began
	close(first.ready) // ends while the image is saving, as it was when it began
	if err := <-lost; err == nil {
		t.Error("the first was acknowledged")
	}
	must(t, w.reg.Fail(t.Context(), w.f.attempts()[1], false))
	if !w.upload(e, body{data: content(3, 2*w.o.Chunk, w.o.Chunk, 0), announced: -1}) {
		t.Fatal("the third is not acknowledged")
	}
	close(second.ready)
	if err := <-lost; err == nil {
		t.Error("the second was acknowledged")
	}
	w.audit()
}

// Answers that are lost, alone and together with the look that should tell.
func TestALostAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		faults []string
		want   image.Status // of the image when the upload has ended
	}{
		"at begin":                     {[]string{"begin lost"}, image.Saving},
		"at note":                      {[]string{"note lost"}, image.Queued},
		"at activation":                {[]string{"activate lost"}, image.Active},
		"at activation, and then away": {[]string{"activate lost", "query"}, image.Active},
		"no activation":                {[]string{"activate"}, image.Saving},
		"at commit":                    {[]string{"commit lost"}, image.Queued},
		"at commit, and then away":     {[]string{"commit lost", "fail"}, image.Saving},
		"at commit, and at failure":    {[]string{"commit lost", "fail lost"}, image.Queued},
		"at commit, and at the reap":   {[]string{"commit lost", "reap"}, image.Queued},
		"at commit, and no delete":     {[]string{"commit lost", "delete"}, image.Queued},
	} {
		t.Run(name, func(t *testing.T) {
			w := aWorld(t, usual)
			defer w.close()
			e := w.queued()
			for _, f := range c.faults {
				w.f.arm(f, 1)
			}
			data := content(1, 3*w.o.Chunk, w.o.Chunk, 0)
			w.upload(e, body{data: data, announced: -1})
			if n := w.f.total(); n != len(c.faults) {
				t.Fatalf("%d of %d faults fired", n, len(c.faults))
			}
			m, err := w.reg.Get(t.Context(), e.id)
			if err != nil || m.Status != c.want {
				t.Errorf("the image is %s: %v", m.Status, err)
			}
			w.audit()
			if e.status == image.Queued && !w.upload(e, body{data: data, announced: -1}) {
				t.Error("another upload fails")
			}
			w.audit()
		})
	}
}

// A delete comes at every step of an upload.
func TestADeleteRacesAnUpload(t *testing.T) {
	w := aWorld(t, usual)
	e := w.queued()
	w.f.kill(0, false) // counts the steps from here
	data := content(1, 3*w.o.Chunk, w.o.Chunk, 0)
	w.upload(e, body{data: data, announced: -1})
	steps := w.f.steps
	w.close()
	fired := 0
	for i := range steps {
		for _, after := range []bool{false, true} {
			w := aWorld(t, usual)
			e := w.queued()
			w.f.at(i+1, after, func() { fired++; w.remove(e) })
			err := w.try(e, body{data: data, announced: -1})
			if last := i == len(steps)-1 && after; (err == nil) != last {
				t.Errorf("step %d, %s, after %v: %v", i, steps[i], after, err)
			}
			w.audit()
			w.close()
		}
	}
	t.Logf("%d deletes at %d steps", fired, len(steps))
	if fired != 2*len(steps) {
		t.Errorf("%d deletes at %d steps", fired, len(steps))
	}
}
