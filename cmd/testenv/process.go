package testenv

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is a server that this package started and ends, by its pid.
type process struct {
	cmd  *exec.Cmd
	log  string // file
	done chan struct{}
}

// launch starts a program with its output appended to the file log.
func launch(log string, env []string, name string, args ...string) (*process, error) {
	bin, err := find(name)
	if err != nil {
		return nil, err
	}
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(bin, args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, log: log, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		_ = cmd.Wait()
	}()
	return p, nil
}

// Environ is the environment without what is meant for the tests: a node refuses
// what begins with GLIMPSE_ and is no key.
func Environ() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "GLIMPSE_LONG=") || strings.HasPrefix(v, "GLIMPSE_SOAK=")
	})
}

// end sends the signal and waits, at most a minute; then the process is killed.
func (p *process) end(sig os.Signal) {
	_ = p.cmd.Process.Signal(sig)
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// output is what the process has written.
func (p *process) output() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// answers waits until url answers with any status below 500, or the process has
// ended.
func (p *process) answers(url string, within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	client := &http.Client{Timeout: 2 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	for {
		if ok(ctx, client, url) {
			return nil
		}
		select {
		case <-p.done:
			return errors.New("the server ended: " + p.output())
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %s", url, p.output())
		case <-time.After(30 * time.Millisecond):
		}
	}
}

func ok(ctx context.Context, client *http.Client, url string) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := client.Do(r)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode < 500
}

// Run runs a command, which must succeed, and returns its standard output.
func Run(t testing.TB, env []string, name string, args ...string) string {
	t.Helper()
	out, err := TryRun(t, env, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TryRun runs a command for at most three minutes.
func TryRun(t testing.TB, env []string, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(Environ(), env...)
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%s %v: %w: %s%s", name, args, err, out, exit.Stderr)
		}
	}
	return string(out), err
}
