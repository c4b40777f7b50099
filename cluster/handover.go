package cluster

import "glimpse/cachestore/chunk"

// Claim asks a node what it holds of the extents that the asker owns at a level.
type Claim struct {
	From     string // the asker's node id
	Geometry chunk.Geometry
	Level    Level // Zone: in the asker's zone
	After    Cursor
}

// Cursor is where a page of an answer begins: at a chunk of an object, or of the
// first one behind it by the order of keys. The zero value is the beginning.
type Cursor struct {
	Key   chunk.Key
	Index int
}

// Less says whether c comes before d.
func (c Cursor) Less(d Cursor) bool {
	return c.Key < d.Key || c.Key == d.Key && c.Index < d.Index
}

// Page is a part of the answer to a claim, objects in order of their keys.
type Page struct {
	Holdings []Holding
	Next     Cursor // of the page that follows; zero: this is the last one
}

// Holding is what a node has of an object.
type Holding struct {
	Object chunk.Object
	Runs   []Run // in order
}

// Run is a row of chunks.
type Run struct{ First, Count int }

// Account says what came of taking over what another node holds.
type Account struct {
	Chunks int   // that are here now and were not before
	Bytes  int64 // that crossed for them: a chunk of zeros is none
	Left   int   // chunks that could not be taken now
}

// Add adds up two accounts.
func (a *Account) Add(b Account) {
	a.Chunks += b.Chunks
	a.Bytes += b.Bytes
	a.Left += b.Left
}

// Vitals are what a node tells of itself when it is asked, bytes since its start
// but for what it holds now.
type Vitals struct {
	MemoryBytes, DiskBytes                     int64
	SentMemory, SentDisk, SentPeer, SentOrigin int64
	TakenBytes, GivenBytes                     int64  // by handing over
	Handover                                   string // what is going on, for people; "": nothing
}
