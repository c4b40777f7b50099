// Package s3 keeps images in a bucket of Amazon S3 or of a server that speaks the
// same protocol: Ceph's radosgw, versitygw, MinIO.
//
// What holds. An object appears whole, by the end of a multipart upload, which
// begins with the first Write, so that Pending and Abort know of it. A part is
// sent again from the caller's buffers where the server was away; nothing else is
// held in memory. A read gives bytes of one version, by If-Match and a look at the
// object before its last bytes. Cancel asks the server until it says that the
// upload is gone.
//
// That an object is never replaced is the server's promise: CompleteMultipartUpload
// with If-None-Match. Amazon, versitygw and MinIO keep it; radosgw of Ceph 16
// accepts the header and replaces the object all the same. An answer to one
// request can't tell the two apart, and trying it out would leave objects in the
// bucket, so it is not guessed: the cap is claimed for Amazon's own hosts, and for
// others where the configuration says so. Without the cap the store looks for the
// key before it begins and before it ends an upload, as Glance does, which leaves
// a gap between two writers of one key; keys with a token in them have no such gap.
//
// Locations are Glance's, credentials included, since Glance reads no others. Who
// sets a location of an image chooses its text, so the host in it must be the one
// that is configured, and is never dialled otherwise; a location with credentials
// is read with those, one without only in the configured bucket. Where Glance
// could not read the credentials back, for a ":" or "@" in them, they are left out.
//
// What may be lost: the answer to the beginning of an upload, and with it the
// upload's id. Such an upload has no parts; Pending lists it.
package s3
