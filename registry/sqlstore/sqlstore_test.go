package sqlstore

import (
	"path/filepath"
	"testing"
	"time"

	"glimpse/cmd/testenv"
	"glimpse/registry"
	"glimpse/registry/registrytest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// key is a metadata_encryption_key. The kit is run with it too: nothing depends
// on how URLs are stored.
const key = "0123456789abcdef0123456789abcdef"

// engines are run by every test that isn't about one of them.
var engines = map[string]func(t *testing.T) string{
	"sqlite":  func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "a b?%41.db") },
	"mariadb": func(t *testing.T) string { return testenv.MariaDB(t) },
}

func onEngines(t *testing.T, test func(t *testing.T, url string)) {
	for name, url := range engines {
		t.Run(name, func(t *testing.T) { test(t, url(t)) })
	}
}

// connect opens without Sync.
func connect(t *testing.T, cfg Config) *DB {
	t.Helper()
	db, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func ready(t *testing.T, cfg Config) *DB {
	t.Helper()
	db := connect(t, cfg)
	if err := db.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db
}

func TestConformance(t *testing.T) {
	for name, url := range engines {
		t.Run(name, func(t *testing.T) {
			registrytest.Run(t, func(t *testing.T, lease time.Duration) registry.Registry {
				return ready(t, Config{URL: url(t), UploadLease: lease})
			})
		})
	}
	t.Run("encrypted", func(t *testing.T) {
		registrytest.Run(t, func(t *testing.T, lease time.Duration) registry.Registry {
			return ready(t, Config{URL: engines["sqlite"](t), UploadLease: lease, EncryptionKey: key})
		})
	})
}
