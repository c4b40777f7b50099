// Command bench measures a node from outside, over HTTP, beside nginx in the
// same run: uploads, warm and cold downloads, metadata. The rounds are
// interleaved and the median is printed; what counts is the ratio, for absolute
// figures belong to the machine. The client drops downloaded bytes in the kernel
// (MSG_TRUNC), so that on a small machine the server is what is measured.
//
// Nothing here decides a test.
package main
