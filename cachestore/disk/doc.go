// Package disk is the disk tier of the cache: a file per chunk, in a folder per
// object named by the hash of its key, in one of 256 folders by its first two
// hex digits.
//
// A chunk's file is named by index, length and generation, so Open reads folders
// only, opens no chunk and stats none. It holds the bytes, then a trailer with a
// crc32c per 64 KiB block, the key, index, length and BLAKE3 digest and a crc of
// the trailer itself. Zero chunks are records in a log per object.
//
// What holds: a Chunk that Read returns has a right trailer for the key and the
// index asked for, and Block gives only bytes whose crc is right. After a stop
// that was not clean every chunk that was found is verified whole before Read
// returns it. A clean stop syncs the file system and then writes a marker, which
// Open removes, durably, before anything else is written.
//
// A file beside the chunks says what the object is (Describe): its size, and where
// its bytes come from. Without it the chunks are as good, but Objects does not list
// them.
//
// What may be lost: any chunk, at any time; nothing is synced as it is written.
// A zero mark may be lost too, never invented: its record is bound to the key.
//
// Rename moves an object's files to the folder of its new key, one by one, while
// their trailers still hold the old key. Before the first moves, the old key is
// written and synced into the new folder's key file as an alias. An alias is a
// lasting truth (both keys name the same bytes), so a rename that a crash cut in
// half leaves files that are right where they are: under the old key with the
// old key's trailer, under the new key with an alias. Without the alias a file
// with another key's trailer is never served. A folder has 64 names at most: what
// has none in it can't move there, and is dropped.
//
// An open chunk is not evicted. Remove, Drop and Quarantine unlink it at once
// and its bytes count until it is closed.
//
// Locks: Tier.polMu before shard.mu before Tier.space.mu. No I/O is done under
// any of them; an object whose folder is being removed is marked instead, and
// those who want it wait.
package disk
