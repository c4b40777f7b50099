package sqlstore

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/go-sql-driver/mysql"
)

// noSuchVariable is the server's error 1193.
const noSuchVariable = 1193

// causal opens sessions in which a read waits, where the server is one of a
// Galera cluster, for all that was committed on the others before it: who was
// told of a write would else read the record from before it. Elsewhere there is
// no such variable, or it says nothing.
type causal struct{ driver.Connector }

func (c causal) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	_, err = conn.(driver.ExecerContext).ExecContext(ctx, "SET SESSION wsrep_sync_wait = 1", nil)
	var e *mysql.MySQLError
	if err != nil && !(errors.As(err, &e) && e.Number == noSuchVariable) {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}
