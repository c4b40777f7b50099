package sqlstore

import (
	"cmp"
	"database/sql"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"
)

// Config says which database and how.
type Config struct {
	// URL is sqlite:PATH or mysql://user:password@host:port/database, with
	// parameters of go-sql-driver/mysql after a question mark; unix_socket=PATH
	// takes the place of host and port. It holds a password: no error repeats it.
	URL          string
	MaxOpenConns int    // 0: 8
	AcceptSchema string // an unknown contract head that is accepted all the same

	// UploadLease is how long an attempt lives without Renew; 0: one minute.
	// Attempts are reported as lapsed when as much again has gone by.
	UploadLease time.Duration

	// EncryptionKey is Glance's metadata_encryption_key, of 16, 24 or 32 bytes; "":
	// the URLs of locations are stored as they are.
	EncryptionKey string

	Log     *slog.Logger                        // nil: nowhere
	Observe func(op string, took time.Duration) // told of every operation; nil: no one
}

func (c Config) withDefaults() Config {
	c.MaxOpenConns = cmp.Or(c.MaxOpenConns, 8)
	c.UploadLease = cmp.Or(c.UploadLease, time.Minute)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Observe == nil {
		c.Observe = func(string, time.Duration) {}
	}
	return c
}

// address is a parsed URL.
type address struct {
	path                           string // SQLite
	network, addr                  string // MySQL
	user, password, database, args string
}

// errURL names no part of the URL, since any part may hold the password.
var errURL = errors.New("sqlstore: the registry URL must be sqlite:PATH or mysql://user:password@host:port/database")

// parse takes the URL apart.
func parse(raw string) (dialect, address, error) {
	if path, ok := strings.CutPrefix(raw, "sqlite:"); ok && path != "" {
		return sqlite{}, address{path: path}, nil
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "mysql" || strings.Trim(u.Path, "/") == "" {
		return nil, address{}, errURL
	}
	a := address{network: "tcp", addr: u.Host, user: u.User.Username(), database: strings.Trim(u.Path, "/")}
	a.password, _ = u.User.Password()
	if u.Port() == "" {
		a.addr = net.JoinHostPort(cmp.Or(u.Hostname(), "127.0.0.1"), "3306")
	}
	args, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, address{}, errURL
	}
	if socket := args.Get("unix_socket"); socket != "" {
		a.network, a.addr = "unix", socket
		args.Del("unix_socket")
	}
	a.args = args.Encode()
	return mysqlDialect{}, a, nil
}

// limit bounds a pool.
func (c Config) limit(pool *sql.DB) {
	pool.SetMaxOpenConns(c.MaxOpenConns)
	pool.SetMaxIdleConns(c.MaxOpenConns)
	pool.SetConnMaxLifetime(connLife)
}

// connLife is shorter than the idle limits of the proxies and firewalls that
// stand between nodes and their database.
const connLife = 3 * time.Minute
