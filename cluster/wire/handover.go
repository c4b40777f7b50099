package wire

import (
	"encoding/json"
	"fmt"
	"slices"

	"glimpse/cachestore/chunk"
	"glimpse/cluster"
)

// The questions of a hand-over, which nodes of an earlier version don't know.
const (
	List   = "/glimpse/peer/v1/list"
	Take   = "/glimpse/peer/v1/take"
	Vitals = "/glimpse/peer/v1/vitals"
)

// MaxAnswer bounds the answer to a call, bytes: one frame.
const MaxAnswer = GroupBytes

// How much of an answer a holding takes, at most, without its texts, and a run.
const (
	holdingBytes = 128
	runBytes     = 24
)

// Claiming is the ask of a claim.
func Claiming(q cluster.Claim) Ask {
	return Ask{Ask: cluster.Ask{From: q.From, Geometry: q.Geometry, Level: q.Level}, After: q.After}
}

// Claim returns the claim of an ask, or refuses one that a node with geometry g
// can't answer.
func (a Ask) Claim(g chunk.Geometry) (cluster.Claim, error) {
	switch {
	case a.Geometry != g:
		return cluster.Claim{}, ErrGeometry
	case a.Level != cluster.Zone && a.Level != cluster.Home:
		return cluster.Claim{}, garbage("level %d", a.Level)
	case len(a.After.Key) > maxField || a.After.Index < 0:
		return cluster.Claim{}, garbage("a claim behind nothing")
	}
	return cluster.Claim{From: a.From, Geometry: a.Geometry, Level: a.Level, After: a.After}, nil
}

type page struct {
	Holdings []holding `json:"holdings,omitempty"`
	After    []byte    `json:"after,omitempty"`
	Index    int       `json:"index,omitempty"`
}

type holding struct {
	Object object   `json:"object"`
	Runs   [][2]int `json:"runs"`
}

// Fitter says what more finds room in a page.
type Fitter struct{ left int }

// NewFitter is for an empty page.
func NewFitter() Fitter { return Fitter{MaxAnswer - maxField*4/3 - 256} } // the cursor, and some

// Object takes room for an object with one run, or says that there is none.
func (f *Fitter) Object(o chunk.Object) bool {
	return f.take(holdingBytes + runBytes + (len(o.Key)+len(o.Validator)+len(o.Ref)+6)*4/3)
}

// Run takes room for one run more.
func (f *Fitter) Run() bool { return f.take(runBytes) }

func (f *Fitter) take(n int) bool {
	if f.left < n {
		return false
	}
	f.left -= n
	return true
}

// EncodePage returns the answer to a claim.
func EncodePage(p cluster.Page) ([]byte, error) {
	to := page{After: []byte(p.Next.Key), Index: p.Next.Index, Holdings: make([]holding, len(p.Holdings))}
	for i, h := range p.Holdings {
		to.Holdings[i].Object = out(h.Object)
		for _, r := range h.Runs {
			to.Holdings[i].Runs = append(to.Holdings[i].Runs, [2]int{r.First, r.Count})
		}
	}
	b, err := json.Marshal(to)
	if err == nil && len(b) > MaxAnswer {
		err = fmt.Errorf("a page of %d bytes, at most %d", len(b), MaxAnswer)
	}
	return b, err
}

// DecodePage reads the answer to a claim and checks it: it lists chunks that the
// objects have, in order, and goes on behind the claim's own beginning.
func DecodePage(b []byte, q cluster.Claim) (cluster.Page, error) {
	var in page
	if err := json.Unmarshal(b, &in); err != nil {
		return cluster.Page{}, garbage("not a page: %v", err)
	}
	p := cluster.Page{Next: cluster.Cursor{Key: chunk.Key(in.After), Index: in.Index}}
	for _, h := range in.Holdings {
		one := cluster.Holding{Object: h.Object.in()}
		for _, r := range h.Runs {
			one.Runs = append(one.Runs, cluster.Run{First: r[0], Count: r[1]})
		}
		p.Holdings = append(p.Holdings, one)
	}
	if p.Next != (cluster.Cursor{}) && !q.After.Less(p.Next) || len(p.Next.Key) > maxField || p.Next.Index < 0 {
		return p, garbage("a page that goes on before its beginning")
	}
	last := chunk.Key("")
	for _, h := range p.Holdings {
		if err := checkHolding(h, q.Geometry); err != nil {
			return p, err
		}
		if h.Object.Key <= last {
			return p, garbage("objects out of order")
		}
		last = h.Object.Key
	}
	return p, nil
}

func checkHolding(h cluster.Holding, g chunk.Geometry) error {
	o := h.Object
	if err := CheckObject(o); err != nil {
		return err
	}
	if o.Key == "" || o.Size <= 0 || o.Size > 1<<62 {
		return garbage("a holding of %d bytes", o.Size)
	}
	next, count := 0, g.Count(o.Size)
	bad := slices.ContainsFunc(h.Runs, func(r cluster.Run) bool {
		bad := r.First < next || r.Count <= 0 || r.First >= count || r.Count > count-r.First
		next = r.First + r.Count
		return bad
	})
	if bad {
		return garbage("chunks that an object does not have")
	}
	return nil
}

// EncodeAccount and DecodeAccount carry the answer to a take, EncodeVitals and
// DecodeVitals that of a node about itself.
func EncodeAccount(a cluster.Account) ([]byte, error) { return json.Marshal(a) }

// DecodeAccount is the opposite of EncodeAccount.
func DecodeAccount(b []byte) (a cluster.Account, err error) {
	if json.Unmarshal(b, &a) != nil || a.Chunks < 0 || a.Bytes < 0 || a.Left < 0 {
		return cluster.Account{}, garbage("not an account")
	}
	return a, nil
}

// EncodeVitals returns the answer of a node about itself.
func EncodeVitals(v cluster.Vitals) ([]byte, error) { return json.Marshal(v) }

// DecodeVitals is the opposite of EncodeVitals.
func DecodeVitals(b []byte) (v cluster.Vitals, err error) {
	if json.Unmarshal(b, &v) != nil {
		return cluster.Vitals{}, garbage("not what a node tells of itself")
	}
	return v, nil
}
