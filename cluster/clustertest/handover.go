package clustertest

import (
	"context"

	"glimpse/cluster"
	"glimpse/cluster/ring"
	"glimpse/cluster/serve"
	"glimpse/cluster/wire"
)

// Handover is the plane with the questions of a hand-over, as cluster/peers has
// them. A node whose Local is no serve.Handover does not know them.
type Handover interface {
	cluster.Peers
	List(ctx context.Context, at ring.Node, q cluster.Claim) (cluster.Page, error)
	Take(ctx context.Context, at ring.Node) (cluster.Account, error)
	Vitals(ctx context.Context, at ring.Node) (cluster.Vitals, error)
}

// Handover returns the plane as one node sees it.
func (n *Net) Handover(self string) Handover { return &peers{n, self} }

func (p *peers) handover(ctx context.Context, at ring.Node) (serve.Handover, error) {
	l, err := p.n.reach(ctx, way{p.self, at.ID})
	if err != nil {
		return nil, err
	}
	h, ok := l.(serve.Handover)
	if !ok {
		return nil, cluster.ErrUnknown
	}
	return h, nil
}

func (p *peers) List(ctx context.Context, at ring.Node, q cluster.Claim) (cluster.Page, error) {
	h, err := p.handover(ctx, at)
	if err != nil {
		return cluster.Page{}, err
	}
	q.From = p.self
	if q, err = wire.Claiming(q).Claim(p.n.geo); err != nil {
		return cluster.Page{}, away(at.ID, err)
	}
	page, err := h.Holdings(ctx, q)
	if err != nil {
		return cluster.Page{}, crossed(ctx, err)
	}
	b, err := wire.EncodePage(page)
	if err == nil {
		page, err = wire.DecodePage(b, q)
	}
	if err != nil {
		return cluster.Page{}, away(at.ID, err)
	}
	return page, nil
}

func (p *peers) Take(ctx context.Context, at ring.Node) (cluster.Account, error) {
	h, err := p.handover(ctx, at)
	if err != nil {
		return cluster.Account{}, err
	}
	a, err := h.Take(ctx, p.self)
	return a, crossed(ctx, err)
}

func (p *peers) Vitals(ctx context.Context, at ring.Node) (cluster.Vitals, error) {
	h, err := p.handover(ctx, at)
	if err != nil {
		return cluster.Vitals{}, err
	}
	return h.Vitals(), nil
}
