// Package httpread is what the drivers that read over HTTP have in common: a
// watch over servers that fall silent, the check of an object before its last
// bytes are given, and the headers that tell of ranges and of waiting.
//
// What holds: a body that is short ends with io.ErrUnexpectedEOF, one whose
// object has changed meanwhile fails before its last byte, and no read waits for
// a silent server for longer than its limit.
package httpread
