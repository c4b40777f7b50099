package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// trace is an strace of a node's reads: what the origin gives is counted there.
type trace struct {
	cmd  *exec.Cmd
	file string
}

// strace attaches to a node and waits until it has.
func (l *lab) strace(g *glimpse) (*trace, error) {
	pid := strconv.Itoa(g.cmd.Process.Pid)
	t := &trace{file: filepath.Join(l.TempDir(), "trace")}
	t.cmd = exec.Command("strace", "-f", "-y", "-qq", "-e", "trace=pread64,readv,preadv,sendfile,copy_file_range,mmap", "-o", t.file, "-p", pid)
	if err := t.cmd.Start(); err != nil {
		return nil, err
	}
	l.Cleanup(t.end)
	ctx, cancel := context.WithTimeout(l.ctx, 10*time.Second)
	defer cancel()
	for {
		b, err := os.ReadFile("/proc/" + pid + "/status")
		if err == nil && !bytes.Contains(b, []byte("TracerPid:\t0\n")) {
			return t, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("strace does not attach: %w", ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (t *trace) end() {
	if t.cmd == nil {
		return
	}
	_ = t.cmd.Process.Signal(syscall.SIGINT)
	_ = t.cmd.Wait()
	t.cmd = nil
}

var call = regexp.MustCompile(`= (\d+)$`)

// bytesOf ends the trace and adds up what was read of files below dir.
func (t *trace) bytesOf(dir string) (total int64, err error) {
	t.end()
	b, err := os.ReadFile(t.file)
	if err != nil {
		return 0, err
	}
	pending := map[string]bool{} // threads in a call on such a file
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		thread, _, _ := strings.Cut(line, " ")
		ours := strings.Contains(line, "<"+dir+"/")
		if strings.HasSuffix(line, "<unfinished ...>") {
			pending[thread] = ours
			continue
		}
		if strings.Contains(line, "resumed>") {
			ours = pending[thread]
			delete(pending, thread)
		}
		m := call.FindStringSubmatch(line)
		if !ours || m == nil {
			continue
		}
		if strings.Contains(line, "mmap") {
			return 0, fmt.Errorf("the origin is mapped, what is read can't be counted: %s", line)
		}
		n, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}
