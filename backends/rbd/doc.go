// Package rbd keeps images as block devices in a Ceph pool, laid out as Glance
// does, so that Nova and Cinder clone volumes from them without a copy: an image
// of the name of the key, with a protected snapshot called snap. It needs
// librbd, and so the build tag ceph; without it only the configuration and the
// locators are here.
//
// librados has one thread for librbd here (librados_thread_count). When an image
// has been opened, Ceph 16 tells the caller from one thread, and another one then
// takes the image's lock once more: a caller that has closed the image by then has
// freed it, and the process aborts (ImageState::complete_action_unlock, found with
// gdb; about one run of four of the kit on a busy machine, none since). With one
// thread the caller is told last. But to take the protection off a snapshot librbd
// blocks the thread while it waits for another one, so images are removed over a
// connection of several threads, where what was opened is not closed at once. The
// messenger's threads, which move the bytes and sum them up, are not counted in that.
//
// What holds: an upload is an image of another name, which begins with
// glimpse-upload-, until its bytes, its size and its snapshot are there; then it
// is renamed, which never replaces an image. So nothing half done is ever seen
// under a key, what is half done is known by its name alone, and no image that
// another made is taken for it. A read gives bytes of one snapshot: librbd reads
// zeros where an image is being removed, so the snapshot is looked for once more
// before the last bytes of a read are given out. It is looked for in the image's
// header (the omap of rbd_header.<id>, which every version of Ceph keeps), as one
// request: to open the image anew would be a dozen. For the same reason an image
// stays open for some seconds after a read, and what is open to be read hinders
// nobody from removing the image.
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
