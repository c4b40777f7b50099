// Package image is the domain: what an image is, the states it goes through,
// who may see it, what makes it valid, and the kinds of error that all of this
// gives rise to. It knows nothing of SQL, HTTP or bytes and imports the standard
// library only.
//
// What holds: a status changes only along the edges of the status machine; an
// image that passes Validate can be stored by Glance's own schema and shown by
// its API. Location URLs are Secret: they print as "***".
package image
