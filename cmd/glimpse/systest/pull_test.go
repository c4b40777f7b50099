package systest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"glimpse/cmd/testenv"
)

// puller runs glimpse pull, or push, against an endpoint.
type puller struct {
	t        *testing.T
	endpoint string
	env      []string
}

// run returns the exit code and what was said.
func (p puller) run(args ...string) (code int, out, said string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 3*time.Minute)
	defer cancel()
	cmd := p.command(ctx, args...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

func (p puller) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, testenv.Binary(p.t), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	for _, v := range testenv.Environ() {
		if !strings.HasPrefix(v, "OS_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	if p.endpoint != "" {
		cmd.Env = append(cmd.Env, "OS_IMAGE_ENDPOINT="+p.endpoint)
	}
	cmd.Env = append(cmd.Env, p.env...)
	return cmd
}

// ok runs what must succeed, and returns what was said.
func (p puller) ok(args ...string) (out, said string) {
	p.t.Helper()
	code, out, said := p.run(args...)
	if code != 0 {
		p.t.Fatalf("%v ended with %d: %s", args, code, said)
	}
	return out, said
}

// sparse writes a file of which one part in three is data, and returns how many
// bytes that is.
func sparse(t *testing.T, file string, size int64) (data int64) {
	t.Helper()
	f, err := os.Create(file)
	must(t, err)
	defer f.Close()
	must(t, f.Truncate(size))
	b := make([]byte, 5<<20)
	for off := int64(0); off < size; off += 15 << 20 {
		b := b[:min(int64(len(b)), size-off)]
		_, err := rand.Read(b)
		must(t, err)
		_, err = f.WriteAt(b, off)
		must(t, err)
		data += int64(len(b))
	}
	return data
}

// allocated is what a file takes of the disk.
func allocated(t *testing.T, file string) int64 {
	t.Helper()
	st, err := os.Stat(file)
	must(t, err)
	return st.Sys().(*syscall.Stat_t).Blocks * 512
}

// nothingElse says that a pull has left the file alone.
func nothingElse(t *testing.T, file string) {
	t.Helper()
	left, err := filepath.Glob(file + "?*")
	must(t, err)
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestPullFromOneNode(t *testing.T) {
	n := testenv.Glimpse(t)
	a, dir := on(t, n.API), t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	data := sparse(t, in, 100<<20+777)
	id := a.create("pulled", "raw")
	a.upload(id, in)
	p := puller{t: t, endpoint: n.URL("")}
	_, said := p.ok("pull", "pulled", out)
	t.Log(said)
	testenv.Run(t, nil, "cmp", in, out)
	nothingElse(t, out)
	if got := allocated(t, out); got > data+data/4 {
		t.Errorf("%d bytes on disk, %d are data", got, data)
	}
	if !strings.Contains(said, "sha512 is right") {
		t.Error(said)
	}
	if sent := metric(t, n, `glimpse_sent_bytes_total{tier="memory"}`) + metric(t, n, `glimpse_sent_bytes_total{tier="origin"}`) + metric(t, n, `glimpse_sent_bytes_total{tier="disk"}`); sent > float64(data)*2 {
		t.Errorf("%.0f bytes were sent for %d of data", sent, data) // whole chunks around the data
	}
	piped, _ := p.ok("pull", "-q", id, "-")
	want, err := os.ReadFile(in)
	must(t, err)
	if piped != string(want) {
		t.Errorf("%d other bytes on the standard output", len(piped))
	}
	// On a terminal there is a bar, with the rate and the time left.
	testenv.Need(t, "script")
	via := newTap(t)
	via.to.Store(&n.API)
	via.rate.Store(16 << 20)
	shown := testenv.Run(t, []string{"OS_IMAGE_ENDPOINT=http://" + via.Addr}, "script", "-qec", testenv.Binary(t)+" pull --streams 1 "+id+" "+out, "/dev/null")
	if !regexp.MustCompile(`pulling +\d+% .*\d [MG]i?B/s\).*\[\d+s:\d+s\]`).MatchString(shown) {
		t.Errorf("on a terminal: %q", shown)
	}
	// A file that is there is replaced.
	must(t, os.WriteFile(out, []byte("before"), 0o600))
	p.ok("pull", id, out)
	testenv.Run(t, nil, "cmp", in, out)
}

// pullable makes an image of a file through a node.
func pullable(t *testing.T, n *testenv.Node, size int64) (id, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "in")
	random(t, file, size)
	a := on(t, n.API)
	id = a.create("pullable", "raw")
	a.upload(id, file)
	return id, file
}

// grown waits until a pull has written so much of a file.
func grown(t *testing.T, file string, n int64) {
	t.Helper()
	until(t, "the pull is under way", func() bool {
		st, err := os.Stat(file + ".part")
		return err == nil && st.Sys().(*syscall.Stat_t).Blocks*512 >= n
	})
}

// clustered is a cluster and an image that it has.
type clustered struct {
	nodes    []*testenv.Node
	taps     []*tap
	size     int64
	id, file string
}

// to is a pull from the cluster, by one of its nodes.
func (c *clustered) to(t *testing.T, node int) (p puller, out string) {
	return puller{t: t, endpoint: "http://" + c.taps[node].Addr}, filepath.Join(t.TempDir(), "out")
}

// rate limits each answer of each node, bytes per second.
func (c *clustered) rate(n int64) {
	for _, p := range c.taps {
		p.rate.Store(n)
		p.sent.Store(0)
	}
}

func TestPullAndPushWithACluster(t *testing.T) {
	c := &clustered{size: 120<<20 + 777}
	c.nodes, c.taps = tappedCluster(t, 3)
	c.id, c.file = pullable(t, c.nodes[0], c.size)
	t.Run("the nodes are told", c.told)
	t.Run("push", c.push)
	t.Run("a killed pull goes on", c.killedPull)
	t.Run("spoilt chunks", c.spoilt)
	t.Run("a node dies", c.nodeDies)
}

func (c *clustered) told(t *testing.T) {
	until(t, "the gossip has measured", func() bool {
		_, text := on(t, c.nodes[0].API).text("GET", "/glimpse/v1/nodes", "")
		return strings.Count(text, `"rtt_ms"`) == 2 && strings.Contains(text, c.taps[1].Addr) && strings.Contains(text, c.taps[2].Addr)
	})
}

// One of three nodes is killed in the middle, with ranges of it under way: the pull
// goes on from the others, and asks nobody twice for what it has.
func (c *clustered) nodeDies(t *testing.T) {
	c.rate(8 << 20)
	p, out := c.to(t, 0)
	cmd := p.command(t.Context(), "pull", c.id, out)
	var said bytes.Buffer
	cmd.Stderr = &said
	must(t, cmd.Start())
	grown(t, out, 24<<20)
	c.nodes[2].Kill()
	for _, p := range c.taps {
		p.rate.Store(0)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, &said)
	}
	testenv.Run(t, nil, "cmp", c.file, out)
	nothingElse(t, out)
	sum := int64(0)
	for i, p := range c.taps {
		t.Logf("node %d gave %d bytes", i+1, p.sent.Load())
		if p.sent.Load() == 0 {
			t.Errorf("node %d gave nothing: the pull is not parallel", i+1)
		}
		sum += p.sent.Load()
	}
	t.Log(said.String())
	if !strings.Contains(said.String(), "broke off") || sum > c.size*3/2 {
		t.Errorf("%d bytes were given for %d", sum, c.size)
	}
}

