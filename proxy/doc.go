// Package proxy is the Image API over HTTP: routes, parsing, refusals, views. It
// decides who may do what, and leaves what happens to images to the registry and
// to proxy/ops.
//
// What holds: every request but the discovery of versions and the health check
// is authenticated, and policy, visibility and status are checked on each, cached
// or not. What a caller may not see does not exist: 404; what it sees and may not
// touch is forbidden: 403. Nothing a client sends is held unbounded: headers by
// the read buffer, JSON bodies by a cap, image bodies by the buffers of the
// cache. A response that can't be completed is cut, never ended cleanly.
//
// A document that changes locations is rehearsed before the places that it names
// are contacted, and these are contacted before the record is locked.
//
// What may be lost: a response to a client that stops reading for longer than
// the stall timeout, or reads slower than the least rate.
//
// fasthttp reuses its requests: whatever outlives a handler is copied. Bodies
// are written to the bare connection, whose write deadline rolls with progress.
package proxy
