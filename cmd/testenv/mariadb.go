package testenv

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// startMariaDB starts the process's one server.
var startMariaDB = sync.OnceValues(newMariaDB)

// MariaDB returns the address of a fresh, empty database on a private server:
// mysql://user:password@127.0.0.1:port/name. It is dropped when the test ends.
func MariaDB(t testing.TB) (dsn string) {
	t.Helper()
	Need(t, "mariadbd", "mariadb-install-db")
	s, err := startMariaDB()
	if err != nil {
		t.Fatal(err)
	}
	name := "t" + strconv.FormatInt(s.databases.Add(1), 10)
	if err := s.exec("CREATE DATABASE " + name + " CHARACTER SET utf8mb4"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.exec("DROP DATABASE " + name); err != nil {
			t.Error(err)
		}
	})
	return fmt.Sprintf("mysql://glimpse:glimpse@127.0.0.1:%d/%s", s.port, name)
}

const grantAll = "GRANT ALL ON *.* TO glimpse@'127.0.0.1' IDENTIFIED BY 'glimpse'"

type mariadb struct {
	dir       string
	port      int
	cmd       *exec.Cmd
	databases atomic.Int64
}

func newMariaDB() (*mariadb, error) {
	dir, err := os.MkdirTemp("", "glimpse-mariadb-")
	if err != nil {
		return nil, err
	}
	AtExit(func() { _ = os.RemoveAll(dir) })
	s := &mariadb{dir: dir}
	if err := s.install(); err != nil {
		return nil, err
	}
	// Another process may take the free port before the server does.
	for range 3 {
		if err = s.start(); err == nil {
			AtExit(s.stop)
			return s, s.exec(grantAll)
		}
	}
	return nil, err
}

// as names the account to run under: MariaDB refuses to be root unasked.
func (s *mariadb) as() []string {
	if os.Geteuid() == 0 {
		return []string{"--user=mysql"}
	}
	return nil
}

func (s *mariadb) install() error {
	if err := os.Chmod(s.dir, 0o755); err != nil {
		return err
	}
	bin, err := find("mariadb-install-db")
	if err != nil {
		return err
	}
	args := append([]string{
		"--no-defaults", "--datadir=" + filepath.Join(s.dir, "data"),
		"--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve", "--innodb-log-file-size=16M",
	}, s.as()...)
	if out, err := exec.Command(bin, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("mariadb-install-db: %w: %s", err, out)
	}
	return nil
}

// account is who the server runs as: it refuses to be root.
func account() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("mysql")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

func (s *mariadb) socket() string { return filepath.Join(s.dir, "data", "s.sock") }

// start starts the server on its port, or where it has none on a free one, with
// further arguments.
func (s *mariadb) start(more ...string) (err error) {
	if s.port == 0 {
		if s.port, err = freePort(); err != nil {
			return err
		}
		defer func() {
			if err != nil {
				s.port = 0
			}
		}()
	}
	bin, err := find("mariadbd")
	if err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd = exec.Command(bin, append([]string{
		"--no-defaults", "--datadir=" + filepath.Join(s.dir, "data"), "--socket=" + s.socket(),
		"--pid-file=" + filepath.Join(s.dir, "data", "pid"), "--port=" + strconv.Itoa(s.port), "--bind-address=127.0.0.1", "--skip-name-resolve",
		"--innodb-buffer-pool-size=64M", "--innodb-log-file-size=16M", "--performance-schema=0", "--max-connections=300",
		"--innodb-flush-log-at-trx-commit=2", "--sync-binlog=0",
	}, more...)...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	// A change of account by the server itself would undo Pdeathsig.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if s.cmd.SysProcAttr.Credential, err = account(); err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	if err := s.wait(); err != nil {
		s.stop()
		out, _ := os.ReadFile(log.Name())
		return fmt.Errorf("mariadbd did not start: %w: %s", err, out)
	}
	return nil
}

// wait asks the server until it answers, a minute at most.
func (s *mariadb) wait() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.exec("DO 1")
		if err == nil {
			return nil
		}
		var status syscall.WaitStatus
		if pid, _ := syscall.Wait4(s.cmd.Process.Pid, &status, syscall.WNOHANG, nil); pid != 0 {
			return errors.Join(err, fmt.Errorf("it ended with status %d", status.ExitStatus()))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
}

// exec runs one statement as root.
func (s *mariadb) exec(query string) error {
	db, err := s.open()
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.Exec(query)
	return err
}

// open is root's way to the server, over its socket.
func (s *mariadb) open() (*sql.DB, error) {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Net, cfg.Addr = "root", "unix", s.socket()
	cfg.Logger = &mysql.NopLogger{}
	c, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(c), nil
}

// stop ends this one server, by its process id, and waits for it.
func (s *mariadb) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
}

// ports are those that were given to tests of this process.
var ports sync.Map

// freePort returns a port that nobody listens on, each one once.
func freePort() (int, error) {
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		port := l.Addr().(*net.TCPAddr).Port
		l.Close()
		if _, given := ports.LoadOrStore(port, true); !given {
			return port, nil
		}
	}
}
