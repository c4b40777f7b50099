// Package cluster holds what the packages below it have in common: who is alive
// (Members), how bytes are asked for between nodes (Peers), and hints that may be
// lost (Rumors).
package cluster
