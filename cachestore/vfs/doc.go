// Package vfs is the little of a file system that the disk tier needs, so that
// another can stand in for the machine's, which is OS.
package vfs
