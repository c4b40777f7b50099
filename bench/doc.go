// Command bench measures a node from outside, over HTTP, beside its peers in the
// same run: nginx for downloads and metadata, a real glance-api for uploads, each
// type of store's own tool for cold images. The rounds are interleaved and medians
// are printed; what counts is the ratio, for absolute figures belong to the machine.
// The client drops downloaded bytes in the kernel (MSG_TRUNC), so that on a small
// machine the server is what is measured. What the origin gives is counted by
// strace.
//
// Each row says what is aimed at. Nothing here decides a test.
package main
