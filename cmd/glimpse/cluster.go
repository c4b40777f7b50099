package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"glimpse/cachestore"
	"glimpse/cachestore/chunk"
	"glimpse/cluster"
	"glimpse/cluster/ca"
	"glimpse/cluster/edge"
	"glimpse/cluster/member"
	"glimpse/cluster/peers"
	"glimpse/cluster/replicator"
	"glimpse/cluster/ring"
	"glimpse/cluster/rumor"
	"glimpse/cluster/serve"
	"glimpse/cluster/source"
	"glimpse/cmd/glimpse/config"
	"glimpse/proxy/ops"
	"glimpse/registry"

	"github.com/google/renameio/v2"
	"golang.org/x/time/rate"
)

// clusterNode is a node's part in its cluster.
type clusterNode struct {
	members  *member.Members
	far      *edge.Far
	edge     bool // its zone gossips within itself
	zone     string
	peers    *peers.Peers
	counted  *counted
	router   *source.Router
	rumors   *rumor.Rumors
	fresh    *source.Fresh
	svc      *ops.Service
	store    *cachestore.Store
	uploads  *cachestore.Level // what uploaders have
	handover *handover
	joins    bool // it was told of other nodes
	server   *serve.Server
	listener net.Listener
	identity *ca.Identity // nil: plain text on loopback
	heart    *registry.Heart
	table    registry.Nodes
	pace     *rate.Limiter // of what is moved here from other nodes without being asked for
	silent   atomic.Int64  // nodes that did not say that they forgot a record
}

// newCluster is a node's part before it has joined; nil for a node alone.
func newCluster(c config.Config, table registry.Nodes) *clusterNode {
	if !c.Clustered() {
		return nil
	}
	return &clusterNode{table: table, edge: c.Cluster.Edge, zone: c.Node.Zone, joins: len(c.Cluster.Join) > 0, handover: &handover{asked: make(chan struct{})}}
}

// leases are what keeps the records of all nodes true. A client holds none.
func (cl *clusterNode) leases(id string, c config.Config, log *slog.Logger) *registry.Cluster {
	if cl == nil {
		return nil
	}
	return &registry.Cluster{
		Self: id, Nodes: cl.table, Others: cl, Log: log,
		Live:     func() bool { return c.Node.Role != "client" && cl.heart != nil && cl.heart.Live() },
		OnSilent: func(string) { cl.silent.Add(1) },
	}
}

// Drop has another node forget a record.
func (cl *clusterNode) Drop(ctx context.Context, n registry.NodeRow, imageID string) error {
	return cl.peers.Drop(ctx, nodeOf(n), imageID)
}

// steward has the first contact with an origin made by one node of the cluster.
func (cl *clusterNode) steward() ops.Steward {
	if cl == nil {
		return nil
	}
	return func(ctx context.Context, o chunk.Object) (chunk.Object, bool, error) {
		return cl.router.Steward(ctx, o)
	}
}

// prepare makes what serves and asks other nodes. Nobody knows of this one yet.
func (cl *clusterNode) prepare(ctx context.Context, n *node, id string, g chunk.Geometry, svc *ops.Service, leases *registry.Leases) (err error) {
	if cl == nil {
		return nil
	}
	c := n.config
	if t := c.Cluster.TLS; t.CA != "" {
		if cl.identity, err = ca.Open(ca.Config{CA: t.CA, Cert: t.Cert, Key: t.Key, Label: c.Cluster.Label, Node: id}); err != nil {
			return err
		}
	}
	var lc net.ListenConfig
	if cl.listener, err = lc.Listen(ctx, "tcp", c.Listen.Peer); err != nil {
		return fmt.Errorf("listen.peer: %w", err)
	}
	n.onClose(func(context.Context) error { return ignoreClosed(cl.listener.Close()) })
	pace := paces[c.Cluster.Profile]
	if c.Cluster.Edge {
		pace = paces["wan"]
	}
	cl.peers = peers.New(peers.Config{Self: id, Identity: cl.identity, Log: n.log, Stall: pace.stall, Connect: pace.connect, Reach: cl.reach, Packs: func(n ring.Node) bool { return n.Zone != c.Node.Zone }})
	n.onClose(func(context.Context) error { cl.peers.Close(); return nil })
	cl.pace = rate.NewLimiter(rate.Inf, 0)
	if most := int(c.Cluster.RebalanceRate); most > 0 {
		cl.pace = rate.NewLimiter(rate.Limit(most), int(g.Chunk))
	}
	cl.far = edge.New(edge.Config{Members: later{cl}, Peers: cl.peers, Take: func(c net.Conn) { cl.server.Take(c) }, Table: cl.dialled, Log: n.log})
	n.onClose(func(context.Context) error { cl.far.Close(); return nil })
	cl.counted = &counted{Peers: cl.peers, zone: c.Node.Zone}
	cl.router = source.New(source.Config{
		Members: later{cl}, Peers: cl.counted, Geometry: g, Origin: svc, LookFor: pace.look, Late: pace.late, Slow: pace.slow, NearOnly: pace.near,
		HedgeBudget: float64(c.Cluster.HedgeBudget), Uploader: svc.Uploader,
	})
	cl.svc = svc
	cl.server = serve.New(serve.Config{
		Node: id, Geometry: g, Local: local{cl.router, svc, leases}, Handover: cl.handover, Identity: cl.identity, Log: n.log, Far: cl.far,
	})
	return nil
}

