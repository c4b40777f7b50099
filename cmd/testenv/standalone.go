package testenv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Standalone is a testing.TB for programs that are no tests, as far as this
// package needs one.
type Standalone struct {
	testing.TB // nil: what is not below is not there
	ctx        context.Context
	out        io.Writer
	dir        string
	folders    int
	cleanup    []func()
}

// errGiveUp is what Fatal throws.
type errGiveUp struct{ error }

// Alone runs fn, ends what it started, last first, and returns its error or what
// it failed with. Folders are made under dir, which must be there.
func Alone(ctx context.Context, dir string, out io.Writer, fn func(*Standalone) error) (err error) {
	s := &Standalone{ctx: ctx, out: out, dir: dir}
	defer func() {
		if r := recover(); r != nil {
			gaveUp, ok := r.(errGiveUp)
			if !ok {
				panic(r)
			}
			err = gaveUp.error
		}
		for i := len(s.cleanup) - 1; i >= 0; i-- {
			s.cleanup[i]()
		}
	}()
	return fn(s)
}

// Helper does nothing.
func (s *Standalone) Helper() {}

// Name is always the same.
func (s *Standalone) Name() string { return "standalone" }

// Context is the one given to Alone.
func (s *Standalone) Context() context.Context { return s.ctx }

// Cleanup has fn called at the end.
func (s *Standalone) Cleanup(fn func()) { s.cleanup = append(s.cleanup, fn) }

// Log prints a line.
func (s *Standalone) Log(args ...any) {
	fmt.Fprintln(s.out, strings.TrimSuffix(fmt.Sprintln(args...), "\n"))
}

// Logf prints a line.
func (s *Standalone) Logf(format string, a ...any) { s.Log(fmt.Sprintf(format, a...)) }

// Fatal ends fn.
func (s *Standalone) Fatal(args ...any) { panic(errGiveUp{errors.New(fmt.Sprint(args...))}) }

// Fatalf ends fn.
func (s *Standalone) Fatalf(format string, a ...any) { panic(errGiveUp{fmt.Errorf(format, a...)}) }

// Error is Fatal.
func (s *Standalone) Error(args ...any) { s.Fatal(args...) }

// Errorf is Fatalf.
func (s *Standalone) Errorf(format string, a ...any) { s.Fatalf(format, a...) }

// Skip is Fatal.
func (s *Standalone) Skip(args ...any) { s.Fatal(args...) }

// Skipf is Fatalf.
func (s *Standalone) Skipf(format string, a ...any) { s.Fatalf(format, a...) }

// TempDir is a folder that stays until dir goes.
func (s *Standalone) TempDir() string {
	s.folders++
	d := filepath.Join(s.dir, fmt.Sprint(s.folders))
	if err := os.Mkdir(d, 0o755); err != nil {
		s.Fatal(err)
	}
	return d
}
