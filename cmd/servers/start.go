package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
)

type startCmd struct {
	folder
	Binary string   `help:"The node that is to use them." default:"bin/glimpse" type:"path"`
	Only   []string `help:"Start these only, of ${enum}." enum:"swift,versitygw,radosgw,ceph,nginx" placeholder:"NAME,..."`
}

// report is what the daemon says when its servers answer, or when it gives up.
type report struct {
	LeftOut []string
	Failed  string
}

// Run starts the daemon and waits for its report. When it is interrupted the
// daemon ends as well.
func (s startCmd) Run(ctx context.Context, out io.Writer) error {
	if err := s.usable(); err != nil {
		return err
	}
	cmd, said, err := s.launch(ctx)
	if err != nil {
		return err
	}
	defer said.Close()
	fmt.Fprintln(out, "Starting the servers, which takes up to a minute.")
	defer context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })() // it may have ended
	var r report
	if json.NewDecoder(said).Decode(&r) != nil {
		r.Failed = "the servers were killed before all of them answered; see " + s.log()
	}
	if r.Failed != "" {
		_ = cmd.Wait() // what it says is known
		return errors.New(r.Failed)
	}
	for _, l := range r.LeftOut {
		fmt.Fprintln(out, l)
	}
	text, err := os.ReadFile(s.config())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, `
%[1]s
This is in %[2]s. To use it, in two terminals:
  %[3]s serve --config %[2]s
  %[3]s store check --config %[2]s
To end the servers, process %[4]d, and throw the images in them away:
  %[5]s stop --dir %[6]s
`, text, s.config(), s.Binary, cmd.Process.Pid, os.Args[0], s.Dir)
	return err
}

// usable refuses a folder with other things in it, which stop might remove.
func (s startCmd) usable() error {
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		return err
	}
	if _, err := os.Stat(s.pid()); errors.Is(err, fs.ErrNotExist) && len(entries) > 0 {
		return fmt.Errorf("there are other things in %s; name a new or an empty folder with --dir", s.Dir)
	}
	return nil
}

// launch starts the daemon in a session of its own, so that no terminal ends it.
// Its output is the log, and its report comes through a pipe.
func (s startCmd) launch(ctx context.Context) (*exec.Cmd, *os.File, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, err
	}
	defer log.Close()
	said, says, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer says.Close()
	args := []string{"daemon", "--dir", s.Dir, "--binary", s.Binary}
	for _, name := range s.Only {
		args = append(args, "--only", name)
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), self, args...)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = log, log, []*os.File{says}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		said.Close()
		return nil, nil, err
	}
	return cmd, said, nil
}
