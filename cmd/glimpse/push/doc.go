// Package push makes an image of a file: it guesses the disk format, uploads
// through the nearest node, and compares the hash that the service has found with
// that of the bytes that were sent. An image of which this was not shown is
// removed again, also when the push is interrupted. Its id is chosen here, so that
// an answer that is lost hides no record: what may be done twice is, and what was
// made is found. Only a crash leaves an image behind, which has no data, or a service
// that answers no more; the error tells of the latter.
//
// A token that runs out is made anew, once, and the bytes are sent again; those of a
// stream only if none of them was taken before.
package push
