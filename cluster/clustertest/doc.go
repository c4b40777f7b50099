// Package clustertest holds what tests of a cluster share: Net, the memory twin of
// the peer plane, with faults; Local, a node's store made up; and Peers, the kit that
// the twin and the real plane (packages peers and serve) both pass.
//
// What holds of Net: it answers as the real plane does, by kinds of errors, bounds of
// asks and checks of pieces; nothing in it is a goroutine or a clock of its own, so it
// runs in a bubble of testing/synctest. What it leaves out: places (nobody is ever
// busy), the breaker, and frames: a flipped bit is found, as there, before its bytes
// are used.
//
// Lock: Net.mu, innermost.
package clustertest
