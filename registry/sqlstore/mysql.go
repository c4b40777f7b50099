package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"io/fs"
	"net"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations
var migrationFiles embed.FS

//go:embed glance/mysql.sql
var mysqlGlance string

// mysqlDialect speaks to MySQL, MariaDB and Galera.
type mysqlDialect struct{}

func (mysqlDialect) open(a address, patient bool) (*sql.DB, error) {
	cfg, err := mysql.ParseDSN("/?" + a.args)
	if err != nil {
		return nil, errURL
	}
	cfg.Net, cfg.Addr, cfg.User, cfg.Passwd, cfg.DBName = a.network, a.addr, a.user, a.password, a.database
	cfg.Logger = &mysql.NopLogger{}
	cfg.ParseTime = patient    // goose's lock wants it; elsewhere UTC without a zone is read as text
	cfg.ClientFoundRows = true // "affected" means matched
	cfg.InterpolateParams = true
	cfg.RejectReadOnly = true
	cfg.MultiStatements = false
	cfg.Timeout = 5 * time.Second
	cfg.DialFunc = dial
	if !patient {
		cfg.ReadTimeout, cfg.WriteTimeout = 30*time.Second, 30*time.Second
	}
	if err := cfg.Apply(mysql.Charset("utf8mb4", "")); err != nil {
		return nil, errURL
	}
	if cfg.Params == nil {
		cfg.Params = map[string]string{}
	}
	cfg.Params["sql_mode"] = "'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
	cfg.Params["time_zone"] = "'+00:00'"
	cfg.Params["innodb_lock_wait_timeout"] = "10"
	c, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, errURL
	}
	return sql.OpenDB(causal{c}), nil
}

func (mysqlDialect) write() *sql.TxOptions {
	return &sql.TxOptions{Isolation: sql.LevelReadCommitted}
}

func (mysqlDialect) forUpdate() string { return " FOR UPDATE" }

func (mysqlDialect) now() string {
	return "TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6))"
}

func (mysqlDialect) insertNew() string { return "INSERT IGNORE INTO" }

func (mysqlDialect) onTaken(_, set string) string { return " ON DUPLICATE KEY UPDATE " + set }

func (mysqlDialect) timeText(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

func (mysqlDialect) fold(id string) string { return strings.ToLower(id) }

func (mysqlDialect) class(err error) class {
	var e *mysql.MySQLError
	var n net.Error
	switch {
	case errors.As(err, &e):
		return mysqlClass(e.Number)
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, mysql.ErrInvalidConn), errors.Is(err, sql.ErrConnDone), errors.As(err, &n):
		return away
	}
	return other
}

// mysqlClass knows the numbers of the server's errors.
func mysqlClass(number uint16) class {
	switch number {
	case 1213, 1205, 1020: // deadlock (Galera: certification), lock wait, record changed
		return transient
	case 1062, 1586:
		return taken
	case 1366, 1406, 1264, 1265: // not in the charset, too long, out of range, truncated
		return unfit
	case 1040, 1042, 1044, 1045, 1047, 1049, 1053, 1129, 1130, 1158, 1159, 1160, 1161, 1180, 1203, 1226, 1290, 1317, 1792, 1836, 1927, 3024:
		return away // too many connections, refused, not in the cluster's primary part (also at COMMIT), shutting down, read only, killed
	}
	return other
}

func (mysqlDialect) goose() goose.Dialect { return goose.DialectMySQL }

func (mysqlDialect) migrations() (fs.FS, error) { return fs.Sub(migrationFiles, "migrations/mysql") }

func (mysqlDialect) glanceSchema() string { return mysqlGlance }

// lock holds a row with a lease, kept alive in the background, so that a node
// that dies with it stops no one for longer than half a minute.
func (mysqlDialect) lock(ctx context.Context, db *sql.DB, _ address) (func() error, error) {
	l, err := lock.NewMySQLTableLocker(
		lock.WithTableName(lockTable),
		lock.WithTableLockTimeout(250*time.Millisecond, 480),
		lock.WithTableUnlockTimeout(250*time.Millisecond, 40),
	)
	if err != nil {
		return nil, err
	}
	if err := l.Lock(ctx, db); err != nil {
		return nil, err
	}
	return func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return l.Unlock(ctx, db)
	}, nil
}

func (mysqlDialect) tables() string {
	return "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
}

func (mysqlDialect) indexes() string {
	return "SELECT DISTINCT table_name, index_name FROM information_schema.statistics WHERE table_schema = DATABASE()"
}

func (mysqlDialect) dropIndex(table, index string) string {
	return "DROP INDEX " + index + " ON " + table
}
