package sqlstore

import (
	"context"
	"fmt"
	"net/url"
	"os"
	osexec "os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"glimpse/cmd/testenv"
	"glimpse/registry"
	"glimpse/registry/image"
)

func TestThreeNodesSyncAnEmptyDatabaseAtOnce(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		var wg sync.WaitGroup
		for range 3 {
			db := connect(t, Config{URL: url})
			wg.Go(func() {
				if err := db.Sync(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		heads, version, err := connect(t, Config{URL: url}).Version(t.Context())
		if err != nil || !slices.Equal(heads, []string{freshHead}) || version < 1 {
			t.Error(heads, version, err)
		}
	})
}

// glanceSync makes the schema with Glance's own tool.
func glanceSync(t *testing.T, raw string) {
	t.Helper()
	testenv.Need(t, "glance-manage")
	connection := "sqlite:///" + strings.TrimPrefix(raw, "sqlite:")
	if u, err := url.Parse(raw); err == nil && u.Scheme == "mysql" {
		u.Scheme, u.RawQuery = "mysql+pymysql", "charset=utf8"
		connection = u.String()
	}
	conf := filepath.Join(t.TempDir(), "glance.conf")
	text := "[database]\nconnection = " + strings.ReplaceAll(connection, "%", "%%") + "\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := osexec.CommandContext(t.Context(), "glance-manage", "--config-file", conf, "db_sync").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// plain has no characters that Glance's own tool stumbles over.
func plain(t *testing.T, engine string) string {
	if engine == "sqlite" {
		return "sqlite:" + filepath.Join(t.TempDir(), "r.db")
	}
	return testenv.MariaDB(t)
}

// describe lists tables with their columns and indexes, Glimpse's left out.
func describe(t *testing.T, db *DB) []string {
	t.Helper()
	query := "SELECT CONCAT_WS('|', table_name, column_name, column_type, is_nullable, column_default, character_set_name, extra) FROM information_schema.columns WHERE table_schema = DATABASE()" +
		" UNION ALL SELECT CONCAT_WS('|', table_name, index_name, non_unique, seq_in_index, column_name) FROM information_schema.statistics WHERE table_schema = DATABASE()" +
		" UNION ALL SELECT CONCAT_WS('|', table_name, engine, table_collation) FROM information_schema.tables WHERE table_schema = DATABASE()" +
		" UNION ALL SELECT CONCAT_WS('|', table_name, constraint_name, referenced_table_name) FROM information_schema.referential_constraints WHERE constraint_schema = DATABASE()"
	if _, ok := db.d.(sqlite); ok {
		query = "SELECT m.name || '|' || c.name || '|' || c.type || '|' || c.\"notnull\" || '|' || COALESCE(c.dflt_value, '') || '|' || c.pk FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'" +
			" UNION ALL SELECT m.name || '|' || l.name || '|' || l.\"unique\" || '|' || i.seqno || '|' || i.name FROM sqlite_master m, pragma_index_list(m.name) l, pragma_index_info(l.name) i WHERE m.type = 'table'" +
			" UNION ALL SELECT m.name || '|' || f.\"table\" || '|' || f.\"from\" FROM sqlite_master m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table'"
	}
	all, err := column(t.Context(), db.pool, query)
	if err != nil {
		t.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(s string) bool {
		return strings.Contains(s, prefix) || strings.Contains(s, "sqlite_sequence")
	})
	slices.Sort(all)
	return all
}

func TestFreshSchemaIsWhatGlanceMakes(t *testing.T) {
	for engine := range engines {
		t.Run(engine, func(t *testing.T) {
			theirs := plain(t, engine)
			glanceSync(t, theirs)
			want := describe(t, connect(t, Config{URL: theirs}))
			got := describe(t, ready(t, Config{URL: plain(t, engine)}))
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestGlancesSchemaIsAdoptedAndGivenBack(t *testing.T) {
	for engine := range engines {
		t.Run(engine, func(t *testing.T) {
			url := plain(t, engine)
			glanceSync(t, url)
			db := connect(t, Config{URL: url})
			before, err := db.tables(t.Context(), db.pool)
			if err != nil {
				t.Fatal(err)
			}
			shape := describe(t, db)
			if err := db.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			added, err := db.Optimize(t.Context())
			if err != nil || len(added) != len(indexes) {
				t.Fatal(added, err)
			}
			if added, err := db.Optimize(t.Context()); err != nil || len(added) != 0 {
				t.Error(added, err)
			}
			name := "n"
			if _, err := db.Create(t.Context(), image.Image{ID: "i", Name: &name, Status: image.Queued, Visibility: image.Shared}); err != nil {
				t.Error(err)
			}
			if err := db.Remove(t.Context()); err != nil {
				t.Fatal(err)
			}
			after, err := db.tables(t.Context(), db.pool)
			if err != nil {
				t.Fatal(err)
			}
			drop := func(s string) bool { return s == "sqlite_sequence" }
			slices.Sort(before)
			slices.Sort(after)
			if d := cmp.Diff(before, slices.DeleteFunc(after, drop)); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(shape, describe(t, db)); d != "" {
				t.Error(d)
			}
			if err := db.Sync(t.Context()); err != nil {
				t.Error(err)
			}
			if m, err := db.Get(t.Context(), "i"); err != nil || *m.Name != "n" || m.Version != 0 {
				t.Error(m, err)
			}
		})
	}
}

func TestHeads(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		db := ready(t, Config{URL: url})
		stamp := func(heads ...string) {
			if _, err := db.pool.Exec("DELETE FROM alembic_version"); err != nil {
				t.Fatal(err)
			}
			for _, head := range heads {
				if _, err := db.pool.Exec("INSERT INTO alembic_version VALUES (?)", head); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, head := range knownHeads {
			stamp(head)
			if err := db.Sync(t.Context()); err != nil {
				t.Errorf("%s: %v", head, err)
			}
		}
		stamp("2024_1_contract01", "2029_1_expand01")
		if err := db.Sync(t.Context()); err != nil {
			t.Errorf("unknown expand head: %v", err)
		}
		stamp("2029_1_contract01")
		if err := db.Sync(t.Context()); err == nil || !strings.Contains(err.Error(), "2029_1_contract01") || !strings.Contains(err.Error(), "accept_schema") {
			t.Errorf("unknown contract head: %v", err)
		}
		if err := connect(t, Config{URL: url, AcceptSchema: "2029_1_contract01"}).Sync(t.Context()); err != nil {
			t.Errorf("accepted contract head: %v", err)
		}
		stamp()
		if err := db.Sync(t.Context()); err == nil {
			t.Error("took a database with images and no head for an empty one")
		}
	})
}

func TestPasswordsStayOutOfErrors(t *testing.T) {
	for _, url := range []string{
		"mysql://u:s3cret@127.0.0.1:1/db", "mysql://u:s3cret@127.0.0.1", "mysql://u:s3cret%zz@h/db", "postgres://u:s3cret@h/db",
		"s3cret", "mysql://u:s3cret@h/db?tls=s3cret", "mysql://u:p@h:port/s3cret", "sqlite:/nowhere/at/all/r.db",
	} {
		db, err := Open(t.Context(), Config{URL: url})
		if err == nil {
			t.Errorf("opened %s", url)
			_ = db.Close()
			continue
		}
		if s := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(s, "s3cret") {
			t.Error(s)
		}
	}
}

func TestDatabaseAway(t *testing.T) {
	_, err := Open(t.Context(), Config{URL: "mysql://u:p@127.0.0.1:1/db"})
	if image.KindOf(err) != image.Unavailable {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	db := ready(t, Config{URL: plain(t, "sqlite")})
	if _, err := db.List(ctx, registry.Query{Admin: true, Limit: 1}); image.KindOf(err) != image.Unavailable {
		t.Error(err)
	}
}
