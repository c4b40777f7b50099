package member

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	// joinInterval is the longest time between two tries to reach those that are
	// not there, before jitter. A partition heals with the second of two: the first
	// has both sides answer what the other one believes of them.
	joinInterval  = 8 * time.Second
	joinFirst     = 500 * time.Millisecond
	lookUpTimeout = 5 * time.Second
	triesAtOnce   = 8
	goneFor       = 24 * time.Hour
	maxGone       = 512
)

// checkJoin refuses what can never be an address.
func checkJoin(address string) error {
	host, port, err := net.SplitHostPort(strings.TrimPrefix(address, "dns:"))
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil || host == "" {
		return fmt.Errorf("cluster.join: %q is not host:port or dns:name:port", address)
	}
	return nil
}

// lookUp returns all that an address stands for.
func lookUp(ctx context.Context, address string) ([]string, error) {
	host, portText, err := net.SplitHostPort(strings.TrimPrefix(address, "dns:"))
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("%q has no port number", address)
	}
	ctx, cancel := context.WithTimeout(ctx, lookUpTimeout)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	found := make([]string, 0, len(ips))
	for _, ip := range ips {
		found = append(found, netip.AddrPortFrom(ip.Unmap(), uint16(port)).String())
	}
	return found, err
}

// keepJoined reaches for the nodes that should be there and are not, until ctx
// ends: those of Config.Join and Config.Table, and those lost in the last day.
func (m *Members) keepJoined(ctx context.Context) {
	wait := &backoff.ExponentialBackOff{
		InitialInterval: joinFirst, RandomizationFactor: 0.5, Multiplier: 1.5, MaxInterval: joinInterval,
	}
	wait.Reset()
	j := joiner{m: m}
	for {
		if found := j.pass(ctx); found {
			wait.Reset()
		}
		pause := time.NewTimer(wait.NextBackOff())
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-m.loss:
			wait.Reset()
			pause.Stop()
		case <-pause.C:
		}
	}
}

// joiner is what passes remember of each other.
type joiner struct {
	m       *Members
	reached map[string]bool // by the last pass
	said    string          // what went wrong last
}

// pass tries some of the addresses that no living member has. It returns whether
// one answered that did not in the pass before.
func (j *joiner) pass(ctx context.Context) (found bool) {
	named, errs := j.m.named(ctx)
	alive, gone := j.m.addresses()
	try := append(sample(named, alive), sample(gone, alive)...)
	reached := map[string]bool{}
	var mu sync.Mutex // of reached and errs
	var wg sync.WaitGroup
	tried := map[string]bool{}
	for _, a := range try {
		if tried[a] {
			continue
		}
		tried[a] = true
		wg.Go(func() {
			_, err := j.m.list.Join([]string{a})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, flat(err))
				return
			}
			reached[a] = true
		})
	}
	wg.Wait()
	for a := range reached {
		found = found || !j.reached[a]
	}
	j.reached = reached
	// What changed while the two sides exchanged what they knew may have reached
	// nobody: memberlist was seen to lose it.
	if len(reached) > 0 {
		if err := j.m.announce(ctx); err != nil {
			errs = append(errs, err)
		}
	}
	if ctx.Err() == nil {
		j.say(ctx, len(alive) > 1 || len(reached) > 0, errors.Join(errs...))
	}
	return found
}

// flat puts on one line what memberlist says on several.
func flat(err error) error {
	return errors.New(strings.Join(strings.Fields(err.Error()), " "))
}

// say logs when a node is alone that should not be, and when that has ended.
func (j *joiner) say(ctx context.Context, joined bool, err error) {
	switch {
	case joined && j.said != "":
		j.said = ""
		j.m.log.InfoContext(ctx, "joined the cluster")
	case !joined && err != nil && j.said == "":
		j.said = err.Error()
		j.m.log.WarnContext(ctx, "alone: no other node answers; if they run, compare cluster.label and the gossip keys", "error", err)
	case err != nil:
		j.m.log.DebugContext(ctx, "some nodes don't answer", "error", err)
	}
}

// named returns what the configuration and the table name.
func (m *Members) named(ctx context.Context) (all []string, errs []error) {
	names := m.c.Join
	if m.c.Table != nil {
		rows, err := m.c.Table(ctx)
		if err != nil {
			errs = append(errs, fmt.Errorf("the node table: %w", err))
		}
		names = append(rows, names...)
	}
	for _, name := range names {
		found, err := lookUp(ctx, name)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		all = append(all, found...)
	}
	return all, errs
}

// sample returns a few of all that are not alive.
func sample(all []string, alive map[string]bool) (some []string) {
	for _, i := range rand.Perm(len(all)) {
		if !alive[all[i]] && len(some) < triesAtOnce {
			some = append(some, all[i])
		}
	}
	return some
}

// addresses returns the gossip addresses of the living, this node's too, and of
// those that were lost lately.
func (m *Members) addresses() (alive map[string]bool, gone []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	alive = map[string]bool{}
	for _, e := range m.table {
		alive[e.gossip] = true
	}
	for a, at := range m.gone {
		if time.Since(at) > goneFor {
			delete(m.gone, a)
			continue
		}
		gone = append(gone, a)
	}
	return alive, gone
}
