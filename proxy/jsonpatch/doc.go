// Package jsonpatch reads the two patch documents of the Image API: the subset
// of RFC 6902 under the v2.1 media type, and the older draft under v2.0. It is
// pure; what an operation does to an image is not its matter.
//
// What holds: a document that is accepted has at most MaxOps operations, each
// with a kind, a path of unescaped components and, where its kind wants one, a
// value of bounded depth without duplicate keys, NULs or broken UTF-8.
package jsonpatch
