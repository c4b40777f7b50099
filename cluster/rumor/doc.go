// Package rumor spreads hints to all nodes by gossip.
//
// What holds. A rumour has an id: its origin, one for each start of a node, and a
// number. Whoever hears it first from somewhere tells it on, since memberlist
// does not; nobody tells it on twice, or hears it twice, as long as its origin is
// among the last 4,096 that were heard of. A node that missed it may get it when
// two nodes compare all they know, for two minutes. Kinds mean nothing here:
// those that nobody listens for are told on too, and so are rumours of later
// versions, unheard. An origin is heard 100 times a second at most, a node tells
// 50; what is more is dropped and counted, as is what listeners are too slow for.
//
// What may be lost: any rumour. They may come late, and in any order.
//
// Locks: Rumors.mu is held over no call out of the package. The queue's own lock
// and it are never held together. Listeners run on a goroutine of Rumors; Close
// waits for it.
package rumor
