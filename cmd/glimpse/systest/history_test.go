package systest

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// deed is what a client asks of an image, and reply what it heard of it.
type deed struct {
	kind  string // show, patch, deactivate, reactivate, delete
	prop  int    // patch: which property
	value int    // and what it becomes
	node  int
	id    int // in its history
}

type reply struct {
	known bool // false: cut, too late or an error of the server's: it may be done, now or later or never
	gone  bool // there is no such image
	shown bool // state is of the answer
	state state
}

// state is an image, as far as histories go.
type state struct {
	gone, off bool
	props     [2]int
}

// after is the state when the deed is done.
func (d deed) after(s state) state {
	if s.gone {
		return s
	}
	switch d.kind {
	case "patch":
		s.props[d.prop] = d.value
	case "deactivate":
		s.off = true
	case "reactivate":
		s.off = false
	case "delete":
		s = state{gone: true}
	}
	return s
}

// past is an image and what readers may still be told of it: what it was, and is,
// since the last change of which a writer was told that it is done.
type past struct {
	states [8]state // the last n of them; the newest last
	by     [8]int   // the deeds that made them
	n      int
}

func (p past) now() state { return p.states[p.n-1] }

// then is the past after a change. What is older than all there is room for is
// forgotten, and so not allowed.
func (p past) then(s state, by int) past {
	if p.n == len(p.states) {
		copy(p.states[:], p.states[1:])
		copy(p.by[:], p.by[1:])
		p.n--
	}
	p.states[p.n], p.by[p.n] = s, by
	p.n++
	return p
}

// sealed is the past when a writer has been told of its deed: nothing from before
// it is to be seen.
func (p past) sealed(by int) past {
	for i := range p.n {
		if p.by[i] != by {
			continue
		}
		q := past{n: p.n - i}
		copy(q.states[:], p.states[i:p.n])
		copy(q.by[:], p.by[i:p.n])
		return q
	}
	return p // it is sealed by a later one
}

// imageModel is one image. A change happens at one moment between its question and
// its answer, and tells what is so then. Until it is answered, whoever looks may be
// shown what was before or what is then, whatever another was shown; once it is,
// nothing from before. A change that is not known to be done has no answer: its
// moment may be any, or one when nobody looks any more. But when a patch has been
// seen all nodes' leases of what was before run out, and then it is as good as known.
var imageModel = porcupine.Model{
	Init: func() any { return past{n: 1} },
	Step: func(at, in, out any) (bool, any) {
		p, d, r := at.(past), in.(deed), out.(reply)
		switch {
		case d.kind == "seal":
			return true, p.sealed(d.id)
		case d.kind == "show":
			for _, s := range p.states[:p.n] {
				if r.gone && s.gone || !r.gone && s == r.state {
					return true, p
				}
			}
			return false, p
		case r.known && r.gone:
			return p.now().gone, p
		case r.known && p.now().gone:
			return false, p
		}
		next := d.after(p.now())
		return !r.shown || r.state == next, p.then(next, d.id)
	},
	DescribeOperation: func(in, out any) string {
		d, r := in.(deed), out.(reply)
		s := fmt.Sprintf("node %d: %s", d.node+1, d.kind)
		if d.kind == "patch" {
			s += fmt.Sprintf(" %d=%d", d.prop, d.value)
		}
		switch {
		case !r.known:
			return s + ": ?"
		case r.gone:
			return s + ": gone"
		case r.shown:
			return s + fmt.Sprintf(": %+v", r.state)
		}
		return s + ": done"
	},
	DescribeState: func(s any) string { return fmt.Sprintf("%+v", s) },
}

// history is what all clients of one image have asked and heard.
type history struct {
	id    string
	begun time.Time
	lease time.Duration // for how long a node may show what another has changed

	mu   sync.Mutex
	ops  []porcupine.Operation
	open int
}

func newHistory(id string, lease time.Duration) *history {
	return &history{id: id, begun: time.Now(), lease: lease}
}

