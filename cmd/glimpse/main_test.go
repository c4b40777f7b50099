package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// ran is a command line's end.
func ran(args ...string) (code int, out, errs string) {
	type ended int
	var o, e bytes.Buffer
	defer func() {
		if c, ok := recover().(ended); ok {
			code, out, errs = int(c), o.String(), e.String()
		}
	}()
	code = run(args, os.Stdin, &o, &e, func(c int) { panic(ended(c)) })
	return code, o.String(), e.String()
}

// A script that reads an image's id from the standard output finds no help there
// when its command line is wrong.
func TestOnlyWhatWasAskedForIsOnTheStandardOutput(t *testing.T) {
	for _, line := range []string{"", "push", "push --no-such-flag x", "pull x", "nonsense", "push x -p nothing", "pull x y --stall soon", "serve --config /none"} {
		code, out, errs := ran(strings.Fields(line)...)
		if code != 2 || out != "" || !strings.Contains(errs, "Usage: glimpse") || !strings.Contains(errs, "error: ") {
			t.Errorf("%q ended with %d, and said %q and %q", line, code, out, errs)
		}
	}
	for _, line := range []string{"--help", "push --help", "pull x --help"} {
		code, out, errs := ran(strings.Fields(line)...)
		if code != 0 || errs != "" || !strings.Contains(out, "Usage: glimpse") {
			t.Errorf("%q ended with %d, and said %q and %q", line, code, out, errs)
		}
	}
	if code, out, errs := ran("version"); code != 0 || out == "" || errs != "" {
		t.Errorf("ended with %d, and said %q and %q", code, out, errs)
	}
	if code, out, errs := ran("pull", "x", "y", "--streams", "0"); code != 2 || out != "" || errs == "" {
		t.Errorf("ended with %d, and said %q and %q", code, out, errs)
	}
}

// A property or a tag is what was said, whatever is in it.
func TestPropertiesAndTagsAreNotSplit(t *testing.T) {
	var c cli
	k, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Parse([]string{"push", "x", "-p", "a=b;c=d,e=f", "--property", "g=", "--tag", "h,i", "--tag", "j;k"}); err != nil {
		t.Fatal(err)
	}
	a := c.Push.attributes()
	tags, _ := a["tags"].([]string)
	if a["a"] != "b;c=d,e=f" || a["g"] != "" || strings.Join(tags, " ") != "h,i j;k" {
		t.Errorf("%q", a)
	}
}
