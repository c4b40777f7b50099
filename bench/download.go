package main

import (
	"fmt"
	"math/rand/v2"

	"golang.org/x/sync/errgroup"
)

// warm: many clients read one image, from the disk tier and from memory, beside
// nginx with sendfile.
func warm(l *lab) error {
	image := l.image(l.size)
	n := l.nginx(image, "")
	all := []variant{{name: "nginx sendfile", server: n, do: func() error { return storm(l.ctx, n.static, l.clients, l.size) }}}
	for _, v := range []struct {
		name, goal string
		sets       []string
	}{
		{"disk tier, verify once", "wall 0.7, cpu 0.75", []string{"cache.verify=once"}},
		{"disk tier, verify always", "wall 0.7, cpu 1.0", []string{"cache.verify=always"}},
		{"memory tier", "wall 0.6", []string{"cache.memory.size=2GiB", "cache.disk.size=0"}},
	} {
		g := l.node(v.name, append([]string{"stores.main.cache=on"}, v.sets...)...)
		from := g.file(l.stored(g, image))
		if err := g.restart(l.ctx); err != nil { // what is warm comes from the disk
			return err
		}
		if err := download(l.ctx, from, l.size); err != nil {
			return err
		}
		all = append(all, variant{name: v.name, goal: v.goal, server: g, do: func() error { return storm(l.ctx, from, l.clients, l.size) }})
	}
	return l.race("GiB", float64(l.size)*float64(l.clients)/(1<<30), all...)
}

// ranges: what random ranges of 1 to 64 MiB cost per byte, beside whole downloads
// out of the same tier.
func ranges(l *lab) error {
	image := l.image(l.size)
	plans, total := l.plans()
	for _, tier := range []struct {
		name string
		sets []string
	}{
		{"memory tier", []string{"cache.memory.size=2GiB", "cache.disk.size=0"}},
		{"disk tier, verify once", []string{"cache.verify=once"}},
	} {
		g := l.node(tier.name, append([]string{"stores.main.cache=on"}, tier.sets...)...)
		from := g.file(l.stored(g, image))
		if err := download(l.ctx, from, l.size); err != nil {
			return err
		}
		parts := func() error {
			eg, ctx := errgroup.WithContext(l.ctx)
			for _, plan := range plans {
				eg.Go(func() error {
					for _, s := range plan {
						if err := downloadRange(ctx, from, s.off, s.n); err != nil {
							return err
						}
					}
					return nil
				})
			}
			return eg.Wait()
		}
		err := l.race("GiB", float64(l.size)*float64(l.clients)/(1<<30),
			variant{name: "whole images", server: g, do: func() error { return storm(l.ctx, from, l.clients, l.size) }},
			variant{name: "random ranges", goal: "cpu 1.1", server: g, amount: float64(total) / (1 << 30), do: parts})
		if err != nil {
			return err
		}
		g.stop()
		g.process = nil
	}
	return nil
}

type span struct{ off, n int64 }

// plans are the ranges that each client reads: as much as the image in all.
func (l *lab) plans() (plans [][]span, total int64) {
	r := rand.New(rand.NewPCG(1, 2))
	plans = make([][]span, l.clients)
	for i := range plans {
		for sum := int64(0); sum < l.size; {
			n := min(1<<20+r.Int64N(63<<20), l.size)
			plans[i] = append(plans[i], span{r.Int64N(l.size - n + 1), n})
			sum += n
			total += n
		}
	}
	return plans, total
}

// cold: many clients at once on an image that no cache has, beside nginx with
// slices and a lock in front of a server of its own.
func cold(l *lab) error {
	image := l.image(l.size / 4)
	n := l.nginx(image, "")
	g := l.node("", "stores.main.cache=on")
	id := l.stored(g, image)
	clients := l.clients / 2
	return l.race("GiB", float64(l.size/4)*float64(clients)/(1<<30),
		variant{name: "nginx proxy_cache", server: n, before: n.purge, do: func() error { return storm(l.ctx, n.cached, clients, l.size/4) }},
		variant{name: "glimpse", server: g, before: func() error { return g.cold(l.ctx) }, do: func() error { return storm(l.ctx, g.file(id), clients, l.size/4) }})
}

// overTLS: one connection per client over TLS, beside nginx with OpenSSL.
func overTLS(l *lab) error {
	image := l.image(l.size / 2)
	cert, key, err := selfSigned(l.TempDir())
	if err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	n := l.nginx(image, fmt.Sprintf("\n    listen 127.0.0.1:%d ssl; ssl_certificate %s; ssl_certificate_key %s; ssl_protocols TLSv1.3;", port, cert, key))
	own, err := freePort()
	if err != nil {
		return err
	}
	g := l.node("", "stores.main.cache=on", fmt.Sprintf("listen.tls.address=127.0.0.1:%d", own), "listen.tls.cert="+cert, "listen.tls.key="+key)
	id := l.stored(g, image)
	const clients = 4
	return l.race("GiB", float64(l.size/2)*clients/(1<<30),
		variant{name: "nginx TLS 1.3", server: n, do: func() error {
			return stormTLS(l.ctx, fmt.Sprintf("https://127.0.0.1:%d/image", port), clients, l.size/2)
		}},
		variant{name: "glimpse", goal: "cpu 1.1", server: g, do: func() error {
			return stormTLS(l.ctx, fmt.Sprintf("https://127.0.0.1:%d/v2/images/%s/file", own, id), clients, l.size/2)
		}})
}
