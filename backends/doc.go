// Package backends holds what an origin store is: the interface that every
// driver meets, the abilities it declares as data, and the decorators that add
// limits, retries and counters to any of them. The drivers are its sub-folders;
// backendtest is the kit that each of them passes.
//
// What holds: an object is visible whole or not at all, and never replaced. A
// reader gets the bytes of one version or an error. What may be lost: half-done
// work after a crash, which Pending finds again.
package backends
