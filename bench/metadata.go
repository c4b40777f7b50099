package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"glimpse/cmd/testenv"
)

// metadata: a record is shown with a token of a real Keystone that the node knows,
// asked by wrk on the same machine; beside nginx with a fixed answer.
func metadata(l *lab) error {
	n := l.nginx("/dev/null", "")
	k := testenv.Keystone(l)
	g := l.node("", "auth.mode=keystone", "auth.keystone.auth_url="+k.URL, "auth.keystone.username=glance", "auth.keystone.password=glancepw", "auth.keystone.project_name=service")
	g.token = k.Token(l, "admin", "secret", "admin")
	id, err := g.newImage(l.ctx)
	if err != nil {
		return err
	}
	for range l.rounds {
		for _, target := range []struct{ name, url string }{{"nginx", n.small}, {"glimpse, Keystone (aim 20,000/s, p99 5 ms)", g.url("/v2/images/" + id)}} {
			out, err := wrk(l.ctx, target.url, g.token)
			if err != nil {
				return err
			}
			l.say(target.name + ": " + out)
		}
	}
	return nil
}

var wrkLines = regexp.MustCompile(`(?m)^\s*(?:(?:50|99)%.*|Requests/sec:.*|Non-2xx.*|Socket errors.*)$`)

// wrk asks for 5 s over 32 connections.
func wrk(ctx context.Context, url, token string) (string, error) {
	out, err := exec.CommandContext(ctx, "wrk", "-t1", "-c32", "-d5s", "--latency", "-H", "X-Auth-Token: "+token, url).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("wrk: %w: %s", err, out)
	}
	var parts []string
	for _, line := range wrkLines.FindAllString(string(out), -1) {
		parts = append(parts, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(parts, ", "), nil
}

// list: the first page among 200,000 images, as an admin and as a member, on both
// engines.
func list(l *lab) error {
	const images, asks = 200_000, 200
	for _, engine := range []struct{ name, url string }{{"SQLite", ""}, {"MariaDB", testenv.MariaDB(l)}} {
		sets := []string{"auth.mode=trusted-headers"}
		url := engine.url
		if url != "" {
			sets = append(sets, "registry.url="+url)
		}
		g := l.node(engine.name, sets...)
		if url == "" {
			url = "sqlite:" + g.dir + "/registry.db"
		}
		db, err := openRegistry(url)
		if err != nil {
			return err
		}
		err = db.fill(l.ctx, images)
		db.Close()
		if err != nil {
			return err
		}
		for _, who := range []struct{ name, project, roles string }{{"admin", "admin", "admin,member,reader"}, {"member", "project-7", "member,reader"}} {
			var took []float64
			for range asks {
				d, err := page(l.ctx, g.url("/v2/images"), who.project, who.roles)
				if err != nil {
					return err
				}
				took = append(took, d.Seconds()*1e3)
			}
			l.say(fmt.Sprintf("%s, %s: a page of 25 among %d images: p50 %.2f ms (aim 5), p99 %.2f ms", engine.name, who.name, images, median(took), percentile(took, 0.99)))
		}
		g.stop()
		g.process = nil
	}
	return nil
}

func page(ctx context.Context, url, project, roles string) (time.Duration, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("X-User-Id", "u")
	r.Header.Set("X-Project-Id", project)
	r.Header.Set("X-Roles", roles)
	start := time.Now()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	took := time.Since(start)
	if n := strings.Count(string(b), `"file":`); err == nil && n != 25 {
		err = fmt.Errorf("%s: a page of %d images", resp.Status, n)
	}
	return took, err
}
