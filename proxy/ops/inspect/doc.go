// Package inspect tells which disk format a stream of bytes has, how large the
// disk inside is and whether the file is safe to hand to a hypervisor, while the
// bytes pass by on their way elsewhere.
//
// What holds: the result depends on the bytes only, never on how they were cut
// into writes. Memory is bounded: the first sector, the volume descriptor of a
// CD, the last three sectors and one short chain of further captures that the
// first sector asks for, at most maxMemory in all. After the captures a write
// costs one copy of three sectors. Nothing a file says makes Write fail.
//
// What isn't looked at: anything that lies before the place that points to it
// (the stream doesn't turn back; no writer of these formats lays them out so),
// the second copy of a VHDX region table, and the contents of the disk itself.
//
// An Inspector belongs to one goroutine. It starts none and takes no locks.
package inspect
