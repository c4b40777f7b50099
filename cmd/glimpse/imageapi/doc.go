// Package imageapi is the client's side of the Image API, as much of it as glimpse
// pull and push need, for any Glance and for what Glimpse tells beyond that: which
// nodes are near, and the digests of an image's chunks.
//
// What holds: a token goes to the endpoint that it was made for, and to nodes that
// this endpoint names and that name themselves as it did; never by http where the
// endpoint is https, never after a redirect. Answers are bounded. Every error has
// a Code, which a process ends with.
package imageapi
