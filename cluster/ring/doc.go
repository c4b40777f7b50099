// Package ring says which node owns an extent: weighted rendezvous hashing over
// an immutable list of nodes.
//
// Each zone has an owner for every extent, and among the zones not marked edge
// there is one home owner. Every owner is found by the same rule: the node with
// the highest score for the extent, so that a node that joins takes over only
// what it then owns, a node that leaves gives up only what it owned, and shares
// are as the weights. All nodes of a cluster, of whatever version and processor,
// must agree: the arithmetic is that of IEEE 754 without fused operations, and a
// test holds answers that may never change.
package ring
