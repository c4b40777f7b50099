// Package peers asks other nodes for bytes: cluster.Peers over TLS.
//
//	OpenRange ── place (by level) ── breaker ── connection ── ask ──► package serve
//	Next      ◄── range and order ◄── checksum ◄── frames ◄── watch ◄──┘
//
// What holds:
//
//   - A byte is given out only after its group of at most 64 KiB was found right by
//     checksum, and only if it is the next one of what was asked for. Less, more,
//     another order, damage, an end too soon: ErrAway, and the connection is closed.
//     What was given out before stays right.
//   - A peer that is silent for a second, with neither bytes nor a waiting frame, or
//     that dribbles a group for half a minute, is away. One that waits is waited for
//     as long as the caller's context lives.
//   - Connections to a peer are bounded, by level, as the places of its listener are
//     and for the same reason (package serve): an ask of a home never waits for a
//     place that an ask of a zone holds. A full peer (503) is asked again; it never
//     counts as away. What is asked for only if resident isn't worth that wait.
//   - After three failures in a row a peer is left alone for a second, and then
//     asked once to see whether it is back.
//   - What is wrong with a peer is counted, and told of in one line that names it and
//     its fault, once a minute for each fault; never what it has sent.
//   - The end of a context, or Close, closes the connection under a read. Only one
//     whose answer came to its end is used again.
//   - A stream allocates nothing for a piece; it has one buffer, on loan, and another
//     one from the first packed piece on.
//   - Without certificates only loopback is dialled.
//
// What may be lost: any answer at any byte, with an error that says so.
//
// Locks: Peers.mu, stream.mu; neither is held over a call of the other, nor over
// any I/O.
package peers
