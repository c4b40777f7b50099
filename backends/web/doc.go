// Package web reads images from HTTP servers, at the URLs that users gave as
// locations. It writes nothing: a location that goes leaves its object.
//
// What holds: a read gives bytes of one version, by the server's ETag or its
// modification time. Servers heed the condition of a request at its start; so a
// read to its end asks once more, and fails where the object has changed
// meanwhile. Where a server says neither, the manifest and the hash of an image
// are all that tells.
//
// Locations come from users, so no name or redirect leads to the machine itself
// or to link-local addresses: the address is checked when it is dialled, after
// the name was resolved. Private networks are allowed; Config.AllowedHosts
// exempts.
package web
