// Package cachestore is the byte plane of one node: a memory tier and a disk
// tier of chunks, the fills that bring chunks in, and the readers that send them
// to clients and peers.
//
// The path of a read:
//
//	client ── Level.Open ──> reader ── look ──┬─ memory: pin ──────> write(2) out of the slab, or a private copy
//	                           │              ├─ zeros ────────────> one shared page of zeros
//	                  read-ahead window       ├─ disk: open ───────> checked 64 KiB at a time, or sendfile
//	                           │              └─ none: join or start a fill
//	                           v                             │
//	       levels: client ──> zone ──> home ──> origin     run: one stream, one slab a chunk
//	       (levels of one store share the                    │   watermark: readers follow
//	       fills of the outermost of them)                   v
//	                                        digest right? ── no ──> refill into a second slab, compare
//	                                                │ yes
//	                                                v
//	                     memory index ── write-behind ──> disk tier
//
// What holds:
//
//   - Slabs are the only bulk memory. Their number is fixed. Who finds none waits
//     in the order of asking (pool.go, grant.go), never beside the queue.
//   - One fill at a time for a chunk, however many want it. It takes its slab
//     before it asks its source, and never waits for a slab while holding one. It
//     runs on the store's context: the reader who began it may leave.
//   - No byte of the last 64 KiB that a response wants of a chunk (an eighth of a
//     small chunk) is sent before the chunk's digest is right. A response that
//     can't be completed right ends with an error.
//   - A chunk that came wrong is asked for again, of others first than the nodes that
//     gave it (Again). Who has passed wrong bytes on before it knew says so to peers in
//     the middle of the chunk (chunk.ErrMended), and they ask it anew. What a peer says
//     of a chunk here has it looked at (Level.Check), and no more.
//   - The error of a fill reaches all who wait for it and nobody later.
//   - A reader holds no slab while it waits for its client, but for at most a
//     quarter of all slabs that are sent from directly (memory.send). What a pool
//     waiter takes from others is thus theirs only for the length of a copy.
//   - A chunk that a reader has asked for and is not past yet leaves memory after
//     all others, if the disk does not have it; so do at most a quarter of all
//     slabs, of which the slowest readers lose theirs first. It may go for what
//     zone or home wait for, so nobody waits for a reader.
//   - At most half of the slabs wait for the disk. A fill takes its place among
//     them with its slab, so fills slow down to the disk; a full, failing or
//     stalled disk lifts the bound, and what it didn't take is counted (NotKept).
//
// What may be lost: anything, at any time, but never silently wrong. Observed
// digests and zero marks without a disk tier are forgotten when the ledger is
// full. Bytes in memory are gone with the process. A chunk that an upload kept
// may be evicted before Publish. Without a manifest, "right" means: the digest
// that was observed first, and the length.
//
// Pull brings a chunk that this node has come to own from whoever had it. It is a
// fill as any other, but for its source: a reader who joined it and finds that it
// failed begins one of his own, and hears nothing of the failure.
//
// Read-ahead joins the fills that it began, but does not pin what they brought. It
// asks for no more than memory can keep until its reader comes (await.go). Where
// more readers than that are at different chunks, or zone and home find nothing else
// to evict, a reader that comes late finds its chunk on disk or asks for it again.
//
// Locks, outer before inner; no I/O under any of them:
//
//	Store.names -> Level.mu -> Store.mu -> run.mu -> pool.mu -> memory.polMu -> shard.mu -> entry.mu
//	awaited.mu, ledger.mu, health.mu, writer.mu and reader.mu are innermost: nothing is locked under them.
package cachestore
