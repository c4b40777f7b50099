package systest

import (
	"io"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glimpse/cmd/testenv"

	"github.com/hashicorp/memberlist"
)

// nonsense is what a node tells of itself that is none.
type nonsense struct{}

func (nonsense) NodeMeta(int) []byte             { return []byte("nonsense") }
func (nonsense) NotifyMsg([]byte)                {}
func (nonsense) GetBroadcasts(_, _ int) [][]byte { return nil }
func (nonsense) LocalState(bool) []byte          { return nil }
func (nonsense) MergeRemoteState([]byte, bool)   {}

// What a node refuses is told by its metrics and in its log.
func TestWhatIsRefusedIsCountedAndSaid(t *testing.T) {
	nodes := testenv.Cluster(t, 2)
	together(t, nodes...)
	refused := func(n *testenv.Node, why, line string) {
		t.Helper()
		until(t, why+" is counted", func() bool { return metric(t, n, `glimpse_peer_refused_total{why="`+why+`"}`) > 0 })
		until(t, why+" is said", func() bool { return strings.Contains(n.Log(), line) })
	}
	for _, why := range []string{"same id", "node description", "no request", "node list", "busy", "connections"} {
		if v := metric(t, nodes[0], `glimpse_peer_refused_total{why="`+why+`"}`); v != 0 {
			t.Errorf("%s: %.0f from the start", why, v)
		}
	}

	// Bytes on the peer plane that are no request.
	c, err := net.Dial("tcp", peerOf(nodes[0]))
	must(t, err)
	_, err = io.WriteString(c, strings.Repeat("x", 100)+"\r\n\r\n")
	must(t, err)
	_, _ = io.Copy(io.Discard, c) // until it is cut
	must(t, c.Close())
	refused(nodes[0], "no request", "before it made a request")

	// A node of the gossip that is none of ours.
	conf := memberlist.DefaultLocalConfig()
	conf.Name, conf.Label, conf.Delegate, conf.Logger = "stranger", "test", nonsense{}, log.New(io.Discard, "", 0)
	conf.BindAddr, conf.BindPort = "127.0.0.1", 0
	m, err := memberlist.Create(conf)
	must(t, err)
	defer func() { must(t, m.Shutdown()) }()
	_, err = m.Join([]string{setting(nodes[0], "listen.gossip")})
	must(t, err)
	for _, n := range nodes {
		refused(n, "node description", "what a node tells of itself makes no sense")
	}

	// A copied data folder: the later start counts, and the former one says so.
	twin := testenv.Prepared(t, testenv.Member(t, "twin", setting(nodes[0], "registry.url"), setting(nodes[0], "listen.gossip"), setting(nodes[0], "stores.main.path"))...)
	for name, b := range map[string]string{"node-id": look(t, nodes[1]).Self + "\n", "node-epoch": "100\n"} {
		must(t, os.WriteFile(filepath.Join(twin.Dir, name), []byte(b), 0o600))
	}
	twin.Start()
	refused(nodes[1], "same id", "two nodes run with one id")
}
