// Package sim replays traces of reads on the product's own cache, shrunk: the
// real store with its memory and disk tiers and their policies, with chunks of 4
// KiB and a disk in memory. It counts what the origin gives and what the disk has
// to write, beside an LRU of the same size that keeps all it sees.
//
// A trace is made by a seeded generator of a shape that image services meet, or
// read from an access log (ReadLog). An operator replays his own:
//
//	GLIMPSE_SIM_LOG=access.log go test -v -run Replay ./bench/sim
package sim
