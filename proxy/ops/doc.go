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
// the middle of a stream only where a manifest proves each chunk. As long as there
// is another, a store that does not answer is asked once; its retries come when all
// have failed. Where nothing proves the chunks they come first. A copy is removed
// from a store only while another one is there. Location URLs reach
// neither logs nor errors.
//
// Locations that callers name (locate.go): no scheme that leads into this node,
// a first contact that tells nothing but "Invalid location", copies of one size.
// Glance lets whoever may add locations name any object that its credentials can
// read. Here a caller that is neither admin nor service may not name an object
// of such a store by a URL that an image of another owner has; the answer is the
// one for an object that is not there. That breaks no known client: services
// name what they made, and users what is theirs. It is no proof against other
// spellings of the same place: show_multiple_locations stays for deployments
// that trust their users. What web servers hold is anybody's. A removed
// location's bytes go with it, where no other image names them; if the store
// refuses that, the log tells.
//
// Background hashing (hasher.go, hashimage.go): the queue is the registry's, and
// the wish is noted before the write that makes it necessary. Bytes are read
// once, through the cache. A claimed hash is compared, never believed: an image
// that waits for the proof becomes active by it, or is queued again without its
// location, whose bytes stay where they are; an image that is active already is
// refused from then on. A store that is away is tried five times within a
// minute; then an active image stays without hashes. So does one whose location
// came by PATCH without a claim, as in Glance: it costs one request until it is
// read.
//
// A file store that is not shared is a folder of each node's own in a cluster
// (holder.go): an attempt that writes there notes its node with the location. That
// node alone reads the file, and alone removes it: what another one deletes becomes
// a failed attempt, which its reaper finds. Files that a Glance wrote there have no
// such note: each node that is asked says whether it has one, and one that is
// deleted through a node which has it not stays. A node ends whatever attempt has
// lapsed, but removes bytes only from stores that it may write to and that are not
// for another zone's nodes; it hashes only what it reads from there. A client node
// does neither.
//
// What may be lost: the bytes of an upload that was not acknowledged; after a
// crash they stay until the reaper comes by. What was learned of an image whose
// chunks were evicted before all of them had been seen.
//
// Locks: each type has one, and none is held across I/O or while another is
// taken.
package ops
