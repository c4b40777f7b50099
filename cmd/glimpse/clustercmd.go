package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"glimpse/cluster/ca"
	"glimpse/cluster/member"

	"github.com/google/renameio/v2"
)

type clusterCmd struct {
	Init   clusterInitCmd   `cmd:"" help:"Make a cluster's CA and its first gossip key."`
	Cert   clusterCertCmd   `cmd:"" help:"Make this node's certificate, or renew it."`
	Key    clusterKeyCmd    `cmd:"" help:"Change the gossip keys of a running node."`
	Status clusterStatusCmd `cmd:"" help:"The cluster as a running node sees it."`
	Drain  clusterDrainCmd  `cmd:"" help:"Have a running node hand over what it holds, and end."`
}

const (
	caLife   = 10 * 365 * 24 * time.Hour
	certLife = 365 * 24 * time.Hour
)

type clusterInitCmd struct {
	Label string `required:"" help:"The cluster's name, as in cluster.label."`
	Dir   string `default:"." help:"Where ca.pem, ca-key.pem and gossip.keys are written."`
}

// Run makes the files, and replaces none.
func (c clusterInitCmd) Run(out io.Writer) error {
	pair, err := ca.Make(c.Label, time.Now(), caLife)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	files := []struct {
		name string
		mode fs.FileMode
		data []byte
	}{{"ca.pem", 0o644, pair.Cert}, {"ca-key.pem", 0o600, pair.Key}, {"gossip.keys", 0o600, []byte(member.NewKey() + "\n")}}
	for _, f := range files {
		switch _, err := os.Lstat(filepath.Join(c.Dir, f.name)); {
		case err == nil:
			return fmt.Errorf("%s is there already; nothing was written", filepath.Join(c.Dir, f.name))
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	for _, f := range files {
		if err := renameio.WriteFile(filepath.Join(c.Dir, f.name), f.data, f.mode); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(out, `%[1]s: ca.pem and gossip.keys are for every node, ca-key.pem signs and stays here.
On each node, with its configuration:
  glimpse cluster cert --ca %[1]s/ca.pem --ca-key %[1]s/ca-key.pem --config FILE
`, c.Dir)
	return err
}

type clusterCertCmd struct {
	configFlags
	Do    string `arg:"" optional:"" enum:"make,renew" default:"make" help:"make or renew, which are the same."`
	CA    string `required:"" name:"ca" type:"existingfile" help:"The cluster's ca.pem."`
	CAKey string `required:"" name:"ca-key" type:"existingfile" help:"Its ca-key.pem."`
}

// Run writes the files that cluster.tls names. A running node takes them up by
// itself.
func (c clusterCertCmd) Run(out io.Writer) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	t := cfg.Cluster.TLS
	if !cfg.Clustered() || t.Cert == "" {
		return errors.New("the configuration has to say cluster.label and cluster.tls, where the files are to be")
	}
	cert, err := os.ReadFile(c.CA)
	if err != nil {
		return err
	}
	key, err := os.ReadFile(c.CAKey)
	if err != nil {
		return err
	}
	authority, err := ca.Load(ca.Pair{Cert: cert, Key: key})
	if err != nil {
		return err
	}
	id, err := nodeID(cfg.DataDir)
	if err != nil {
		return err
	}
	pair, err := authority.Issue(cfg.Cluster.Label, id, time.Now(), certLife)
	if err != nil {
		return err
	}
	for _, file := range []string{t.CA, t.Cert, t.Key} {
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			return err
		}
	}
	// During a change of CA the file holds both, which is the operator's to say.
	switch now, err := os.ReadFile(t.CA); {
	case errors.Is(err, fs.ErrNotExist):
		if err := renameio.WriteFile(t.CA, cert, 0o644); err != nil {
			return err
		}
	case err != nil:
		return err
	case !bytes.Contains(now, bytes.TrimSpace(cert)):
		return fmt.Errorf("%s does not hold this CA: add it there on all nodes first", t.CA)
	}
	// The key goes first: a node that reads in between finds a pair that does not fit,
	// and keeps the one it has.
	if err := errors.Join(renameio.WriteFile(t.Key, pair.Key, 0o600), renameio.WriteFile(t.Cert, pair.Cert, 0o644)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "node %s of cluster %s: %s and %s, good for %d days\n", id, cfg.Cluster.Label, t.Cert, t.Key, int(certLife.Hours()/24))
	return err
}

type clusterKeyCmd struct {
	opsFlags
	Do  string `arg:"" enum:"list,new,add,use,remove" help:"list, new (print one), add, use or remove."`
	Key string `arg:"" optional:"" help:"The key; - reads it from the standard input."`
}

// Run speaks to one node. To change the key of a cluster, add the
// new one on every node, then use it on every node, then remove the old one.
func (c clusterKeyCmd) Run(ctx context.Context, in *os.File, out io.Writer) error {
	if c.Do == "new" {
		_, err := fmt.Fprintln(out, member.NewKey())
		return err
	}
	key := c.Key
	if key == "-" {
		b, err := io.ReadAll(io.LimitReader(in, 1<<10))
		if err != nil {
			return err
		}
		key = strings.TrimSpace(string(b))
	}
	var keys []string
	if err := c.call(ctx, "/cluster/keys", map[string]string{"do": c.Do, "key": key}, &keys); err != nil {
		return err
	}
	for i, k := range keys {
		if i == 0 {
			k += " (in use)"
		}
		fmt.Fprintln(out, k)
	}
	return nil
}

type clusterStatusCmd struct{ opsFlags }

// Run prints a line for each node.
func (c clusterStatusCmd) Run(ctx context.Context, out io.Writer) error {
	var s clusterStatus
	if err := c.call(ctx, "/cluster", nil, &s); err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tNAME\tZONE\tSTATE\tROLE\tSHARE\tMEMORY\tDISK\tHITS\tPEER\tAPI\t")
	for _, n := range s.Nodes {
		memory, disk, hits, doing := "?", "?", "?", "" // it did not answer
		if v := n.Vitals; v != nil {
			memory, disk, hits, doing = mebibytes(v.Memory), mebibytes(v.Disk), "-", v.Handover
			if v.Sent > 0 {
				hits = fmt.Sprintf("%.1f%%", 100*v.Hits)
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%.1f%%\t%s\t%s\t%s\t%s\t%s\t%s\n", n.ID, n.Name, n.Zone, n.State, n.Role, 100*n.Share, memory, disk, hits, n.Peer, n.API, doing)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "cluster %s, as node %s sees it\n", s.Label, s.Self)
	return err
}

func mebibytes(n int64) string { return fmt.Sprintf("%dMiB", n>>20) }

type clusterDrainCmd struct {
	opsFlags
	Node   string        `arg:"" optional:"" help:"Its name or id, to be sure: it must be the node that is asked, see --at."`
	Within time.Duration `default:"1h" help:"How long it may hand over what it holds, before it ends."`
}

// Run returns when the node has begun.
func (c clusterDrainCmd) Run(ctx context.Context, out io.Writer) error {
	var a drainAnswer
	if err := c.call(ctx, "/cluster/drain", drainAsk{Node: c.Node, Within: c.Within.String()}, &a); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, "draining: the node owns nothing more, hands over what it holds, and ends by itself; glimpse cluster status tells how far it is")
	if err == nil && len(a.Own) > 0 {
		_, err = fmt.Fprintf(out, "what lies only in its own folders (%s) can't be had until it is back; glimpse store copy puts it elsewhere\n", strings.Join(a.Own, ", "))
	}
	return err
}
