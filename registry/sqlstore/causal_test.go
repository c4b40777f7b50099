package sqlstore

import (
	"testing"

	"glimpse/cmd/testenv"
)

// On a single server it is only seen that every session asks for it.
func TestEverySessionReadsCausally(t *testing.T) {
	db := connect(t, Config{URL: testenv.MariaDB(t)})
	for range 3 {
		conn, err := db.pool.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		var bits int
		if err := conn.QueryRowContext(t.Context(), "SELECT @@SESSION.wsrep_sync_wait").Scan(&bits); err != nil || bits&1 == 0 {
			t.Errorf("wsrep_sync_wait is %d: %v", bits, err)
		}
	}
}