// pace is how long a node waits for another: to look around, for a sign of life,
// for a connection, and for a first byte or a next one before others are asked as
// well: near ones only, or any. What is 0 is the package's own.
type pace struct {
	look, stall, connect, late, slow time.Duration
	near                             bool
}

// Over a WAN a handshake alone takes longer than a look around in a LAN does, a lost
// packet up to half a second, and two lost one after the other a second.
var paces = map[string]pace{"wan": {
	look: time.Second, stall: 4 * time.Second, connect: 5 * time.Second, late: 250 * time.Millisecond, slow: 500 * time.Millisecond,
	near: true,
}}

// later is the membership that gossip will bring, before anything is asked.
type later struct{ cl *clusterNode }

func (l later) Self() ring.Node          { return l.cl.members.Self() }
func (l later) Ring() *ring.Ring         { return l.cl.members.Ring() }
func (l later) Near() []ring.Node        { return l.cl.members.Near() }
func (l later) SetFar(nodes []ring.Node) { l.cl.members.SetFar(nodes) }
func (l later) Watch(fn func(old, now *ring.Ring)) (stop func()) {
	return l.cl.members.Watch(fn)
}

// gossip makes the node known. It is the last that a start does: others ask it
// from now on.
func (cl *clusterNode) gossip(n *node, id string) error {
	if cl == nil {
		return nil
	}
	c := n.config
	cl.freshen(n, c, n.log)
	epoch, err := nextEpoch(c.DataDir)
	if err != nil {
		return err
	}
	cl.members, err = member.New(member.Config{
		Self: self(c, id, epoch), Bind: c.Listen.Gossip, Advertise: c.Cluster.Advertise.Gossip, Label: gossipLabel(c),
		Keyring: c.Cluster.KeyringFile, Join: c.Cluster.Join, Table: func(ctx context.Context) ([]string, error) { return cl.addresses(ctx, id) }, Profile: c.Cluster.Profile, Log: n.log,
		Messages: cl.rumors,
	})
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	n.onClose(func(context.Context) error { cl.members.Close(); return nil })
	stop := cl.members.Watch(func(old, now *ring.Ring) {
		for _, was := range old.Nodes() {
			if _, ok := now.Node(was.ID); !ok {
				cl.peers.Forget(was.ID)
			}
		}
	})
	n.onClose(func(context.Context) error { stop(); return nil })
	cl.heart = registry.NewHeart(cl.table, func() registry.NodeRow { return cl.row(c) }, n.log)
	return nil
}

// row is this node in the node table.
func (cl *clusterNode) row(c config.Config) registry.NodeRow {
	n := cl.members.Self()
	if seen, ok := cl.members.Ring().Node(n.ID); ok {
		n.Peer, n.API = seen.Peer, seen.API // with the hosts that others see
	}
	r := registry.NodeRow{
		ID: n.ID, Name: n.Name, Zone: n.Zone, Gossip: cl.members.Address(), Peer: n.Peer, API: n.API, Epoch: n.Epoch,
		Role: n.Role.String(), State: n.State.String(), Stores: slices.Sorted(maps.Keys(c.Stores)), Lease: c.Registry.MaxStaleness,
	}
	if n.Role == ring.Client {
		r.Lease = 0
	}
	if n.Edge {
		r.Role = edgeRole
	}
	return r
}

