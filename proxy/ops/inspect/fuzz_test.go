package inspect

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

// maxFile bounds what the fuzzer builds: past the tables of a VHDX.
const maxFile = 2 << 20

// FuzzInspect builds a file of a start, a stretch in the middle and an end, cuts
// it in two ways and wants the same sane result, within bounded memory.
func FuzzInspect(f *testing.F) {
	for _, b := range made() {
		// Files longer than the fuzzer likes are mostly zeroes: keep what isn't.
		start := b[:min(len(b), 2048)]
		mid := b[min(len(b), isoOffset):min(len(b), isoOffset+isoSize)]
		f.Add(start, uint32(isoOffset), mid, b[len(b)-min(len(b), tailSize):], []byte{1, 200, 3})
	}
	x := madeVHDX(1<<30, 64<<10)
	f.Add(x[:512], uint32(vhdxRegions), x[vhdxRegions:vhdxRegions+256], x[:0], []byte{255, 255})
	f.Fuzz(func(t *testing.T, start []byte, at uint32, mid, end, cuts []byte) {
		file := make([]byte, 0, len(start)+len(mid)+len(end))
		file = append(file, start...)
		if len(mid) > 0 {
			file = put(file, int(at%maxFile), string(mid))
		}
		file = append(file, end...)
		if len(file) > 2*maxFile {
			return
		}
		before := bytes.Clone(file)
		want := look(file)
		got, memory := inCuts(file, cuts)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("cut: %+v, whole: %+v", got, want)
		}
		if memory > maxMemory {
			t.Fatalf("%d bytes kept", memory)
		}
		if !bytes.Equal(before, file) {
			t.Fatal("the bytes were changed")
		}
		sane(t, want)
	})
}

// inCuts writes the file in pieces as long as the cuts say, over and over.
func inCuts(file, cuts []byte) (Result, int) {
	i := New()
	for n := 0; len(file) > 0; n++ {
		k := 4096
		if len(cuts) > 0 {
			k = 1 + int(cuts[n%len(cuts)])*int(cuts[n%len(cuts)])
		}
		k = min(k, len(file))
		_, _ = i.Write(file[:k])
		file = file[k:]
	}
	return i.Finish(), i.memory()
}

func sane(t *testing.T, r Result) {
	if r.VirtualSize < -1 || r.Format == "" {
		t.Fatalf("%+v", r)
	}
	if r.Ambiguous != strings.Contains(r.Format, "+") {
		t.Fatalf("%+v", r)
	}
	if err := r.Check(r.Format, true); (err != nil) != (r.Ambiguous || len(r.Problems) > 0) {
		t.Fatalf("%+v: %v", r, err)
	}
	if err := r.Check("raw", false); (err != nil) != r.Ambiguous {
		t.Fatalf("%+v as raw: %v", r, err)
	}
}
