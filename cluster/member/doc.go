// Package member is the cluster as one node sees it: hashicorp/memberlist, with
// what a node tells of itself in at most 128 bytes.
//
// What holds. The ring of a node is what it knows to be alive; it changes as a
// whole, and watchers hear of each change in order. Nodes that reach each other
// come to the same ring, also after a partition: whoever was named or seen in the
// last day is tried again until it is there, within 30 s of being reachable. A
// node is known by its id; each start of it is a member of its own in the gossip
// (the id and the epoch), so that a restarted node is itself again at once, at any
// address, and of two that run with one id the later start counts everywhere.
// The ring has the nodes of the gossip, and those that SetFar tells of (package
// edge), which are in none of its messages.
//
// Messages of another label or without one of our keys are counted and dropped,
// with one line a minute for an address and a reason. Keys are added, used and
// removed without a message lost, if each step is done on all nodes before the
// next.
//
// The answers to gossip's probes carry network coordinates, from which RTT
// estimates the round trip to each node.
//
// What may be lost or wrong. Two nodes may have different rings for as long as it
// takes news to travel, and for all of a partition: both halves then go on, and
// correctness must not need the ring. A node that is alive may be taken for dead
// when it is silent for long (the profile says how long). What a node tells can
// be forged by whoever has a gossip key.
//
// What is refused by memberlist is known by its log lines alone; the signs in
// log.go belong to the version in go.mod, and a test has each kind happen.
//
// Locks: memberlist's own, then Members.mu, which is held over no call out of the
// package; distances.mu and gossipLog.mu come last, and alone. keys.turn is taken by who changes
// keys, and nothing else waits for it.
package member
