package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"glimpse/cmd/testenv"

	"go.yaml.in/yaml/v3"
)

// asProgram has the test binary be the program.
const asProgram = "SERVERS_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	testenv.Main(m)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tool is the program with a folder of its own.
type tool struct {
	folder
	t *testing.T
}

func program(t *testing.T) tool {
	t.Helper()
	s := tool{t: t, folder: folder{Dir: filepath.Join(t.TempDir(), "here")}}
	t.Cleanup(func() {
		if out, err := s.try("stop"); err != nil {
			t.Error(err, out)
		}
	})
	return s
}

func (s tool) command(args ...string) *exec.Cmd {
	s.t.Helper()
	self, err := os.Executable()
	must(s.t, err)
	cmd := exec.Command(self, append(args, "--dir", s.Dir)...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

func (s tool) try(args ...string) (string, error) {
	s.t.Helper()
	out, err := s.command(args...).CombinedOutput()
	return string(out), err
}

// run runs a command, which must succeed and say what is wanted.
func (s tool) run(want string, args ...string) string {
	s.t.Helper()
	out, err := s.try(args...)
	if err != nil || !strings.Contains(out, want) {
		s.t.Fatalf("servers %v: %v\n%s", args, err, out)
	}
	return out
}

func (s tool) refused(want string, args ...string) {
	s.t.Helper()
	if out, err := s.try(args...); err == nil || !strings.Contains(out, want) {
		s.t.Errorf("servers %v: %v\n%s", args, err, out)
	}
}

// daemon is the process that has the lock.
func (s tool) daemon() int {
	s.t.Helper()
	f, err := os.Open(s.pid())
	must(s.t, err)
	defer f.Close()
	pid, err := holder(f)
	must(s.t, err)
	return pid
}

// left returns the servers of the folder: all of them have files in it open.
func (s tool) left() (all []string) {
	s.t.Helper()
	fds, err := filepath.Glob("/proc/[0-9]*/fd/*")
	must(s.t, err)
	seen := map[string]bool{}
	for _, fd := range fds {
		file, err := os.Readlink(fd)
		process := filepath.Dir(filepath.Dir(fd))
		if err != nil || !strings.HasPrefix(file, s.data()) || seen[process] {
			continue // it has ended, or is another's
		}
		seen[process] = true
		line, _ := os.ReadFile(process + "/cmdline")
		all = append(all, process+" "+strings.ReplaceAll(string(line), "\x00", " "))
	}
	return all
}

// until waits for what must come to pass.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never seen: " + what)
		}
	}
}

func (s tool) nothingLeft() {
	s.t.Helper()
	if all := s.left(); len(all) > 0 {
		s.t.Errorf("still there:\n%s", strings.Join(all, "\n"))
	}
	for _, name := range []string{s.data(), s.config()} {
		if _, err := os.Lstat(name); !os.IsNotExist(err) {
			s.t.Errorf("%s: %v", name, err)
		}
	}
}

// The whole way of somebody who tries a node on all servers that are here.
func TestEveryStoreTakesAnImageAndGivesItBack(t *testing.T) {
	testenv.Need(t, "curl", "versitygw", "nginx")
	s := program(t)
	glimpse := testenv.Binary(t)
	out := s.run("serve --config "+s.config(), "start", "--binary", glimpse)
	if strings.Contains(out, "left out") {
		if os.Getenv("CI") == "true" {
			t.Error(out)
		}
		t.Log(out)
	}
	if n := len(s.left()); n < 2 {
		t.Errorf("%d servers found", n)
	}
	s.refused("run already (process "+strconv.Itoa(s.daemon())+")", "start", "--binary", glimpse)
	testenv.Run(t, nil, glimpse, "serve", "--check", "--config", s.config())

	var config struct {
		Stores map[string]struct{ Type string }
	}
	text, err := os.ReadFile(s.config())
	must(t, err)
	must(t, yaml.Unmarshal(text, &config))
	t.Setenv("GLIMPSE_CONFIG", s.config())
	n := testenv.Glimpse(t, "cache.memory.size=512MiB")
	checked := testenv.Run(t, nil, glimpse, append([]string{"store", "check"}, n.Args()...)...)
	if passed := strings.Count(checked, "written, read, deleted"); passed != len(config.Stores)-1 {
		t.Errorf("%d stores pass:\n%s", passed, checked)
	}

	files, images := map[string]string{}, map[string]string{}
	for id, st := range config.Stores {
		images[id] = create(t, n)
		if st.Type == "http" {
			files[id] = s.find("first.img")
			link(t, n, images[id], string(text))
			continue
		}
		files[id] = random(t)
		curl(t, "-T", files[id], "-H", "Content-Type: application/octet-stream", "-H", "X-Image-Meta-Store: "+id, n.URL("/v2/images/"+images[id]+"/file"))
	}
	n.Stop()
	must(t, os.RemoveAll(filepath.Join(n.Dir, "cache"))) // what follows comes out of the stores
	n.Start()
	for id, image := range images {
		var m struct{ Status, Stores string }
		must(t, json.Unmarshal([]byte(curl(t, n.URL("/v2/images/"+image))), &m))
		if m.Status != "active" || m.Stores != id {
			t.Errorf("%s: got %+v", id, m)
		}
		back := filepath.Join(t.TempDir(), "back")
		curl(t, "-o", back, n.URL("/v2/images/"+image+"/file"))
		testenv.Run(t, nil, "cmp", back, files[id])
	}
	n.Stop()

	s.run("have ended", "stop")
	s.nothingLeft()
	s.run("not running", "stop")
}

