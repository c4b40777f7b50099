// Package ops holds the verbs of the Image API without HTTP: upload, download,
// delete, and the origin as a source of bytes. It is the only place where image
// records and image bytes meet.
//
// What holds: an upload is acknowledged when the origin store and the registry
// have it, and whatever fails before leaves the image queued and no byte behind;
// a cache key is made of a hash only where this service computed that hash
// itself; an origin read carries the validator that was pinned, and the key that
// the cache asks under is computed again and compared. An image's bytes are read
// from another of its locations where one can't be had: at the opening always, in
// the middle of a stream only where a manifest proves each chunk. A copy is removed
// from a store only while another one is there. Location URLs reach
// neither logs nor errors.
//
// What may be lost: the bytes of an upload that was not acknowledged; after a
// crash they stay until the reaper comes by. What was learned of an image whose
// chunks were evicted before all of them had been seen.
//
// Locks: each type has one, and none is held across I/O or while another is
// taken.
package ops
