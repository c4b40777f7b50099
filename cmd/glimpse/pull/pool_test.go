package pull

import (
	"errors"
	"strings"
	"testing"
	"time"

	"glimpse/cmd/glimpse/imageapi"
)

// Which nodes share the work: those of the zone, and where there is none those
// about as near as the nearest.
func TestWhoIsAsked(t *testing.T) {
	ms := time.Millisecond
	node := func(base string, near bool, rtt time.Duration) imageapi.Node {
		return imageapi.Node{Base: base, Near: near, RTT: rtt}
	}
	here := []imageapi.Node{node("a", true, ms), node("b", true, 50*ms), node("c", true, 60*ms), node("x", false, ms), node("y", false, 3*ms), node("z", false, 30*ms)}
	for name, c := range map[string]struct {
		list  []imageapi.Node
		use   int
		down  string
		wrong string
		slow  string
		want  string // in the order in which eight picks go
	}{
		"the zone":                {here, 4, "", "", "", "abcabcab"},
		"two of the zone":         {here, 2, "", "", "", "abababab"},
		"one away":                {here, 2, "a", "", "", "bcbcbcbc"},
		"the zone away":           {here, 4, "abc", "", "", "xyxyxyxy"},
		"one was wrong":           {here, 4, "", "b", "", "acacacac"},
		"all of the zone wrong":   {here, 4, "", "abc", "", "xyxyxyxy"},
		"all wrong":               {here, 2, "", "abcxyz", "", "abababab"},
		"a slow one":              {here, 2, "", "", "a", "bbbbbbbb"},
		"a slow one, alone":       {here, 2, "bc", "", "a", "aaaaaaaa"},
		"the only one was wrong":  {here[:1], 4, "", "a", "", "aaaaaaaa"},
		"the nearest of far ones": {here[3:], 4, "", "", "", "xyxyxyxy"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPool(c.list, c.use)
			avoid := shunned{}
			now := time.Now()
			for _, n := range p.all {
				if strings.Contains(c.down, n.Base) {
					n.until = now.Add(time.Second)
				}
				if strings.Contains(c.wrong, n.Base) {
					avoid.wrong = append(avoid.wrong, n)
				}
				if n.Base == c.slow {
					avoid.slow = n
				}
			}
			got := ""
			for range 8 {
				n, _, err := p.next(avoid, now)
				if n == nil || err != nil {
					t.Fatal(n, err)
				}
				got += n.Base
			}
			if got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestWhoIsNotAskedAgain(t *testing.T) {
	p := newPool([]imageapi.Node{{Base: "a", Near: true}, {Base: "b", Near: true}}, 2)
	gone := imageapi.Errorf(imageapi.NotFound, "it is deleted")
	for range 2 {
		n, err := p.pick(t.Context(), shunned{})
		if err != nil {
			t.Fatal(err)
		}
		p.failed(n, gone)
	}
	if _, err := p.pick(t.Context(), shunned{}); !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
}

// A node that gave wrong bytes is not asked again because a good one is away for a
// moment, but is where that one has failed often.
func TestAGoodNodeIsWaitedFor(t *testing.T) {
	p := newPool([]imageapi.Node{{Base: "bad", Near: true}, {Base: "good"}}, 2)
	bad, good := p.all[0], p.all[1]
	now := time.Now()
	good.until, good.failures = now.Add(time.Second), 1
	avoid := shunned{wrong: []*node{bad}}
	if n, wait, err := p.next(avoid, now); n != nil || wait != time.Second || err != nil {
		t.Errorf("%v, %v, %v", n, wait, err)
	}
	if n, _, _ := p.next(avoid, good.until); n != good {
		t.Error("it was waited for, and another is asked")
	}
	good.failures = forgiven + 1
	if n, _, _ := p.next(avoid, now); n != bad {
		t.Error("it is waited for again and again")
	}
}

// Streams that break off together are one failure.
func TestStreamsThatBreakOffTogether(t *testing.T) {
	p := newPool([]imageapi.Node{{Base: "a"}}, 1)
	n := p.all[0]
	for range 8 {
		p.failed(n, errIdle)
	}
	if wait := time.Until(n.until); wait > firstWait {
		t.Errorf("it is left alone for %v", wait)
	}
}
