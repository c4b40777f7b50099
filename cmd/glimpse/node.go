package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"glimpse/cmd/glimpse/config"
	"glimpse/proxy"
	"glimpse/registry"

	"golang.org/x/sync/errgroup"
)

// reapEvery is how often lapsed uploads are looked for.
const reapEvery = 30 * time.Second

// sweepEvery is how often the stores are asked for half-done work that no upload
// answers for.
const sweepEvery = time.Hour

// closeTimeout bounds what a node does after its last transfer: writing chunks
// behind, syncing the cache's file system.
const closeTimeout = time.Minute

// node is a running Glimpse. Its parts are closed in the reverse order of their
// making: listeners first, the database last, so that nothing is used after it is
// closed.
type node struct {
	config   config.Config
	log      *slog.Logger
	closers  []func(context.Context) error
	draining atomic.Bool
	ready    func(context.Context) error

	proxy    *proxy.Server
	ops      *opsServer
	reaper   *registry.Reaper
	sweep    func(context.Context) (registry.Report, error)
	api, tls net.Listener
	cluster  *clusterNode // nil: a node alone
}

func (n *node) onClose(fn func(context.Context) error) { n.closers = append(n.closers, fn) }

func (n *node) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	var errs []error
	for _, fn := range slices.Backward(n.closers) {
		errs = append(errs, fn(ctx))
	}
	n.closers = nil
	return errors.Join(errs...)
}

// wait returns when the node is to end: it was told to, has handed over what it
// holds, or has failed. By then it is not ready, has left the ring by leaveRing, and
// balancers have had time to notice.
func (n *node) wait(drain, cut context.Context, failed <-chan error, leaveRing func()) (err error) {
	var told, handed chan struct{}
	if n.cluster != nil {
		told, handed = n.cluster.handover.asked, make(chan struct{})
	}
	select {
	case <-told:
		n.log.Info("draining: what this node holds goes to those who own it now", "within", n.cluster.handover.within)
	case <-drain.Done():
	case err = <-failed:
	}
	n.draining.Store(true)
	began := time.Now()
	leaveRing()
	if err == nil && drain.Err() == nil {
		give, stop := context.WithCancel(drain)
		go func() {
			defer close(handed)
			n.cluster.handOver(give, n.log)
		}()
		select {
		case <-handed:
		case err = <-failed:
		}
		stop()
		<-handed
	}
	n.log.Info("draining: running transfers may finish", "grace", n.config.Limits.ShutdownGrace)
	if err == nil {
		pause(cut, n.config.Limits.ShutdownDelay-time.Since(began))
	}
	return err
}

// pause waits, unless ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// readiness is what /readyz answers.
func (n *node) readiness(ctx context.Context) error {
	if n.draining.Load() {
		return errors.New("draining")
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := n.ready(ctx); err != nil {
		return errors.New("the registry does not answer")
	}
	return nil
}

// run serves until drain ends; then running transfers have until the grace is
// over or cut ends.
func (n *node) run(drain, cut context.Context) error {
	services, stopServices := context.WithCancel(context.WithoutCancel(drain))
	defer stopServices()
	var g errgroup.Group
	failed := make(chan error, 5)
	serve := func(fn func() error) {
		g.Go(func() error {
			err := fn()
			if err != nil {
				failed <- err
			}
			return err
		})
	}
	serve(n.ops.serve)
	serve(func() error { return n.proxy.Serve(n.api) })
	if n.tls != nil {
		serve(func() error { return n.proxy.Serve(n.tls) })
	}
	var background sync.WaitGroup // what uses the registry: over before that is closed
	beat, stopBeat := context.WithCancel(services)
	defer stopBeat()
	left, became := make(chan struct{}), make(chan struct{})
	moving, stopMoving := context.WithCancel(services)
	defer stopMoving()
	if cl := n.cluster; cl != nil {
		cl.handover.moving = moving
		serve(func() error { return cl.server.Serve(cl.listener) })
		background.Go(func() { defer close(left); cl.heart.Run(beat) })
		background.Go(func() { cl.warm(moving, n.log, func() { close(became) }) })
		background.Go(func() { cl.watchCertificate(services, n.log) })
		for range 2 {
			background.Go(func() { cl.fresh.Run(services) })
		}
		background.Go(func() { cl.far.Run(services) })
	}
	if n.config.Node.Role != "client" { // which does the cluster's work for nobody
		background.Go(func() { registry.Run(services, "reaper", reapEvery, n.reaper.Pass, n.log) })
		background.Go(func() { registry.Run(services, "sweeper", sweepEvery, n.sweep, n.log) })
	}

	err := n.wait(drain, cut, failed, func() {
		if n.cluster != nil {
			stopMoving()
			<-became // or it would be ready again after it drains
			n.cluster.drain(cut, n.log)
		}
	})
	grace, cancel := context.WithTimeout(cut, n.config.Limits.ShutdownGrace)
	defer cancel()
	if derr := n.proxy.Drain(grace); derr != nil {
		n.log.Warn("transfers were cut", "error", derr)
	}
	if n.cluster != nil {
		stopBeat()
		<-left // nobody tells this node of writes any more
		if lerr := n.cluster.leave(grace); lerr != nil {
			n.log.Warn("the cluster was left in a hurry", "error", lerr)
		}
	}
	stopServices()
	background.Wait()
	err = errors.Join(err, n.close(cut), g.Wait())
	n.log.Info("stopped")
	return err
}
