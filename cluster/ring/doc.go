// Package ring says which node owns an extent: weighted rendezvous hashing over
// an immutable list of nodes.
package ring
