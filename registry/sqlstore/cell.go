package sqlstore

import (
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// cell is one value of a row as text: the two drivers give the same column as
// bytes, integers, booleans or times.
type cell struct{ sql.NullString }

func (c cell) text() *string {
	if !c.Valid {
		return nil
	}
	return &c.String
}

func (c cell) number() *int64 {
	if !c.Valid {
		return nil
	}
	n, err := strconv.ParseInt(c.String, 10, 64)
	if err != nil {
		return nil
	}
	return &n
}

func (c cell) int() int64 {
	if n := c.number(); n != nil {
		return *n
	}
	return 0
}

func (c cell) bool() bool { return c.String == "1" || c.String == "true" }

// time returns the moment, or nil for NULL. Glance on SQLite writes fractions
// of a second; MySQL's columns have none.
func (c cell) time() (*time.Time, error) {
	if !c.Valid {
		return nil, nil
	}
	for _, layout := range []string{"2006-01-02 15:04:05.999999999", time.RFC3339Nano, "2006-01-02 15:04:05.999999999-07:00"} {
		if t, err := time.Parse(layout, c.String); err == nil {
			t = t.UTC()
			return &t, nil
		}
	}
	return nil, fmt.Errorf("%q is not a time", c.String)
}

// scan reads the current row.
func scan(rows *sql.Rows, cells []cell) error {
	to := make([]any, len(cells))
	for i := range cells {
		to[i] = &cells[i]
	}
	return rows.Scan(to...)
}

// marks returns n question marks.
func marks(n int) string {
	return strings.TrimSuffix(strings.Repeat("?, ", n), ", ")
}

// now is the moment of a write: whole seconds, which is what MySQL's columns
// hold.
func now() time.Time { return time.Now().UTC().Truncate(time.Second) }
