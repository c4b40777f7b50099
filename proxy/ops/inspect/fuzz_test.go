package inspect

import (
	"reflect"
	"strings"
	"testing"
)

// maxGap bounds the stretches of zeroes in what the fuzzer builds. The tables of
// a VHDX and what they lead to fit into two.
const maxGap = 256 << 10

// FuzzInspect builds a file of three stretches of bytes with zeroes between and
// behind them, cuts it in two ways and wants the same sane result of both,
// within bounded memory.
func FuzzInspect(f *testing.F) {
	for _, b := range made() {
		if len(b) > 2*maxGap {
			continue // the VHDX: below
		}
		start, end := b[:min(len(b), 2048)], b[len(b)-min(len(b), tailSize):]
		mid := b[min(len(b), isoOffset):min(len(b), isoOffset+256)]
		f.Add(start, uint32(isoOffset-len(start)), mid, uint32(0), end, uint32(0), []byte{1, 200, 3})
	}
	x := madeVHDX(1<<30, 64<<10)
	le.PutUint64(x[vhdxRegions+16+32+16:], vhdxRegions+vhdxTableSize)
	f.Add(x[:512], uint32(vhdxRegions-512), x[vhdxRegions:vhdxRegions+256], uint32(vhdxTableSize-256),
		x[2<<20:2<<20+256], uint32(vhdxTableSize), []byte{255, 255})
	f.Fuzz(func(t *testing.T, start []byte, gap1 uint32, mid []byte, gap2 uint32, end []byte, gap3 uint32, cuts []byte) {
		if len(start)+len(mid)+len(end) > maxGap {
			return
		}
		var file []byte
		file = append(append(file, start...), make([]byte, gap1%(maxGap+1))...)
		file = append(append(file, mid...), make([]byte, gap2%(maxGap+1))...)
		file = append(append(file, end...), make([]byte, gap3%(maxGap+1))...)
		want := look(file)
		got, memory := inCuts(file, cuts)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("cut: %+v, whole: %+v", got, want)
		}
		if memory > maxMemory {
			t.Fatalf("%d bytes kept", memory)
		}
		sane(t, want)
	})
}

// inCuts writes the file in pieces as long as the cuts say, over and over; some
// hundred of them, and the rest in pages.
func inCuts(file, cuts []byte) (Result, int) {
	i := New()
	for n := 0; len(file) > 0; n++ {
		k := 4099
		if len(cuts) > 0 && n < 600 {
			k = 1 + int(cuts[n%len(cuts)])*int(cuts[n%len(cuts)])
		}
		k = min(k, len(file))
		_, _ = i.Write(file[:k])
		file = file[k:]
	}
	return i.Finish(), i.memory()
}

func sane(t *testing.T, r Result) {
	t.Helper()
	if r.VirtualSize < -1 || r.Format == "" {
		t.Fatalf("%+v", r)
	}
	if r.Ambiguous != strings.Contains(r.Format, "+") {
		t.Fatalf("%+v", r)
	}
	if r.Ambiguous {
		if r.Check("raw", false) == nil || r.Check("qcow2", false) == nil {
			t.Fatalf("%+v passed", r)
		}
		return
	}
	if err := r.Check(r.Format, true); r.Format != "raw" && (err != nil) != (len(r.Problems) > 0) {
		t.Fatalf("%+v: %v", r, err)
	}
	if err := r.Check("raw", false); err != nil {
		t.Fatalf("%+v as raw: %v", r, err)
	}
}
