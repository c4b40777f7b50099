package ops

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"glimpse/backends"
	"glimpse/cachestore/chunk"
	"glimpse/registry"
	"glimpse/registry/image"
)

// cleanupTime bounds what is done for an upload after its request is over.
const cleanupTime = 30 * time.Second

// Upload is a request to give an image its bytes. The caller has checked who may.
type Upload struct {
	Image     image.Image
	Body      io.Reader    // ends with io.EOF; an image.Error in it keeps its kind
	Announced int64        // bytes; -1: unknown
	Store     string       // "": the default store
	Token     image.Secret // of whoever uploads, for stores that write to their users' accounts; ""
	// Interrupt ends a Read of Body that waits, when the upload is over before its
	// body; may be nil.
	Interrupt func()
}

// Upload stores the body and makes the image active. When it returns an error
// the image is queued again (or gone, or another attempt's), and what was
// written is removed, now or by the reaper.
func (s *Service) Upload(ctx context.Context, u Upload) (image.Image, error) {
	st, err := s.uploadStore(u)
	if err != nil {
		return image.Image{}, err
	}
	up, err := s.cfg.Registry.Begin(ctx, u.Image.ID, st.ID, s.cfg.NodeID)
	if err != nil {
		return image.Image{}, err
	}
	a := &attempt{s: s, u: u, st: st, up: up}
	m, err := a.run(ctx)
	if err != nil {
		a.abandon(ctx)
		return image.Image{}, err
	}
	return m, nil
}

// uploadStore checks what can be checked before the image is touched.
func (s *Service) uploadStore(u Upload) (*Store, error) {
	id := u.Store
	if id == "" {
		id = s.cfg.DefaultStore
	}
	st := s.stores[id]
	switch {
	case st == nil:
		return nil, image.Errorf(image.Invalid, "Store %.64q is not configured.", id)
	case st.ReadOnly:
		return nil, image.Errorf(image.Gone, "Store %s takes no uploads.", id)
	case u.Image.DiskFormat == nil || u.Image.ContainerFormat == nil:
		return nil, image.Errorf(image.Invalid, "Properties disk_format, container_format must be set prior to saving data.")
	case u.Announced > s.cfg.Limits.SizeCap:
		return nil, s.tooLarge()
	}
	return st, nil
}

func (s *Service) tooLarge() error {
	return image.Errorf(image.TooLarge, "Image exceeds the size limit of %d bytes.", s.cfg.Limits.SizeCap)
}

// attempt is one upload under way.
type attempt struct {
	s  *Service
	u  Upload
	st *Store
	up registry.Upload

	out       backends.Writer
	keep      chunk.Writer
	unknown   bool // whether the registry took it is not known: nothing may be touched
	committed bool // the object has its final name, or may have it
}

// run does the upload under a lease that is renewed until it ends.
func (a *attempt) run(parent context.Context) (image.Image, error) {
	ctx, cancel := context.WithCancelCause(parent)
	interrupt := func() bool { return true }
	if a.u.Interrupt != nil {
		interrupt = context.AfterFunc(ctx, a.u.Interrupt)
	}
	lease := a.renew(ctx, cancel)

	m, err := a.store(ctx)
	cause := context.Cause(ctx)
	interrupt() // first: the end of the context must not interrupt what follows on the connection
	cancel(nil)
	<-lease
	if err != nil && image.KindOf(cause) == image.Gone {
		return image.Image{}, cause // ended from outside: that says more than what broke
	}
	return m, err
}

// renew keeps the lease alive; it ends the upload when the registry says that the
// attempt is over. The channel is closed when it has ended.
func (a *attempt) renew(ctx context.Context, cancel context.CancelCauseFunc) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		t := time.NewTicker(a.s.cfg.LeaseRenew)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
			}
			err := a.s.cfg.Registry.Renew(ctx, a.up.Token)
			if image.KindOf(err) == image.Gone {
				cancel(image.Wrap(image.Gone, err, "The image was deleted, or its upload ended, while data was being received."))
				return
			}
			if err != nil && ctx.Err() == nil {
				a.s.cfg.Log.Warn("the lease of an upload could not be renewed", "image", a.up.ImageID, "error", err)
			}
		}
	}()
	return done
}

// store receives the body, commits it at the origin, and has it acknowledged.
func (a *attempt) store(ctx context.Context) (image.Image, error) {
	if err := a.create(ctx); err != nil {
		return image.Image{}, err
	}
	a.keep = a.s.cfg.Cache.NewWriter(a.up.Token, a.st.MemoryOnly)
	got, err := a.receive(ctx)
	if err != nil {
		return image.Image{}, err
	}
	if err := a.checkFormat(&got); err != nil {
		return image.Image{}, err
	}
	at, err := a.out.Commit(ctx)
	a.committed = !errors.Is(err, backends.ErrExists) // after any other error it may be there all the same
	if err != nil {
		return image.Image{}, writeError(err)
	}
	info, err := a.st.Backend.Stat(ctx, at)
	if err != nil {
		return image.Image{}, unavailable(err)
	}
	m, err := a.activate(ctx, at, info, got)
	if err != nil {
		return image.Image{}, err
	}
	a.publish(ctx, m, at)
	a.s.Share(ctx, m)
	return m, nil
}