// note adds a deed that was asked at a time and has just been answered.
func (h *history) note(client int, d deed, asked time.Time, r reply) {
	h.mu.Lock()
	defer h.mu.Unlock()
	op := porcupine.Operation{ClientId: client, Input: d, Call: int64(asked.Sub(h.begun)), Output: r, Return: int64(time.Since(h.begun))}
	if !r.known {
		op.Return = math.MaxInt64
		if d.kind != "show" {
			h.open++
		}
	}
	h.ops = append(h.ops, op)
}

// sightings says when a value of a property had been shown to somebody first.
func (h *history) sightings() map[[2]int]int64 {
	first := map[[2]int]int64{}
	for _, op := range h.ops {
		r := op.Output.(reply)
		if !r.shown {
			continue
		}
		for i, v := range r.state.props {
			if at, ok := first[[2]int{i, v}]; !ok || op.Return < at {
				first[[2]int{i, v}] = op.Return
			}
		}
	}
	return first
}

// check says whether there is an order of all that happened which explains it. A
// patch that nobody knows to be done and whose value nobody saw explains nothing,
// and is left out.
func (h *history) check(patience time.Duration) (porcupine.CheckResult, porcupine.LinearizationInfo, int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var ops []porcupine.Operation
	checked, sight := 0, h.sightings()
	for i, op := range h.ops {
		d, r := op.Input.(deed), op.Output.(reply)
		at, seen := sight[[2]int{d.prop, d.value}]
		if !r.known && (d.kind == "show" || d.kind == "patch" && !seen) {
			continue
		}
		d.id = i + 1
		op.Input = d
		ops = append(ops, op)
		checked++
		if d.kind == "show" || !r.known && d.kind != "patch" {
			continue
		}
		known := op.Return
		if !r.known {
			known = at + int64(h.lease)
		}
		ops = append(ops, porcupine.Operation{ClientId: op.ClientId, Input: deed{kind: "seal", id: d.id}, Call: known + 1, Output: r, Return: known + 1})
	}
	result, info := porcupine.CheckOperationsVerbose(imageModel, ops, patience)
	return result, info, checked
}

