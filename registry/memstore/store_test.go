package memstore

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"glimpse/registry"
	"glimpse/registry/registrytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	registrytest.Run(t, func(_ *testing.T, lease time.Duration) registry.Registry { return New(lease) })
}
