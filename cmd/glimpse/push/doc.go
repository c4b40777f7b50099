// Package push makes an image of a file: it guesses the disk format, uploads
// through the nearest node, and compares the hash that the service has found with
// that of the bytes that were sent. An image of which this was not shown is
// removed again, also when the push is interrupted; only a crash leaves one
// behind, which has no data.
package push
