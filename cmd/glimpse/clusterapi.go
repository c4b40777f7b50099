package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"time"

	"glimpse/cluster"
	"glimpse/cmd/glimpse/config"
)

// drainAsk is what POST /cluster/drain is told.
type drainAsk struct {
	Node   string `json:"node"`   // id or name; "": the one that is asked
	Within string `json:"within"` // a duration; "": drainFor
}

// clusterStatus is what GET /cluster on the ops listener answers.
type clusterStatus struct {
	Label string       `json:"label"`
	Self  string       `json:"self"`
	Nodes []memberView `json:"nodes"`
}

type memberView struct {
	ID    string  `json:"id"`
	Name  string  `json:"name"`
	Zone  string  `json:"zone"`
	State string  `json:"state"`
	Role  string  `json:"role"`
	Edge  bool    `json:"edge"`
	Share float64 `json:"share"` // of its zone's extents
	Peer  string  `json:"peer"`
	API   string  `json:"api"`
	// What the node tells of itself; nil: it did not.
	Vitals *vitalsView `json:"vitals,omitempty"`
}

type vitalsView struct {
	Memory   int64   `json:"memory_bytes"`
	Disk     int64   `json:"disk_bytes"`
	Hits     float64 `json:"hit_ratio"` // of the bytes sent to clients, those that were here
	Sent     int64   `json:"sent_bytes"`
	Taken    int64   `json:"taken_bytes"` // from other nodes, as their new owner
	Given    int64   `json:"given_bytes"`
	Handover string  `json:"handover,omitempty"`
}

func view(v cluster.Vitals) *vitalsView {
	own := v.SentMemory + v.SentDisk
	all := own + v.SentPeer + v.SentOrigin
	return &vitalsView{
		Memory: v.MemoryBytes, Disk: v.DiskBytes, Hits: float64(own) / float64(max(all, 1)), Sent: all,
		Taken: v.TakenBytes, Given: v.GivenBytes, Handover: v.Handover,
	}
}

// drainAnswer tells which stores are folders of the node's own: what lies there goes
// with it.
type drainAnswer struct {
	Own []string `json:"own"`
}

// handle adds the cluster's part of the operator API.
func (cl *clusterNode) handle(mux *http.ServeMux, label string) {
	mux.HandleFunc("GET /cluster", func(w http.ResponseWriter, r *http.Request) {
		answer(w, cl.status(r.Context(), label), nil)
	})
	mux.HandleFunc("POST /cluster/drain", func(w http.ResponseWriter, r *http.Request) {
		if foreign(w, r) {
			return
		}
		var q drainAsk
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10)).Decode(&q)
		within := drainFor
		if err == nil && q.Within != "" {
			within, err = time.ParseDuration(q.Within)
		}
		if err != nil || within < 0 {
			http.Error(w, "not a request", http.StatusBadRequest)
			return
		}
		if err = cl.mine(q.Node); err == nil {
			cl.handover.drain(within)
		}
		answer(w, drainAnswer{Own: cl.svc.Reach().Own}, err)
	})
	mux.HandleFunc("POST /cluster/keys", func(w http.ResponseWriter, r *http.Request) {
		if foreign(w, r) {
			return
		}
		var q struct{ Do, Key string }
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10)).Decode(&q)
		if err != nil {
			http.Error(w, "not a request", http.StatusBadRequest)
			return
		}
		switch q.Do {
		case "list":
		case "add":
			err = cl.members.AddKey(r.Context(), q.Key)
		case "use":
			err = cl.members.UseKey(r.Context(), q.Key)
		case "remove":
			err = cl.members.RemoveKey(r.Context(), q.Key)
		default:
			err = errors.New("there is list, add, use and remove")
		}
		answer(w, cl.members.Keys(), err)
	})
}

// foreign refuses what a page in a browser could send unasked: a form, or anything
// by a name that leads to this machine. The name that a certificate or a socket
// was reached by says nothing.
func foreign(w http.ResponseWriter, r *http.Request) bool {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	known := r.TLS != nil || local != nil && local.Network() == "unix" || config.Loopback(r.Host)
	if r.Header.Get("Content-Type") == "application/json" && known {
		return false
	}
	http.Error(w, "want application/json, from this machine", http.StatusForbidden)
	return true
}

func answer(w http.ResponseWriter, v any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // who has gone needs no answer
}

func (cl *clusterNode) status(ctx context.Context, label string) clusterStatus {
	rg := cl.members.Ring()
	told := cl.vitals(ctx, rg.Nodes())
	s := clusterStatus{Label: label, Self: cl.members.Self().ID, Nodes: []memberView{}}
	for _, n := range rg.Nodes() {
		m := memberView{
			ID: n.ID, Name: n.Name, Zone: n.Zone, State: n.State.String(), Role: n.Role.String(), Edge: n.Edge, Share: rg.Share(n.ID), Peer: n.Peer, API: n.API,
		}
		if v, ok := told[n.ID]; ok {
			m.Vitals = view(v)
		}
		s.Nodes = append(s.Nodes, m)
	}
	return s
}
