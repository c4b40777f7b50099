package peers

import (
	"context"

	"glimpse/cluster"
	"glimpse/cluster/ring"
	"glimpse/cluster/wire"
)

// List asks a node what it holds of the extents that this one owns: one page.
// cluster.ErrUnknown: it is of an earlier version.
func (p *Peers) List(ctx context.Context, n ring.Node, q cluster.Claim) (cluster.Page, error) {
	b, err := p.call(ctx, n, wire.List, wire.Claiming(q))
	if err != nil {
		return cluster.Page{}, err
	}
	page, err := wire.DecodePage(b, q)
	return page, p.senseless(n, err)
}

// Take has a node take over from this one what it owns now. It returns when that
// is done, which may take hours.
func (p *Peers) Take(ctx context.Context, n ring.Node) (cluster.Account, error) {
	b, err := p.call(ctx, n, wire.Take, wire.Ask{})
	if err != nil {
		return cluster.Account{}, err
	}
	a, err := wire.DecodeAccount(b)
	return a, p.senseless(n, err)
}

// Vitals asks a node about itself.
func (p *Peers) Vitals(ctx context.Context, n ring.Node) (cluster.Vitals, error) {
	b, err := p.call(ctx, n, wire.Vitals, wire.Ask{})
	if err != nil {
		return cluster.Vitals{}, err
	}
	v, err := wire.DecodeVitals(b)
	return v, p.senseless(n, err)
}

// senseless counts an answer that was whole and makes no sense.
func (p *Peers) senseless(n ring.Node, err error) error {
	if err == nil {
		return nil
	}
	at := p.of(n)
	p.counts.garbage.Add(1)
	at.complain(babbles, err)
	return at.away("%v", err)
}