func curl(t *testing.T, args ...string) string {
	t.Helper()
	return testenv.Run(t, nil, "curl", append([]string{"-sS", "--fail-with-body"}, args...)...)
}

func create(t *testing.T, n *testenv.Node) string {
	t.Helper()
	var m struct{ ID string }
	must(t, json.Unmarshal([]byte(curl(t, "-H", "Content-Type: application/json", "-d", `{"disk_format": "raw", "container_format": "bare"}`, n.URL("/v2/images"))), &m))
	return m.ID
}

func random(t *testing.T) string {
	t.Helper()
	b := make([]byte, 5<<20+3)
	_, _ = rand.NewChaCha8([32]byte{byte(rand.Uint64())}).Read(b)
	name := filepath.Join(t.TempDir(), "image")
	must(t, os.WriteFile(name, b, 0o600))
	return name
}

// find returns a file of that name below the servers' folder.
func (s tool) find(name string) string {
	s.t.Helper()
	found := strings.Fields(testenv.Run(s.t, nil, "find", s.data(), "-name", name))
	if len(found) != 1 {
		s.t.Fatalf("%s: %v", name, found)
	}
	return found[0]
}

// link does what a comment in the configuration says.
func link(t *testing.T, n *testenv.Node, id, config string) {
	t.Helper()
	_, line, ok := strings.Cut(config, "# curl ")
	if !ok {
		t.Fatalf("no command for a file on the web:\n%s", config)
	}
	line, _, _ = strings.Cut(line, "\n")
	line = strings.NewReplacer("127.0.0.1:9292", n.API, "ID/", id+"/").Replace(line)
	testenv.Run(t, nil, "sh", "-c", "curl -sS --fail-with-body "+line)
}

// A daemon that is killed takes its servers along and keeps nobody from starting.
func TestADaemonThatIsKilled(t *testing.T) {
	testenv.Need(t, "versitygw", "nginx")
	s := program(t)
	start := []string{"start", "--only", "versitygw,nginx"}
	for _, next := range []func(){
		func() {},
		func() { s.run("not running", "stop"); s.nothingLeft() },
	} {
		s.run("default_store: s3", start...)
		must(t, syscall.Kill(s.daemon(), syscall.SIGKILL))
		until(t, "the end of it and its servers", func() bool { return s.daemon() == 0 && len(s.left()) == 0 })
		next()
	}
	s.run("default_store: s3", start...)
	s.run("have ended", "stop")
	s.nothingLeft()
}

// A start that is interrupted while a server is on its way leaves none.
func TestAnInterruptedStart(t *testing.T) {
	testenv.Need(t, "nginx")
	s, fake := program(t), t.TempDir()
	slow := "#!/bin/sh\nuntil [ -e " + fake + "/go ]; do sleep 0.05; done\n"
	must(t, os.WriteFile(filepath.Join(fake, "versitygw"), []byte(slow), 0o755))
	t.Setenv("PATH", fake+":"+os.Getenv("PATH"))
	var out bytes.Buffer
	start := s.command("start", "--only", "versitygw,nginx")
	start.Stdout, start.Stderr = &out, &out
	must(t, start.Start())
	runs := func(name string) bool { return strings.Contains(strings.Join(s.left(), "\n"), name) }
	until(t, "both", func() bool { return runs("nginx") && runs("versitygw") })
	must(t, start.Process.Signal(syscall.SIGINT))
	until(t, "the end of nginx", func() bool { return !runs("nginx") })
	must(t, os.WriteFile(filepath.Join(fake, "go"), nil, 0o600))
	if err := start.Wait(); err == nil || !strings.Contains(out.String(), "told to end") {
		t.Errorf("%v: %s", err, out.String())
	}
	s.run("not running", "stop")
	s.nothingLeft()
}

// The number in the pid file is nobody's whom stop may end.
func TestAnotherProcessIsLeftAlone(t *testing.T) {
	s := program(t)
	must(t, os.Mkdir(s.Dir, 0o755))
	other := exec.Command("sleep", "600")
	must(t, other.Start())
	defer func() {
		must(t, other.Process.Kill())
		if err := other.Wait(); err == nil || other.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Errorf("it was ended: %v", err)
		}
	}()
	must(t, os.WriteFile(s.pid(), fmt.Append(nil, other.Process.Pid, "\n"), 0o600))
	s.run("not running", "stop")
}

// stop removes only what start has made.
func TestAFolderWithOtherThingsIsRefused(t *testing.T) {
	s := program(t)
	must(t, os.Mkdir(s.Dir, 0o755))
	must(t, os.WriteFile(s.config(), []byte("mine"), 0o600))
	s.refused("other things", "start")
	s.run("not running", "stop")
	if b, err := os.ReadFile(s.config()); err != nil || string(b) != "mine" {
		t.Errorf("%q, %v", b, err)
	}
	must(t, os.Remove(s.config()))
	s.refused("make test-deps", "start", "--only", "nginx")
}
