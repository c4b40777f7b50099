package registry

import (
	"slices"

	"glimpse/registry/image"
)

// Drop ends the lease on a record that was written. Reads in flight are barred:
// their callers get what they read, having asked before the write was
// acknowledged, but it is not cached and nobody joins them any more.
func (l *Leases) Drop(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forgetLocked(id)
	l.barLocked(id)
}

// written drops the record under both of its names: MySQL finds an id in
// whatever case it is written.
func (l *Leases) written(id string, m image.Image, err error) {
	l.Drop(id)
	if err == nil && m.ID != id {
		l.Drop(m.ID)
	}
}

// dropFlights bars all reads in flight, for writes that are known to touch no
// cached record but not which one they touch.
func (l *Leases) dropFlights() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id := range l.flights {
		l.barLocked(id)
	}
}

func (l *Leases) barLocked(id string) {
	for _, f := range l.flights[id] {
		f.barred = true
	}
	delete(l.flights, id)
}

func (l *Leases) forgetLocked(id string) {
	if e, ok := l.records[id]; ok {
		l.used.Remove(e)
		delete(l.records, id)
	}
}

// land files what a read found. An answer that is no record to cache ends the
// lease that there was; only a database that is away leaves it to the grace.
func (l *Leases) land(id string, f *flight) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.away = f.err != nil && image.KindOf(f.err) == image.Unavailable
	if f.barred {
		return
	}
	if fs := slices.DeleteFunc(l.flights[id], func(o *flight) bool { return o == f }); len(fs) > 0 {
		l.flights[id] = fs
	} else {
		delete(l.flights, id)
	}
	switch {
	case l.away, l.newerLocked(id, f):
	case f.err != nil, f.record.ID != id, !leased(f.record.Status):
		l.forgetLocked(id)
	default:
		l.storeLocked(id, f)
	}
}

// newerLocked says that the record came from a read that began after f.
func (l *Leases) newerLocked(id string, f *flight) bool {
	e, ok := l.records[id]
	return ok && e.Value.(*lease).read.After(f.start)
}

// leased says whether records of images in this state are cached.
func leased(s image.Status) bool { return s == image.Active || s == image.Deactivated }

func (l *Leases) storeLocked(id string, f *flight) {
	if l.c.MaxStaleness <= 0 && l.c.OutageGrace <= 0 {
		return
	}
	l.forgetLocked(id)
	l.records[id] = l.used.PushFront(&lease{record: f.record.Clone(), read: f.start, graceOnly: f.graceOnly})
	for len(l.records) > l.c.Max {
		l.forgetLocked(l.used.Back().Value.(*lease).record.ID)
	}
}
