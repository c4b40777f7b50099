// Package pull brings an image to this machine: in parallel from several nodes by
// ranges where its manifest is known, else in one stream.
//
// What holds: what ToFile leaves under the file's name is the image, whole. Each
// chunk is compared with its digest before it is written, and the whole, as it is
// in the file, with the hash in the image's record; then the file is synced,
// renamed and its folder synced. A chunk that is wrong is fetched again, from
// another node if there is one. A node that fails or stalls is left alone for a
// while, and others go on at the chunk where it stood. Chunks of zeros are neither
// fetched nor written. Until the rename there are FILE.part and a small
// FILE.part.json that says of which image it is; a later pull reads what is there,
// keeps what is right and fetches the rest. Where it can't be told what the chunks
// are, because nobody answers, what is there is left alone and the pull ends.
//
// What may be lost: what a crash of the machine had not let reach the disk; it is
// found by its digest and fetched again.
//
// Locks: board.mu and pool.mu are never held together, and over no I/O.
package pull
