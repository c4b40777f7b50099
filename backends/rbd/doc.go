// Package rbd keeps images as block devices in a Ceph pool, laid out as Glance
// does, so that Nova and Cinder clone volumes from them without a copy: an image
// of the name of the key, with a protected snapshot called snap. It needs
// librbd, and so the build tag ceph; without it only the configuration and the
// locators are here.
//
// No build that users get has the tag yet. Against Ceph 16.2 the kit's case "what
// was written comes back" ends in about one run of four with an abort on a thread
// of librados (io_context_pool: std::system_error, Invalid argument), with and
// without rbd_cache, and with and without the timeouts of requests. 900 images made,
// opened, written, snapshotted or renamed one after another, or read and written
// by six goroutines at once, never did. What is left to suspect is what else that
// case does: readers that are closed while their goroutine is still reading.
//
// What holds: an upload is an image of another name, which begins with
// glimpse-upload-, until its bytes, its size and its snapshot are there; then it
// is renamed, which never replaces an image. So nothing half done is ever seen
// under a key, what is half done is known by its name alone, and no image that
// another made is taken for it. A read gives bytes of one snapshot: librbd reads
// zeros where an image is being removed, so the snapshot is looked for once more
// before the last bytes of a read are given out.
//
// A location of the old form, rbd://image, names no snapshot and is read as the
// image is now. It is pinned by the time of its last change, which Ceph keeps to
// the minute only.
//
// What may be lost: nothing that was committed, as far as the pool keeps what it
// acknowledged. A crash leaves an upload under way for the reaper, who can remove
// it once Ceph has noticed that its writer is gone, after half a minute. A crash
// in the middle of the rename can leave the new name pointing at nothing; Delete
// removes that.
//
// Calls of librbd can't be ended, only bounded: each request to the cluster is,
// by op_timeout. A caller that gives up returns at once; the call goes on with
// memory of its own on a goroutine that Close waits for. A full cluster makes
// writes wait, so it shows as one that is away.
package rbd