// A pull that is killed goes on where it stood, and finds what has rotted since.
func (c *clustered) killedPull(t *testing.T) {
	c.rate(4 << 20)
	p, out := c.to(t, 0)
	cmd := p.command(t.Context(), "pull", "-q", c.id, out)
	must(t, cmd.Start())
	grown(t, out, 40<<20)
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Errorf("a killed pull leaves a file: %v", err)
	}
	must(t, flip(out+".part", 3, 1))
	before := c.sent()
	c.rate(0)
	_, said := p.ok("pull", c.id, out)
	t.Log(said)
	testenv.Run(t, nil, "cmp", c.file, out)
	nothingElse(t, out)
	if again := c.sent(); again > c.size-30<<20 || before < 40<<20 {
		t.Errorf("%d bytes before, %d of %d after: nothing was kept", before, again, c.size)
	}
}

// sent is what the nodes have given since the rate was set.
func (c *clustered) sent() (sum int64) {
	for _, p := range c.taps {
		sum += p.sent.Load()
	}
	return sum
}

// What a wire spoils is found by its digest and had from another node.
func (c *clustered) spoilt(t *testing.T) {
	c.taps[1].flip.Store(3 << 20)
	for _, dest := range []string{"file", "pipe"} {
		p, out := c.to(t, 1)
		if dest == "file" {
			_, said := p.ok("pull", c.id, out)
			t.Log(said)
			if !strings.Contains(said, "fetched again because wrong") {
				t.Error("nothing was found wrong")
			}
		} else {
			text, said := p.ok("pull", c.id, "-")
			t.Log(said)
			must(t, os.WriteFile(out, []byte(text), 0o600))
		}
		testenv.Run(t, nil, "cmp", c.file, out)
	}
	t.Logf("%d bits were flipped", c.taps[1].flips.Load())
	if c.taps[1].flips.Load() == 0 {
		t.Error("no bit was flipped")
	}
	// When all are spoilt there is no file.
	for _, p := range c.taps {
		p.flip.Store(1 << 20)
		defer p.flip.Store(0)
	}
	p, out := c.to(t, 0)
	code, _, said := p.run("pull", "-q", c.id, out)
	if code != 5 {
		t.Errorf("spoilt everywhere: %d %s", code, said)
	}
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Errorf("there is a file: %v", err)
	}
}

