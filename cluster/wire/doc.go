// Package wire is what two nodes say to one another on the peer plane, without the
// connection: asks, the frames of an answer, and the kinds of errors that cross.
//
// What comes back is a row of frames, each a header of 12 bytes, a head and its data:
//
//	type 1 | flags 1 | head bytes 2 | data bytes 4 | crc32c 4   head   data
//
//	opened   the range is being served
//	piece    a run of at most 64 KiB within one chunk, with its digest if known
//	zero     the same without bytes: all are zero
//	waiting  nothing yet, and the peer is alive
//	end      all that was asked for has been sent
//	error    why there is no more
//	answer   of a call: all of it, and its end
//
// List, Take and Vitals are calls, which have one answer: what a node holds of the
// extents that the asker owns, page by page; that a node takes over from the asker;
// and how it does. Who does not know them answers 404, which is no failure.
//
// What holds:
//
//   - The checksum covers the header, the head (which says where the bytes belong)
//     and the data; no byte of a frame is used before it was found right. It guards
//     against accidents. Against people there is TLS.
//   - Nothing is allocated by what a frame claims: its bounds are checked first.
//   - Nothing secret crosses: an object's Ref is opaque, and errors cross as a kind,
//     never as text.
//   - Two versions talk: a frame type from 0x80 on is a hint that may be skipped,
//     heads may grow at their end, unknown fields of an ask are ignored. A flag of a
//     piece changes how it is read, so an unknown one is refused: a later version
//     sets it only if the ask offered it, as pieces are packed (pack.go) only for an
//     asker of another zone that takes them so. What can't be
//     offered is a new path.
//   - Off, length and index in a piece are the sender's word: the receiver checks
//     them against what it asked for (Track).
//
// What may be lost: everything; an answer that broke is asked for again.
package wire
