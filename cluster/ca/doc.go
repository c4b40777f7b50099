// Package ca makes and checks the certificates by which nodes know one another
// on the peer plane.
//
// What holds:
//
//   - A node's certificate says in one URI, glimpse://LABEL/node/ID, which cluster
//     and which node it is for. Host names and addresses count for nothing, so a
//     node may move.
//   - A server takes a client only with a certificate of a trusted CA, in date, for
//     its own label. A client takes a server only when it moreover names the very
//     node that was dialled.
//   - Who signed makes no difference: the cluster's own CA (Make) or the operator's,
//     as long as it puts that URI into what it signs.
//   - Files are read again by Reload, without a restart: the next handshake uses
//     them, connections go on with what they began with. Files that are no good
//     change nothing and are an error.
//
// What may be lost: nothing is kept here. There is no revocation: a node that is no
// longer trusted keeps its access until its certificate ends, or until the CA is
// replaced. During a change of CA the ca file holds both.
//
// There is no lock; what was loaded is one value that is swapped.
package ca
