package registry

import (
	"context"

	"glimpse/registry/image"
)

// Writes returns r with every write also ending the leases on what it wrote,
// after it ran and whatever came of it, on all nodes before it returns. Its reads are r's own: never leased.
func (l *Leases) Writes(r Registry) Registry { return &writes{Registry: r, leases: l} }

type writes struct {
	Registry
	leases *Leases
}

func (w *writes) Create(ctx context.Context, m image.Image) (image.Image, error) {
	defer w.leases.Drop(m.ID)
	return w.Registry.Create(ctx, m)
}

func (w *writes) Update(ctx context.Context, id string, fn func(*image.Image) error) (image.Image, error) {
	return w.leases.update(ctx, w.Registry, id, fn)
}

func (w *writes) AddMember(ctx context.Context, imageID, project string, limit int) (image.Member, error) {
	m, err := w.Registry.AddMember(ctx, imageID, project, limit)
	w.leases.wrote(ctx, imageID, err)
	return m, err
}

func (w *writes) SetMemberStatus(ctx context.Context, imageID, project string, s image.MemberStatus) (image.Member, error) {
	m, err := w.Registry.SetMemberStatus(ctx, imageID, project, s)
	w.leases.wrote(ctx, imageID, err)
	return m, err
}

func (w *writes) RemoveMember(ctx context.Context, imageID, project string) error {
	err := w.Registry.RemoveMember(ctx, imageID, project)
	w.leases.wrote(ctx, imageID, err)
	return err
}

func (w *writes) Begin(ctx context.Context, imageID, store, node string) (Upload, error) {
	defer w.leases.Drop(imageID)
	return w.Registry.Begin(ctx, imageID, store, node)
}

// Activate, Fail and Reap name the attempt, not the image. They move images
// between queued, saving and active, and until then none of these is cached: it
// is enough that no read in flight is joined or cached. Other nodes see to that
// themselves, see mustAsk; an activation is told to them, for its image is one
// that they may cache from now on.

func (w *writes) Activate(ctx context.Context, token string, a Activation) (image.Image, error) {
	m, err := w.Registry.Activate(ctx, token, a)
	w.leases.dropFlights()
	if err == nil {
		w.leases.tell(ctx, m.ID)
	}
	return m, err
}

func (w *writes) Adopt(ctx context.Context, token, holder string, fn func(*image.Image) error) (image.Image, error) {
	var id string
	m, err := w.Registry.Adopt(ctx, token, holder, func(m *image.Image) error {
		id = m.ID
		return fn(m)
	})
	if id != "" {
		w.leases.wrote(ctx, id, err)
	}
	return m, err
}

func (w *writes) Fail(ctx context.Context, token string, clean bool) error {
	defer w.leases.dropFlights()
	return w.Registry.Fail(ctx, token, clean)
}

func (w *writes) Reap(ctx context.Context, token string) (bool, error) {
	defer w.leases.dropFlights()
	return w.Registry.Reap(ctx, token)
}
