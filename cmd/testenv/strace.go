package testenv

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Reads are the calls by which a process may get the bytes of a file.
const Reads = "read,pread64,readv,preadv,sendfile,splice,copy_file_range,mmap"

// Trace is an strace of a process: what the kernel saw.
type Trace struct {
	t    testing.TB
	cmd  *exec.Cmd
	file string
}

// Strace attaches to a process and waits until it has. calls are names with commas.
func Strace(t testing.TB, pid int, calls string) *Trace {
	t.Helper()
	Need(t, "strace")
	tr := &Trace{t: t, file: filepath.Join(t.TempDir(), "trace")}
	tr.cmd = exec.Command("strace", "-f", "-y", "-qq", "-e", "trace="+calls, "-o", tr.file, "-p", strconv.Itoa(pid))
	if err := tr.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.end)
	for deadline := time.Now().Add(10 * time.Second); !traced(pid); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("strace does not attach")
		}
	}
	return tr
}

// traced says whether somebody traces the process.
func traced(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	return err == nil && !bytes.Contains(b, []byte("TracerPid:\t0\n"))
}

func (tr *Trace) end() {
	if tr.cmd == nil {
		return
	}
	_ = tr.cmd.Process.Signal(syscall.SIGINT)
	_ = tr.cmd.Wait()
	tr.cmd = nil
}

// Text ends the trace and returns it.
func (tr *Trace) Text() string {
	tr.t.Helper()
	tr.end()
	b, err := os.ReadFile(tr.file)
	if err != nil {
		tr.t.Fatal(err)
	}
	return string(b)
}

var readCall = regexp.MustCompile(`(\d+) +(?:(?:<\.\.\. )?(\w+)(?:\(| resumed).*)= (\d+)$`)

// BytesOf ends the trace and adds up what was read of files below dir. A call that
// another interrupts in the trace ends on a later line of the same thread.
func (tr *Trace) BytesOf(dir string) (total int64) {
	tr.t.Helper()
	pending := map[string]bool{} // threads in a call on such a file
	for line := range strings.Lines(tr.Text()) {
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
		m := readCall.FindStringSubmatch(line)
		if !ours || m == nil {
			continue
		}
		if m[2] == "mmap" {
			tr.t.Errorf("the file is mapped, what is read of it can't be counted: %s", line)
		}
		n, err := strconv.ParseInt(m[3], 10, 64)
		if err != nil {
			tr.t.Fatal(err)
		}
		total += n
	}
	return total
}
