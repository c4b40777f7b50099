package registry_test

import (
	"context"
	"testing"
	"time"

	"glimpse/registry"
	"glimpse/registry/image"
	"glimpse/registry/memstore"
	"glimpse/registry/registrytest"
)

// leased is a registry whose records are read through Leases.
type leased struct {
	registry.Registry
	leases *registry.Leases
}

func (l leased) Get(ctx context.Context, id string) (image.Image, error) {
	return l.leases.Get(ctx, id)
}

// Behind leases that are never over, a registry must still be one: only what is
// written past the leases may be seen late.
func TestALeasedRegistryIsARegistry(t *testing.T) {
	registrytest.Run(t, func(t *testing.T, lease time.Duration) registry.Registry {
		db := memstore.New(lease)
		l := newLeases(t, db, registry.LeasesConfig{MaxStaleness: time.Hour, OutageGrace: time.Hour})
		return leased{l.Writes(db), l}
	})
}
