package ops

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/backends"
	"glimpse/backends/backendtest"
	"glimpse/cachestore/chunk"
	"glimpse/registry"
	"glimpse/registry/image"
	"glimpse/registry/memstore"
)

// folders are two nodes of a cluster, each with a folder of its own as main, and one
// store that both have.
func folders(t *testing.T) (n1, n2 *bench) {
	t.Helper()
	n1 = newBench(t, func(c *Config) {
		c.Clustered = true
		c.Stores[0].Unshared, c.Stores[0].MemoryOnly = true, true
		c.Stores = append(c.Stores, Store{ID: "both", Type: "mem", Backend: c.Stores[0].Backend})
	})
	n2 = newBench(t, func(c *Config) {
		c.Clustered, c.NodeID, c.Registry = true, "n2", n1.reg
		c.Stores[0].Unshared, c.Stores[0].MemoryOnly = true, true
		c.Stores = append(c.Stores, Store{ID: "both", Type: "mem", Backend: n1.store})
	})
	n2.reg = n1.reg
	return n1, n2
}

func (b *bench) filled(data []byte) image.Image {
	b.t.Helper()
	m, err := b.upload(b.queued(nil), bytes.NewReader(data), int64(len(data)))
	if err != nil {
		b.t.Fatal(err)
	}
	return m
}