// A stock Glance has no manifest and no nodes: one stream, with the hash of its
// record, that goes on where the store gives ranges.
func TestPullAndPushWithAStockGlance(t *testing.T) {
	testenv.Need(t, "glance-api", "mariadbd")
	dsn, folder := testenv.MariaDB(t), t.TempDir()
	testenv.GlanceDB(t, dsn)
	g := testenv.Glance(t, dsn, folder)
	via := newTap(t)
	via.to.Store(&g.Addr)
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	sparse(t, in, 40<<20+777)
	p := puller{t: t, endpoint: "http://" + via.Addr}
	made, said := p.ok("push", in, "--name", "pushed", "-p", "color=red", "--tag", "x")
	t.Log(said)
	id := strings.TrimSpace(made)
	if m := on(t, g.Addr).show(id); m["status"] != "active" || m["color"] != "red" || m["disk_format"] != "raw" {
		t.Errorf("pushed: %v", m)
	}
	_, said = p.ok("pull", "pushed", out)
	t.Log(said)
	testenv.Run(t, nil, "cmp", in, out)
	nothingElse(t, out)
	if got := allocated(t, out); got > 30<<20 {
		t.Errorf("%d bytes on disk", got)
	}
	must(t, os.Remove(out))

	via.rate.Store(8 << 20)
	cmd := p.command(t.Context(), "pull", "-q", id, out)
	must(t, cmd.Start())
	until(t, "the pull is under way", func() bool { st, err := os.Stat(out + ".part"); return err == nil && st.Size() > 16<<20 })
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	via.rate.Store(0)
	via.sent.Store(0)
	_, said = p.ok("pull", id, out)
	t.Log(said)
	testenv.Run(t, nil, "cmp", in, out)
	if got := via.sent.Load(); got > 25<<20 {
		t.Errorf("%d bytes were given again", got)
	}
	must(t, flip(filepath.Join(folder, id), 7, 1))
	if code, _, said := p.run("pull", "-q", id, filepath.Join(dir, "wrong")); code != 5 {
		t.Errorf("other bytes than the record's: %d %s", code, said)
	}
}
