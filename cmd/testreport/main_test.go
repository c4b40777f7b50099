package main

import (
	"errors"
	"strings"
	"testing"
)

const lines = `{"Action":"run","Package":"glimpse/a","Test":"TestX"}
{"Action":"output","Package":"glimpse/a","Test":"TestX","Output":"    x_test.go:1: it broke\n"}
{"Action":"fail","Package":"glimpse/a","Test":"TestX","Elapsed":1.5}
{"Action":"skip","Package":"glimpse/a","Test":"TestY/sub","Elapsed":0}
{"Action":"pass","Package":"glimpse/a","Test":"TestY","Elapsed":0.1}
{"Action":"fail","Package":"glimpse/a","Elapsed":2}
{"Action":"pass","Package":"glimpse/b","Elapsed":0.3}
a build's own words
`

func read(text string) (*report, *strings.Builder) {
	var out strings.Builder
	r := &report{out: &out, output: map[string][]string{}, failedPackage: map[string]bool{}}
	r.read(strings.NewReader(text))
	return r, &out
}

func TestWhatMattersIsTold(t *testing.T) {
	r, out := read(lines)
	if code := r.close(false, errors.New("exit 1")); code != 1 {
		t.Error("a failure passes")
	}
	for _, want := range []string{
		"--- FAIL: a.TestX (1.50 s)", "it broke", "FAIL\tglimpse/a", "ok  \tglimpse/b", "skipped: a.TestY/sub", "a build's own words", "\n1 passed, 1 failed, 1 skipped\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing from\n%s", want, out)
		}
	}
}

func TestASkippedTestFailsCI(t *testing.T) {
	const skipped = `{"Action":"skip","Package":"glimpse/a","Test":"TestY"}` + "\n" + `{"Action":"pass","Package":"glimpse/a"}` + "\n"
	r, _ := read(skipped)
	if code := r.close(true, nil); code != 1 {
		t.Error("it passes")
	}
	if r, _ = read(skipped); r.close(false, nil) != 0 {
		t.Error("it fails elsewhere too")
	}
}
