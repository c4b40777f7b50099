package main

import (
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	originRate = 200_000_000 // bytes a second
	streamRate = 50_000_000
)

// stores: a cold image from an origin of 200 MB/s, from each type of store, beside
// the type's own tool; and without a limit, for what it costs.
func stores(l *lab) error {
	return l.eachOrigin(func(kind string, o origin) error {
		for _, limit := range []int64{originRate, 0} {
			at := o.behind(limit, 0)
			g, id, err := l.before(kind, o, at)
			if err != nil {
				return err
			}
			l.say(o.peer + ": " + strings.Join(o.tool(at), " "))
			var tool, node []measurement
			for range l.rounds/2 + 1 {
				m, err := command(l, o.tool(at))
				if err != nil {
					return err
				}
				tool = append(tool, m)
				if m, err = l.coldRead(g, id); err != nil {
					return err
				}
				node = append(node, m)
			}
			l.compare(kind, o.peer, limit, tool, node)
			g.stop()
			g.process = nil
		}
		return nil
	})
}

func (l *lab) compare(kind, name string, limit int64, tool, node []measurement) {
	gib := float64(l.size) / (1 << 30)
	tw, tc := medians(tool)
	nw, nc := medians(node)
	what, aim := "without a limit", ""
	if limit > 0 {
		what, aim = fmt.Sprintf("origin of %d MB/s", limit/1_000_000), " (aim 1.1)"
	}
	for i := range tool {
		l.say(fmt.Sprintf("  %s %.2f s, glimpse %.2f s: %.3f", name, tool[i].wall, node[i].wall, node[i].wall/tool[i].wall))
	}
	l.say(fmt.Sprintf("%s, %s: %s %.2f s, glimpse cold %.2f s, ratio %.3f%s; CPU %.2f and %.2f s per GiB", kind, what, name, tw, nw, nw/tw, aim, tc/gib, nc/gib))
}

func medians(all []measurement) (wall, cpu float64) {
	var w, c []float64
	for _, m := range all {
		w, c = append(w, m.wall), append(c, m.cpu)
	}
	return median(w), median(c)
}

// streams: a cold image from an origin that gives each connection 50 MB/s, filled
// by one stream and by several.
func streams(l *lab) error {
	return l.eachOrigin(func(kind string, o origin) error {
		if o.shared {
			l.say(kind + ": its streams share a connection to each server, so there is nothing to gain by several")
			return nil
		}
		at := o.behind(0, streamRate)
		one, id, err := l.before(kind, o, at, "cache.fill_streams=1")
		if err != nil {
			return err
		}
		several, _, err := l.before(kind, o, at)
		if err != nil {
			return err
		}
		var single, many []measurement
		for range l.rounds/2 + 1 {
			m, err := l.coldRead(one, id)
			if err != nil {
				return err
			}
			single = append(single, m)
			if m, err = l.coldRead(several, id); err != nil {
				return err
			}
			many = append(many, m)
		}
		s, _ := medians(single)
		m, _ := medians(many)
		l.say(fmt.Sprintf("%s, %d MB/s a connection: one stream %.2f s, several %.2f s, %.2fx as fast (aim 1.5)", kind, streamRate/1_000_000, s, m, s/m))
		return nil
	})
}

// eachOrigin measures every type that has its server here.
func (l *lab) eachOrigin(fn func(kind string, o origin) error) error {
	image := l.image(l.size)
	var errs []error
	for _, row := range origins {
		if !l.kinds.MatchString(row.kind) {
			continue
		}
		o, err := row.open(l, image)
		if err == nil {
			err = fn(row.kind, o)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", row.kind, err))
		}
	}
	return errors.Join(errs...)
}

// before starts a node whose registry knows the image at the origin, as a Glance
// would have recorded it.
func (l *lab) before(kind string, o origin, place string, sets ...string) (g *glimpse, id string, err error) {
	if o.binary != "" {
		other := *l
		other.binary, l = o.binary, &other
	}
	g = l.node(kind, append(o.sets(place), sets...)...)
	g.stop()
	g.process = nil
	db, err := openRegistry("sqlite:" + filepath.Join(g.dir, "registry.db"))
	if err != nil {
		return nil, "", err
	}
	defer db.Close()
	id = "5f2e4a8c-0000-4000-8000-000000000000"
	if err := db.insert(l.ctx, id, kind, "admin", "public", l.size); err != nil {
		return nil, "", err
	}
	return g, id, db.locate(l.ctx, id, "origin", o.location(place))
}

// coldRead is one client's download through a node that has nothing in its cache.
func (l *lab) coldRead(g *glimpse, id string) (m measurement, err error) {
	if err := g.cold(l.ctx); err != nil {
		return m, err
	}
	return measure(g, func() error {
		_, err := receive(l.ctx, g.file(id), "", http.StatusOK, l.size)
		return err
	})
}

// command measures a command from its start to its end.
func command(l *lab, args []string) (measurement, error) {
	cmd := exec.CommandContext(l.ctx, args[0], args[1:]...)
	start := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return measurement{}, fmt.Errorf("%s: %w: %s", args[0], err, out)
	}
	p := cmd.ProcessState
	return measurement{time.Since(start).Seconds(), (p.UserTime() + p.SystemTime()).Seconds()}, nil
}
