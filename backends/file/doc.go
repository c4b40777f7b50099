// Package file is the origin store on a folder, or several, in Glance's layout:
// a file per image, named by its key, at file://<folder>/<key>.
//
// What holds: a file appears under its name whole, durable and only once: it is
// written to a hidden temporary beside it, synced, linked to its name (which
// fails where the name is taken), and the folder is synced. Nothing outside the
// folders is ever opened, whatever a locator says. What may be lost: temporaries
// after a crash, which Pending lists. A folder on a network mount that hangs
// holds the goroutines that read from it; Limit bounds their number.
package file
