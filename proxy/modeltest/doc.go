// Package modeltest holds tests of a node's parts together, without HTTP: the
// cache, the verbs, the registry and an origin store, all real, under random
// deeds, faults and crashes. What comes out is compared with a map of bytes.
package modeltest
