// Package archtest holds the test of the architecture: which package may import
// which, and that each says what it is.
package archtest