// reap is a pass of the node's reaper.
func (b *bench) reap() registry.Report {
	b.t.Helper()
	r := registry.Reaper{Uploads: b.reg, Deleter: b.Service, Reach: b.Reach(), Log: slog.New(slog.DiscardHandler)}
	rep, err := r.Pass(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return rep
}

func TestWhoHasAFile(t *testing.T) {
	n1, n2 := folders(t)
	m := n1.filled(backendtest.Bytes(1000))
	for _, b := range []*bench{n1, n2} {
		tg, err := b.target(t.Context(), m, m.Locations[0])
		if err != nil || tg.object.Node != "n1" || tg.object.MemoryOnly != (b == n1) {
			t.Errorf("%+v %v", tg.object, err)
		}
		o := b.Here(t.Context(), chunk.Object{Ref: tg.object.Ref})
		if o.Node != "n1" || o.MemoryOnly != (b == n1) {
			t.Errorf("%+v", o)
		}
		st, err := b.OpenRange(t.Context(), tg.object, 0, 10)
		if b == n1 {
			if err != nil {
				t.Fatal(err)
			}
			if err := st.Close(); err != nil {
				t.Error(err)
			}
		} else if !errors.Is(err, chunk.ErrUnresolved) || missing(err) {
			t.Errorf("the other node: %v", err)
		}
		other, err := b.Elsewhere(t.Context(), m.Locations[0])
		if err != nil || other != (b == n2) {
			t.Errorf("elsewhere %v %v", other, err)
		}
	}
	// What its own node does not find is no image without data.
	n1.store.Replace(object(m), nil)
	if err := n1.store.Delete(t.Context(), backends.Locator(m.Locations[0].URL.Reveal())); err != nil {
		t.Fatal(err)
	}
	if _, err := n1.read(m); image.KindOf(err) != image.Unavailable || missing(err) {
		t.Errorf("a file that is gone: %v", err)
	}
}

// The node that has the file removes it, whoever deletes the image.
func TestAnImageIsDeletedThroughAnotherNode(t *testing.T) {
	n1, n2 := folders(t)
	m := n1.filled(backendtest.Bytes(1000))
	n2.store.Replace(object(m), []byte("another file of that name"))
	if err := n2.Delete(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if rep := n2.reap(); rep.Done != 0 {
		t.Errorf("the other's reaper: %+v", rep)
	}
	if n1.store.Len() != 1 || n2.store.Len() != 1 {
		t.Errorf("%d and %d files", n1.store.Len(), n2.store.Len())
	}
	if rep := n1.reap(); rep.Done != 1 || n1.store.Len() != 0 || n2.store.Len() != 1 {
		t.Errorf("%+v; %d and %d files", rep, n1.store.Len(), n2.store.Len())
	}
	if rep := n1.reap(); rep.Seen != 0 {
		t.Errorf("again: %+v", rep)
	}
}

// A copy in another node's folder is taken off the record by any node.
func TestACopyIsWithdrawnThroughAnotherNode(t *testing.T) {
	n1, n2 := folders(t)
	m, err := n2.Upload(t.Context(), Upload{Image: n2.queued(nil), Body: bytes.NewReader(backendtest.Bytes(1000)), Announced: 1000, Store: "both"})
	if err != nil {
		t.Fatal(err)
	}
	if err := n1.Copy(t.Context(), m, "main", func(int) {}); err != nil {
		t.Fatal(err)
	}
	if m, err = n1.reg.Get(t.Context(), m.ID); err != nil || len(m.Locations) != 2 || n1.store.Len() != 2 {
		t.Fatalf("%v %v", m.Locations, err)
	}
	if err := n2.Withdraw(t.Context(), m, "main"); err != nil {
		t.Fatal(err)
	}
	n2.reap()
	if n1.store.Len() != 2 {
		t.Error("removed by the other node")
	}
	if rep := n1.reap(); rep.Done != 1 || n1.store.Len() != 1 {
		t.Errorf("%+v, %d files", rep, n1.store.Len())
	}
}

// An upload whose node died is given up for any node; its half file stays until that
// one is back.
func TestAnUploadIntoAFolderThatDied(t *testing.T) {
	n1, n2 := folders(t)
	m := n1.queued(nil)
	up, err := n1.reg.Begin(t.Context(), m.ID, "main", "n1")
	if err != nil {
		t.Fatal(err)
	}
	n1.store.Replace(m.ID, []byte("half"))
	if err := n1.reg.Note(t.Context(), up.Token, image.Secret("mem://m/"+m.ID)); err != nil {
		t.Fatal(err)
	}
	n1.reg.Registry.(*memstore.Store).Lapse()
	n2.reap()
	if m, err := n1.reg.Get(t.Context(), m.ID); err != nil || m.Status != image.Queued || n1.store.Len() != 1 {
		t.Errorf("%s %v, %d files", m.Status, err, n1.store.Len())
	}
	if rep := n1.reap(); rep.Done != 1 || n1.store.Len() != 0 {
		t.Errorf("%+v, %d files", rep, n1.store.Len())
	}
}

// What a node may not write to, has not, or leaves to another zone it does not take
// for removed.
func TestAReaperLeavesWhatIsNotItsOwn(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"read-only":    func(c *Config) { c.Stores[0].ReadOnly = true },
		"not there":    func(c *Config) { c.Stores[0].ID, c.DefaultStore = "other", "other" },
		"another zone": func(c *Config) { c.Stores[0].Zone, c.Near = "far", func(zone string) bool { return zone != "far" } },
	} {
		t.Run(name, func(t *testing.T) {
			n1 := newBench(t, func(c *Config) { c.Clustered = true })
			n2 := newBench(t, func(c *Config) {
				c.Clustered, c.NodeID, c.Registry = true, "n2", n1.reg
				change(c)
			})
			n2.reg = n1.reg
			if err := n2.Delete(t.Context(), n1.filled(backendtest.Bytes(1000))); err != nil {
				t.Fatal(err)
			}
			if rep := n2.reap(); rep.Done != 0 || n1.store.Len() != 1 {
				t.Errorf("the other's: %+v, %d files", rep, n1.store.Len())
			}
			if rep := n1.reap(); rep.Done != 1 || n1.store.Len() != 0 {
				t.Errorf("%+v, %d files", rep, n1.store.Len())
			}
		})
	}
}

// Bytes are hashed by a node that reads their store, however many others come by.
func TestOthersHashWhatIsNotForThisNode(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"not there":    func(c *Config) { c.Stores[0].ID, c.DefaultStore = "other", "other" },
		"another zone": func(c *Config) { c.Near = func(zone string) bool { return zone != "" } },
		"a folder":     func(c *Config) { c.Stores[0].Unshared, c.Registry = true, held{c.Registry} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n1 := newBench(t, func(c *Config) { c.Clustered = true })
				n2 := newBench(t, func(c *Config) {
					c.Clustered, c.NodeID, c.Registry = true, "n2", n1.reg
					change(c)
				})
				data := backendtest.Bytes(1000)
				m := n1.importing(data, sha512Of(data))
				for range 2 * hashTries {
					if seen, done, kept := n2.pass(); seen != 1 || done != 0 || kept != 1 {
						t.Errorf("the other: %d seen, %d done, %d kept", seen, done, kept)
					}
					time.Sleep(leaveFor)
				}
				if _, done, _ := n1.pass(); done != 1 || n1.record(m.ID).Status != image.Active {
					t.Errorf("%d done, the image is %s", done, n1.record(m.ID).Status)
				}
			})
		})
	}
}

// held is a registry that says of each location that n1 has it.
type held struct{ registry.Registry }

func (held) Holder(context.Context, int64) (string, error) { return "n1", nil }