// explain tells of a history that nothing explains: the deeds around the first one
// that has no place in the longest order, and a file with a picture of all.
func (h *history) explain(t *testing.T, info porcupine.LinearizationInfo) {
	t.Helper()
	f, err := os.CreateTemp("", "glimpse-history-*.html")
	must(t, err)
	defer f.Close()
	must(t, porcupine.Visualize(imageModel, info, f))
	var longest []porcupine.Operation
	for _, part := range info.PartialLinearizationsOperations() {
		for _, ops := range part {
			if len(ops) > len(longest) {
				longest = ops
			}
		}
	}
	placed := map[[2]int64]bool{}
	for _, op := range longest {
		placed[[2]int64{op.Call, op.Return}] = true
	}
	var stuck int64 = math.MaxInt64
	for _, op := range h.ops {
		if !placed[[2]int64{op.Call, op.Return}] {
			stuck = min(stuck, op.Return)
		}
	}
	var around strings.Builder
	ops := slices.SortedFunc(slices.Values(h.ops), func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	for _, op := range ops {
		if op.Call <= stuck && (op.Return > stuck-int64(time.Second) || op.Input.(deed).kind != "show") {
			mark := ""
			if !placed[[2]int64{op.Call, op.Return}] {
				mark = "  <- no place"
			}
			fmt.Fprintf(&around, "\n%9.1f %9.1f ms %s%s", float64(op.Call)/1e6, min(float64(op.Return)/1e6, 1e6), imageModel.DescribeOperation(op.Input, op.Output), mark)
		}
	}
	t.Errorf("image %s: no order of %d deeds explains what the clients saw; of %d at most. See %s%s", h.id, len(h.ops), len(longest), f.Name(), around.String())
}

// The checker takes what may be, and finds what may not.
func TestHistoriesThatMayAndMayNotBe(t *testing.T) {
	type op struct {
		d        deed
		asked    int64
		answered int64
		r        reply
	}
	patch := func(v int) deed { return deed{kind: "patch", value: v} }
	show := deed{kind: "show"}
	ok, open, gone := reply{known: true}, reply{}, reply{known: true, gone: true}
	reads := func(v int) reply { return reply{known: true, shown: true, state: state{props: [2]int{v, 0}}} }
	for name, c := range map[string]struct {
		may bool
		ops []op
	}{
		"read after write":                          {true, []op{{patch(1), 0, 10, reads(1)}, {show, 11, 12, reads(1)}}},
		"stale":                                     {false, []op{{patch(1), 0, 10, reads(1)}, {show, 11, 12, reads(0)}}},
		"either beside the write":                   {true, []op{{patch(1), 0, 10, reads(1)}, {show, 1, 2, reads(0)}, {show, 3, 4, reads(1)}}},
		"back again beside the write":               {true, []op{{patch(1), 0, 10, reads(1)}, {show, 1, 2, reads(1)}, {show, 3, 4, reads(0)}}},
		"unknown, and done late":                    {true, []op{{patch(1), 0, 10, open}, {show, 11, 12, reads(0)}, {show, 13, 14, reads(1)}}},
		"unknown, and never done":                   {true, []op{{patch(1), 0, 10, open}, {show, 11, 12, reads(0)}}},
		"unknown, done and seen by some only":       {true, []op{{patch(1), 0, 10, open}, {show, 11, 12, reads(1)}, {show, 13, 14, reads(0)}}},
		"unknown, and back again after a lease":     {false, []op{{patch(1), 0, 10, open}, {show, 11, 12, reads(1)}, {show, 18, 19, reads(0)}}},
		"unknown, but a later one is known":         {false, []op{{patch(1), 0, 10, open}, {patch(2), 11, 12, reads(2)}, {show, 13, 14, reads(0)}}},
		"unknown, and done after a later one":       {true, []op{{patch(1), 0, 10, open}, {patch(2), 11, 12, reads(2)}, {show, 13, 14, reads(1)}}},
		"deleted, and a reader is not told yet":     {true, []op{{deed{kind: "delete"}, 0, 10, ok}, {show, 1, 2, gone}, {show, 3, 4, reads(0)}}},
		"deactivated twice, and one is known":       {false, []op{{deed{kind: "deactivate"}, 0, 90, open}, {deed{kind: "deactivate"}, 1, 10, ok}, {show, 11, 12, reads(0)}}},
		"a lost update":                             {false, []op{{patch(1), 0, 10, reads(1)}, {deed{kind: "patch", prop: 1, value: 5}, 11, 12, reply{known: true, shown: true, state: state{props: [2]int{0, 5}}}}}},
		"deleted and there":                         {false, []op{{deed{kind: "delete"}, 0, 10, ok}, {show, 11, 12, reads(0)}}},
		"gone though nobody deleted":                {false, []op{{show, 0, 1, gone}}},
		"deactivated, and a reader is not told":     {false, []op{{deed{kind: "deactivate"}, 0, 10, ok}, {show, 11, 12, reads(0)}}},
		"two writers, and who reads second is last": {true, []op{{patch(1), 0, 10, reads(1)}, {patch(2), 0, 10, reads(2)}, {show, 11, 12, reads(1)}}},
	} {
		h := newHistory(name, 50)
		for i, o := range c.ops {
			h.note(i, o.d, h.begun, o.r)
			at := &h.ops[len(h.ops)-1]
			at.Call = 10 * o.asked
			if o.r.known {
				at.Return = 10 * o.answered
			}
		}
		if got, _, _ := h.check(time.Minute); (got == porcupine.Ok) != c.may {
			t.Errorf("%s: %v", name, got)
		}
	}
}
