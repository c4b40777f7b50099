// Package sqlstore keeps the registry in an SQL database: one implementation for
// MySQL, MariaDB and Galera on one side and SQLite on the other; what they say
// differently is in mysql.go and sqlite.go.
//
// The tables are Glance's own, used in place: a Glance can run beside Glimpse on
// the same database, or after it. What Glimpse adds lies in tables named
// glimpse_..., without foreign keys into Glance's, so that Glance may purge its
// rows at will. Remove takes all of it away again.
//
// A database that Sync creates has the schema that Glance 25 (Zed) creates and
// bears its head, wallaby_contract01. Later releases only add tables that Glimpse
// doesn't use; their glance-manage db sync brings the schema forward, which it
// could not if we had stamped a later head or made those tables.
//
// # What holds
//
// A write is one READ COMMITTED transaction, run again when the database rolls
// it back in favour of another. It takes the image's row lock first (SELECT ...
// FOR UPDATE; on SQLite BEGIN IMMEDIATE), reads the record, has it changed, and
// writes only the difference, with the old status in the WHERE: what a Glance
// changed meanwhile stays. Each write counts glimpse_image_version up;
// updated_at, of whole seconds, is never compared.
//
// A record is read by one statement, so it is the truth of one moment even
// without a transaction. A page of a list is two statements: its ids and its
// records are of two moments.
//
// Rows are soft-deleted. A property's name is unique among live and deleted rows,
// so a deleted row is revived when the name comes back; a member's likewise.
//
// Both engines refuse what MySQL's utf8mb3 columns don't hold (registry.Text), so
// that they answer alike. They differ where the engines do: MySQL compares names
// without regard to case.
//
// # Encrypted URLs
//
// With an EncryptionKey, Glance's metadata_encryption_key, URLs are written as
// Glance writes them: AES under a random vector. So are the locators of uploads,
// which hold credentials as much. Rows from before there was a key are read as
// they are, where Glance would fail; a location is encrypted when it is next
// written. The same URL has another text in each row, so the question whether
// any location names a URL decrypts every text of the length that it would have:
// some 1 µs each, at a deletion. An index of digests would be faster, and wrong
// where a Glance changes a URL in place: then bytes that an image needs might be
// deleted.
//
// # What may be lost
//
// Nothing acknowledged. When COMMIT fails in a way that leaves its outcome
// unknown, the error is Unavailable and nothing was tried again.
//
// # Lock order
//
// The image's row, then its children's rows and rows of glimpse_ tables, an
// upload's among them. Note and Renew take the upload's row alone, and what
// concerns the queue of hashings its row. The schema's
// lock (a leased row on MySQL, a file beside the database on SQLite) is never
// taken inside a transaction.
//
// # Why no query builder
//
// The statements are few and fixed. The list alone is put together, out of
// conditions joined by AND; a builder such as bun puts arguments into the text
// itself, doubling backslashes and dropping NUL, where ours go to the driver, and
// a UNION of branches that are each ordered and limited is hardly shorter in one.
package sqlstore
