package registry

import (
	"context"
	"slices"
	"time"

	"glimpse/registry/image"
)

// Images is the record of what images there are. Errors carry an image.Kind:
// NotFound for an id that never was or is deleted, Conflict for an id that is
// taken (a deleted image's stays taken for ever), Unavailable when the database
// is away.
type Images interface {
	// Get returns the live image, whoever asks: visibility is the caller's matter.
	Get(ctx context.Context, id string) (image.Image, error)
	// List returns one page; see Query.
	List(ctx context.Context, q Query) ([]image.Image, error)
	// Create stores m as it is, created and updated now (UTC, whole seconds), and
	// returns it as stored.
	Create(ctx context.Context, m image.Image) (image.Image, error)
	// Update runs fn on the live record inside one transaction that holds the
	// image's row lock, and writes only what fn changed. fn is pure and may run
	// more than once. An error of fn is returned as it is and nothing is written.
	// A status that fn sets to deleted or pending_delete soft-deletes the record
	// with its properties, tags, members and locations as Glance does.
	Update(ctx context.Context, id string, fn func(*image.Image) error) (image.Image, error)
}

// Members are the projects that images are shared with.
type Members interface {
	// Members returns the live members of an image, oldest first.
	Members(ctx context.Context, imageID string) ([]image.Member, error)
	// Member returns one of them; NotFound where there is none.
	Member(ctx context.Context, imageID, project string) (image.Member, error)
	// AddMember: TooLarge where the image has limit members (negative: no limit),
	// else Conflict where the project is one of them.
	AddMember(ctx context.Context, imageID, project string, limit int) (image.Member, error)
	SetMemberStatus(ctx context.Context, imageID, project string, s image.MemberStatus) (image.Member, error)
	RemoveMember(ctx context.Context, imageID, project string) error
}

// Upload is one attempt to give an image its bytes: a lease on the image, held
// by whoever knows the token. Its row stays until the image is purged.
type Upload struct {
	ImageID    string
	Token      string // random, 32 hex digits
	Store      string // store id
	Node       string
	First      bool         // no attempt on this image was ever made before: its key may be the bare image id
	Locator    image.Secret // where the bytes go; noted before the first byte is written there
	State      UploadState
	LeaseUntil time.Time // the database's clock
}

// UploadState says what became of an attempt.
type UploadState string

// The states of an upload row.
const (
	UploadLive   UploadState = "live"   // under way, or its node died: its lease then lapses
	UploadDone   UploadState = "done"   // activated or adopted: its locator is the image's
	UploadFailed UploadState = "failed" // over, and its bytes are not yet known to be gone
	UploadClean  UploadState = "clean"  // over, and its bytes are gone
)

// Activation is what an upload found out, written in one transaction.
type Activation struct {
	Size        int64
	VirtualSize *int64
	Checksum    string // md5, hex
	HashAlgo    string // sha256 or sha512
	HashValue   string
	URL         image.Secret
	Metadata    map[string]string
	Validator   string   // of the origin object, pinned
	Node        string   // node id, where the store's folder is that node's alone; else ""
	Key         string   // content key the manifest is filed under
	Segments    [][]byte // of the manifest; nil for an empty image
}

// Reach tells of which attempts a node can remove the bytes. The zero value: of all.
type Reach struct {
	Node   string   // which it is
	Stores []string // ids of the stores that it may write to; nil: all
	Own    []string // of those, the ones that are a folder of each node's own
}

// Has says whether the attempt's bytes can be removed here.
func (r Reach) Has(up Upload) bool {
	return (r.Stores == nil || slices.Contains(r.Stores, up.Store)) && (up.Node == r.Node || !slices.Contains(r.Own, up.Store))
}

