// Package swift is the origin store on OpenStack Swift, or on Ceph's gateway by
// the same API. Locations are Glance's, and so is what lies in the containers: an
// object per image, or a dynamic large object, <container>/<key>, made of numbered
// segments in the same container. Glance reads and deletes what is written here;
// dynamic and static large objects of others are read and deleted too.
//
// Written is, from the first Write on, an empty <key>-g<upload>.upload; then a
// segment for each part; at Commit the object, and the marker goes. <upload> is
// random, so two uploads of one key, and Glance's <key>-00001, never touch one
// another's segments. Who finds the marker gone at its Commit was ended by an Abort
// and takes its object away again. An object below Config.Small is held in memory
// until its Commit and has no segments; a larger one has one at least.
//
// What holds: an object is committed only once the server sees all of it, and its
// size is kept beside it, so that a listing that lags, out of which a server makes
// a large object, is ErrUnavailable and never a shorter image. The validator is the
// ETag with the size: the MD5 of the bytes, or of the segments' MD5s, which servers
// compute anew for each answer; of an object without one, because it has more than
// 10,000 segments, it is the time of its manifest. It is compared at the
// answer's beginning and once more before a read's last bytes. Further ranges of a
// dynamic large object are read from its segments, once their MD5s have given the
// validator: each answer must be of the segment that was listed, and the object is
// looked at before the last bytes. A segment is sent with its MD5, which the server
// checks. Credentials go to the server for which they are configured only: a location
// of another server is refused unless Config.OtherAuthURLs has it, and then its own
// credentials are used. Errors hold nothing that servers or the library quote.
//
// What may be lost: half-done work after a crash, which Pending finds by the marker
// or by segments without their object; of a crash in an Abort or Cancel of an
// upload to a key that is taken, the segments, which nothing finds. If-None-Match
// is checked by Swift before it stores, so of two nodes that commit one key within
// the same milliseconds both may be told of success, and the later one stays: the
// registry's states keep two uploads of one image apart. In a store of Tenants, what
// a crash leaves half done in a user's account is found by its locator alone.
//
// Swift as it is installed gives one segment a second after the first ten of an
// answer (the dlo filter's rate_limit_segments_per_sec): reads of ranges, as the
// cache makes them, stay below.
//
// The library ncw/swift logs in. Requests are made here: its own ones start a
// goroutine for each Read, drain error bodies without an end, and follow redirects
// with the token.
package swift
