// Package memstore is the registry's memory twin, for tests and for trying
// Glimpse out: the same answers as sqlstore, and nothing survives the process.
//
// One lock guards everything. A function given to Update runs under it and must
// not call the store.
package memstore