// Uploads are the attempts. Leases are counted by the database's clock.
type Uploads interface {
	// Begin moves the image from queued to saving and notes the attempt. Conflict
	// where the image is not queued.
	Begin(ctx context.Context, imageID, store, node string) (Upload, error)
	// BeginCopy notes an attempt to give an active image another place, and leaves
	// the image as it is. Conflict where it is not active.
	BeginCopy(ctx context.Context, imageID, store, node string) (Upload, error)
	// Adopt is Images.Update for an attempt that is complete: fn adds its place to
	// the image. holder is the node in whose folder alone the bytes are, or "". Gone
	// and Unavailable mean what they do of Activate.
	Adopt(ctx context.Context, token, holder string, fn func(*image.Image) error) (image.Image, error)
	// Note stores the attempt's locator, before the first byte is written.
	Note(ctx context.Context, token string, at image.Secret) error
	// Renew makes the lease as long as at Begin. Gone where the attempt is over:
	// the image was deleted, or the lease lapsed and was reaped.
	Renew(ctx context.Context, token string) error
	// Activate moves the image from saving to active with all that a tells, if the
	// token is live and its lease has not lapsed. Gone where it is not, or where
	// the image is. An Unavailable error says that the outcome is unknown: the
	// caller deletes nothing.
	Activate(ctx context.Context, token string, a Activation) (image.Image, error)
	// Fail ends the attempt: it becomes failed, or clean where the caller has
	// proved that no byte is left, and the image queued again if this attempt
	// still held it. Harmless when repeated. A done attempt stays done while its
	// image lives; once the image is deleted, clean notes that its bytes are gone.
	Fail(ctx context.Context, token string, clean bool) error
	// Retire makes the image's done attempts at this locator failed: it has left the
	// record, and its bytes are to be removed by who reaches them. false: there is
	// none.
	Retire(ctx context.Context, imageID string, at image.Secret) (bool, error)
	// Lapsed returns, oldest first, live attempts whose lease has run out by more
	// than a grace, failed ones that are not clean, and done ones whose image has
	// been deleted since; at most n. Of those that are over it leaves out the ones
	// that are beyond a reach.
	Lapsed(ctx context.Context, n int, within Reach) ([]Upload, error)
	// Reap decides about one lapsed or failed attempt: under the image's row lock
	// it makes a lapsed live attempt failed and the image queued again, and reports
	// whether the attempt's locator may be deleted, which it may not while any live
	// location of any image names it.
	Reap(ctx context.Context, token string) (deletable bool, err error)
	// Attempted says whether there is an attempt with this token, in whatever state.
	Attempted(ctx context.Context, token string) (bool, error)
	// Uploader returns the node of the attempt that gave the image its bytes; "" where
	// none did.
	Uploader(ctx context.Context, imageID string) (node string, err error)
	// Named says whether a location that still matters names the URL, of whatever
	// image: its bytes must then stay.
	Named(ctx context.Context, at image.Secret) (bool, error)
	// NamedByOthers says whether a live location of an image that owner does not
	// own names the URL.
	NamedByOthers(ctx context.Context, at image.Secret, owner string) (bool, error)
}

// Hashing says that the bytes of an image wait to be hashed in the background.
type Hashing struct {
	ImageID string
	Token   string // of the latest wish: one that comes meanwhile is not lost
	Tries   int    // that failed
}

// Hashings are the images whose bytes wait to be hashed, in a queue that outlives
// its nodes. Times are counted by the database's clock.
type Hashings interface {
	// WishHash notes the image, whether it exists or not, to be due after wait. It
	// comes before the write that makes the hash necessary, so that a crash between
	// the two leaves a wish too many, never one too few.
	WishHash(ctx context.Context, imageID string, wait time.Duration) (Hashing, error)
	// NextHash takes the image that has been due for longest: it is due again after
	// hold. ok=false where none is due.
	NextHash(ctx context.Context, hold time.Duration) (h Hashing, ok bool, err error)
	// KeepHash makes the image due after wait, and stores h.Tries. A wish that came
	// after h is left alone.
	KeepHash(ctx context.Context, h Hashing, wait time.Duration) error
	// DoneHash forgets the image, unless a wish came after h.
	DoneHash(ctx context.Context, h Hashing) error
}

// Content says that Glimpse itself hashed the bytes behind a location.
type Content struct {
	LocationID int64
	Algo, Hash string // sha256 or sha512, hex
	Size       int64
	Key        string // the manifest is filed under it
}

// Pin is what was found at the first contact with a location's bytes; it stands
// from then on. Bad is set when a fold of all bytes did not give the image's
// hash: nothing is served from such a location any more.
type Pin struct {
	LocationID int64
	Size       int64
	Validator  string
	Bad        bool
}

// Manifests are what Glimpse knows about bytes.
type Manifests interface {
	// Content returns ok=false where these bytes were never hashed by Glimpse.
	Content(ctx context.Context, locationID int64) (c Content, ok bool, err error)
	// PutContent files what a fold of all bytes found, with the manifest.
	PutContent(ctx context.Context, c Content, segments [][]byte) error
	// Pinned returns ok=false where there was no contact yet.
	Pinned(ctx context.Context, locationID int64) (p Pin, ok bool, err error)
	// Pin stores p unless the location is pinned already, and returns what stands.
	Pin(ctx context.Context, p Pin) (Pin, error)
	// Holder returns the node in whose folder alone a location's bytes are; "" where
	// that was never noted.
	Holder(ctx context.Context, locationID int64) (node string, err error)
	// MarkBad sets Bad on a pinned location.
	MarkBad(ctx context.Context, locationID int64) error
	// Segment returns one segment of the manifest filed under key; ok=false where
	// there is none.
	Segment(ctx context.Context, key string, seg int) (b []byte, ok bool, err error)
}

// Settings are the constants of a cluster, made by the first node that asks.
type Settings interface {
	// Setting stores value under name unless there is one, and returns what stands.
	Setting(ctx context.Context, name, value string) (string, error)
}

// Registry is all of it; every implementation passes registrytest.
type Registry interface {
	Images
	Members
	Uploads
	Manifests
	Hashings
	Settings
	Nodes
	// Ping says whether the database answers.
	Ping(ctx context.Context) error
	Close() error
}