// self is what others are told of this node.
func self(c config.Config, id string, epoch uint32) ring.Node {
	n := ring.Node{
		ID: id, Name: c.Node.Name, Zone: c.Node.Zone, Weight: int64(c.Node.Weight), Epoch: epoch, Edge: c.Cluster.Edge,
		Peer: cmp.Or(c.Cluster.Advertise.Peer, reachable(c.Listen.Peer)), API: cmp.Or(c.Cluster.Advertise.API, reachable(c.Listen.API)),
	}
	if n.Weight == 0 {
		n.Weight = int64(c.Cache.Disk.Size) + int64(c.Cache.Memory.Size)
	}
	if c.Node.Role == "client" {
		n.Role = ring.Client
	}
	return n
}

// reachable is a listener's address as others reach it: without a host where it
// listens on all, so that the gossip's counts.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err == nil && (host == "0.0.0.0" || host == "::" || host == "") {
		return ":" + port
	}
	return listen
}

// nextEpoch counts this node's starts, in data_dir.
func nextEpoch(dataDir string) (uint32, error) {
	file := filepath.Join(dataDir, "node-epoch")
	var n uint64
	b, err := os.ReadFile(file)
	if err == nil {
		n, err = strconv.ParseUint(strings.TrimSpace(string(b)), 10, 32)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("%s: %w", file, err)
	}
	n++
	return uint32(n), renameio.WriteFile(file, fmt.Appendln(nil, n), 0o640)
}

// local answers other nodes.
type local struct {
	router *source.Router
	svc    *ops.Service
	leases *registry.Leases
}

func (l local) OpenRange(ctx context.Context, q cluster.Ask, off, n int64) (chunk.Stream, error) {
	q.Object = l.svc.Here(ctx, q.Object)
	return l.router.Serve(ctx, q, off, n)
}

func (l local) Stat(ctx context.Context, o chunk.Object) (chunk.Object, error) {
	return l.svc.FirstContact(ctx, o)
}

func (l local) Drop(_ context.Context, imageID string) error {
	l.leases.Drop(imageID)
	return nil
}

// levels makes the three levels of a node of a cluster, and what moves extents
// between nodes.
func (cl *clusterNode) levels(s *cachestore.Store, c replicator.Config) (client *cachestore.Level) {
	home := s.Level("home", cl.router.ToOrigin())
	zone := s.LevelBefore("zone", home, cachestore.Outside{Source: cl.router.ToHome(), Owns: cl.router.OwnsHome})
	client = s.LevelBefore("client", zone, cachestore.Outside{
		Source: cl.router.ToZone(), Owns: cl.router.OwnsZone,
		// What another node owns stays in memory as long as it is wanted there; what is
		// hot is for the disk, too.
		Keep: cl.router.Hot, Seen: cl.router.Seen,
	})
	cl.router.Bind(zone, home)
	cl.store, cl.uploads = s, s.Level("fresh", cl.router.ToUploader())
	c.Rate = cl.pace
	c.Members, c.Peers, c.Cache = later{cl}, cl.peers, movedCache{s, zone}
	cl.handover.Replicator, cl.handover.cache = replicator.New(c), s
	return client
}

// ready tells the others that all that this node owns is here.
func (cl *clusterNode) ready(ctx context.Context, log *slog.Logger) {
	if err := cl.members.SetState(ctx, ring.Ready); err != nil {
		log.Warn("the cluster was not told that this node is ready; it will be", "error", err)
	}
	cl.heart.Soon()
}

// drain has the node own nothing more, while it still answers.
func (cl *clusterNode) drain(ctx context.Context, log *slog.Logger) {
	if err := cl.members.SetState(ctx, ring.Draining); err != nil {
		log.Warn("the cluster was not told that this node drains", "error", err)
	}
}

// reloadEvery is how often the files of the certificate are looked at.
const reloadEvery = 10 * time.Second

// watchCertificate takes up a renewed certificate, until ctx ends.
func (cl *clusterNode) watchCertificate(ctx context.Context, log *slog.Logger) {
	if cl.identity == nil {
		return
	}
	t := time.NewTicker(reloadEvery)
	defer t.Stop()
	last := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		changed, err := cl.identity.Reload()
		switch {
		case err == nil && changed:
			log.Info("the certificate of this node was renewed", "left", cl.identity.Left().Round(time.Hour))
		case err != nil && err.Error() != last:
			log.Warn("the certificate of this node can't be read again; the former one stays in use", "error", err)
		}
		last = ""
		if err != nil {
			last = err.Error()
		}
	}
}

// leave tells the others, then answers what they have asked for already.
func (cl *clusterNode) leave(ctx context.Context) error {
	return errors.Join(cl.members.Leave(ctx), cl.server.Shutdown(ctx))
}