// create begins the object: under the image's id where this is the first attempt
// and nothing can be replaced, else under a name that no other attempt has. Its
// locator is noted before the store holds anything of it.
func (a *attempt) create(ctx context.Context) (err error) {
	token := backends.Secret(a.u.Token.Reveal())
	if a.up.First && a.st.Backend.Caps().NoReplace {
		a.out, err = backends.CreateFor(ctx, a.st.Backend, token, a.up.ImageID, a.u.Announced)
	}
	if a.out == nil && (err == nil || errors.Is(err, backends.ErrExists)) {
		a.out, err = backends.CreateFor(ctx, a.st.Backend, token, a.up.ImageID+"-"+a.up.Token, a.u.Announced)
	}
	if err != nil {
		return writeError(err)
	}
	if err := a.s.cfg.Registry.Note(ctx, a.up.Token, image.Secret(a.out.Locator().Reveal())); err != nil {
		return err
	}
	if _, err := a.out.Write(nil); err != nil {
		return writeError(err)
	}
	return nil
}

// activate has the registry acknowledge the upload. When its answer is lost the
// record is read again; if that can't be had either, nothing is touched.
func (a *attempt) activate(ctx context.Context, at backends.Locator, info backends.Info, got received) (image.Image, error) {
	key := chunk.ContentKey(a.s.cfg.HashAlgo, got.hash, got.size, "")
	v := registry.Activation{
		Size: got.size, VirtualSize: got.virtual, Checksum: got.md5, HashAlgo: a.s.cfg.HashAlgo, HashValue: got.hash,
		URL: image.Secret(at.Reveal()), Metadata: a.s.metadata(a.st, at), Validator: info.Validator, Key: string(key),
		Segments: got.manifest, Node: a.holder(),
	}
	a.unknown = true
	m, err := a.s.cfg.Registry.Activate(ctx, a.up.Token, v)
	if err == nil {
		return m, nil
	}
	if k := image.KindOf(err); k != image.Unavailable && k != image.Internal {
		a.unknown = false // refused
		return m, err
	}
	again, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	if m, gerr := a.s.cfg.Registry.Get(again, a.up.ImageID); gerr == nil && m.Status == image.Active && names(m, at) {
		return m, nil
	}
	return image.Image{}, err
}

// holder is this node where its folder alone has the bytes.
func (a *attempt) holder() string {
	if a.st.Unshared {
		return a.s.cfg.NodeID
	}
	return ""
}

func names(m image.Image, at backends.Locator) bool {
	for _, l := range m.Locations {
		if l.URL.Reveal() == at.Reveal() {
			return true
		}
	}
	return false
}

// publish makes the chunks that were kept readable. It can't fail an upload that
// is acknowledged.
func (a *attempt) publish(ctx context.Context, m image.Image, at backends.Locator) {
	if m.Size == nil || *m.Size == 0 {
		a.keep.Cancel()
		return
	}
	for _, l := range m.Locations {
		if l.URL.Reveal() != at.Reveal() {
			continue
		}
		t, err := a.s.target(ctx, m, l)
		if err == nil && t.content {
			a.keep.Publish(t.object)
			if a.s.cfg.Uploaded != nil {
				a.s.cfg.Uploaded(m.ID)
			}
			return
		}
		a.s.cfg.Log.Warn("the chunks of an upload are not kept", "image", m.ID, "error", err)
	}
	a.keep.Cancel()
}

// abandon undoes what the attempt did, on a context of its own: the client may be
// gone.
func (a *attempt) abandon(parent context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(parent), cleanupTime)
	defer cancel()
	if a.keep != nil {
		a.keep.Cancel()
	}
	if a.unknown {
		return // the reaper decides, when the lease has run out
	}
	clean := !a.committed
	if a.out != nil {
		if err := a.out.Cancel(); err != nil {
			a.s.cfg.Log.Warn("a broken upload left bytes for the reaper", "image", a.up.ImageID, "store", a.st.ID, "error", err)
			clean = false
		}
	}
	if err := a.s.cfg.Registry.Fail(ctx, a.up.Token, clean); err != nil {
		a.s.cfg.Log.Warn("a broken upload is left to the reaper", "image", a.up.ImageID, "error", err)
		return
	}
	if !clean {
		a.discard(ctx)
	}
}

// discard removes what was written but not acknowledged, committed or half done,
// once the registry has shown that no image names it.
func (a *attempt) discard(ctx context.Context) {
	deletable, err := a.s.cfg.Registry.Reap(ctx, a.up.Token)
	if err == nil && deletable {
		if err = a.s.DeleteLocator(ctx, a.st.ID, image.Secret(a.out.Locator().Reveal())); err == nil {
			err = a.s.cfg.Registry.Fail(ctx, a.up.Token, true)
		}
	}
	if err != nil {
		a.s.cfg.Log.Warn("a broken upload left bytes for the reaper", "image", a.up.ImageID, "store", a.st.ID, "error", err)
	}
}

// writeError gives a store's refusal its kind.
func writeError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, backends.ErrFull):
		return image.Wrap(image.TooLarge, err, "The store is full.")
	case errors.Is(err, backends.ErrExists):
		return image.Wrap(image.Conflict, err, "The store has data for this image already.")
	case errors.Is(err, backends.ErrUnavailable): // a driver's own timeouts look like a context's
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return image.Wrap(image.Invalid, err, "The upload was cancelled.")
	}
	return image.Wrap(image.Unavailable, fmt.Errorf("origin write: %w", err), "The store refused the data.")
}
