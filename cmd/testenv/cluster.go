package testenv

import (
	"fmt"
	"testing"
)

// Cluster starts nodes of one cluster over one MariaDB, all on loopback, the first
// of them first. more are keys of all of them.
func Cluster(t testing.TB, nodes int, more ...string) []*Node {
	t.Helper()
	return clusterOf(t, Binary(t), nodes, more)
}

// RaceCluster is Cluster with the race detector in its nodes.
func RaceCluster(t testing.TB, nodes int, more ...string) []*Node {
	t.Helper()
	Need(t, "gcc")
	bin, err := buildRace()
	if err != nil {
		t.Fatal(err)
	}
	return clusterOf(t, bin, nodes, more)
}

func clusterOf(t testing.TB, bin string, nodes int, more []string) []*Node {
	t.Helper()
	dsn := MariaDB(t)
	images := t.TempDir()
	var all []*Node
	first := ""
	for i := range nodes {
		sets := append(Member(t, fmt.Sprint("n", i+1), dsn, first, images), more...)
		if i == 0 {
			first = sets[1][len("listen.gossip="):]
		}
		all = append(all, node(t, bin, sets))
	}
	return all
}

// Member are the keys of a node of a cluster that is to join another one, or
// nobody yet where join is "". images is the folder of the store that all share.
func Member(t testing.TB, name, dsn, join, images string) []string {
	t.Helper()
	sets := []string{
		"listen.peer=" + address(t), "listen.gossip=" + address(t), "node.name=" + name, "cluster.label=test", "registry.url=" + dsn,
		"stores.main.path=" + images, "stores.main.shared=true",
	}
	if join != "" {
		sets = append(sets, "cluster.join=["+join+"]")
	}
	return sets
}
