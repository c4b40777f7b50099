package systest

import (
	"sync"

	"glimpse/cmd/overlay"
	"glimpse/cmd/testenv"
)

// The version after this one, as far as others can tell: it says all that this one
// promises to bear.
var nextVersion = sync.OnceValues(func() (string, error) {
	return testenv.Changed(
		// It describes itself by a field more and a bit more, and while it warms by a
		// state of its own, for long enough to be seen.
		overlay.Change{File: "cluster/member/meta.go", Old: "const metaVersion = 1\n", New: "const metaVersion = 2\n"},
		overlay.Change{
			File: "cluster/member/meta.go", Old: "	bits := byte(n.State) & stateBits\n",
			New: "	bits := byte(n.State)&stateBits | 0x40\n	if n.State == ring.Warming {\n		bits |= stateBits\n	}\n",
		},
		overlay.Change{File: "cluster/member/meta.go", Old: "	return appendString(b, name), nil\n", New: "	return append(appendString(b, name), 3, 2, 1), nil\n"},
		overlay.Change{
			File: "cluster/member/meta.go", Old: "	known := n.State <= ring.Draining && bits&^(stateBits|roleBit|edgeBit) == 0 && len(r.rest) == 0\n",
			New: "	if version == 2 {\n		r.bytes(3)\n	}\n	if n.State > ring.Draining {\n		n.State = ring.Warming\n	}\n	known := true\n",
		},
		overlay.Change{File: "cmd/glimpse/handover.go", Old: "	cl.handover.Warm(ctx)\n", New: "	cl.handover.Warm(ctx)\n	time.Sleep(time.Second)\n"},
		overlay.Change{File: "cluster/edge/book.go", Old: "type entry struct {\n", New: "type entry struct {\n	More []bool `json:\"more\"`\n"},
		overlay.Change{
			File: "cluster/edge/book.go", Old: "	return entry{ID: n.ID",
			New: "	if n.State == ring.Warming {\n		n.State = 3\n	}\n	return entry{More: []bool{true}, ID: n.ID",
		},
		overlay.Change{
			File: "cluster/edge/book.go", Old: "			if e.State > ring.Draining || ",
			New: "			if e.State == 3 {\n				e.State = ring.Warming\n			}\n			if e.State > ring.Draining || ",
		},
		// With each upload it tells a rumour of a kind of its own, and one of its version.
		overlay.Change{
			File: "cluster/source/fresh.go", Old: "		err = f.c.Rumors.Spread(cluster.Rumor{Kind: freshKind, Body: b})\n",
			New: "		err = errors.Join(f.c.Rumors.Spread(cluster.Rumor{Kind: \"new kind\", Body: b}), f.c.Rumors.Spread(cluster.Rumor{Kind: \"new version\", Body: b}),\n" +
				"			f.c.Rumors.Spread(cluster.Rumor{Kind: freshKind, Body: b}))\n",
		},
		overlay.Change{
			File: "cluster/rumor/wire.go", Old: "	b = append(append(b, byte(len(r.Kind))), r.Kind...)\n",
			New: "	if r.Kind == \"new version\" {\n		b[0] = 2\n		return append(b, 0xff, 0xff), nil\n	}\n	b = append(append(b, byte(len(r.Kind))), r.Kind...)\n",
		},
		// Its asks, objects, pages and what it tells of itself have fields more.
		overlay.Change{File: "cluster/wire/ask.go", Old: "type ask struct {\n", New: "type ask struct {\n	More []string `json:\"more\"`\n"},
		overlay.Change{File: "cluster/wire/ask.go", Old: "	b, err := json.Marshal(ask{\n", New: "	b, err := json.Marshal(ask{\n		More: []string{\"\", \"\\xff\"},\n"},
		overlay.Change{File: "cluster/wire/ask.go", Old: "type object struct {\n", New: "type object struct {\n	More map[string]int `json:\"more\"`\n"},
		overlay.Change{File: "cluster/wire/ask.go", Old: "	return object{Key:", New: "	return object{More: map[string]int{\"\": 1}, Key:"},
		overlay.Change{File: "cluster/wire/handover.go", Old: "type page struct {\n", New: "type page struct {\n	More bool `json:\"more\"`\n"},
		overlay.Change{File: "cluster/wire/handover.go", Old: "	to := page{After:", New: "	to := page{More: true, After:"},
		overlay.Change{
			File: "cluster/wire/handover.go", Old: "func EncodeVitals(v cluster.Vitals) ([]byte, error) { return json.Marshal(v) }\n",
			New: "func EncodeVitals(v cluster.Vitals) ([]byte, error) {\n	return json.Marshal(struct {\n		cluster.Vitals\n		More []int\n	}{v, []int{1}})\n}\n",
		},
		// A hint comes before each of its frames, heads have grown, and there is another
		// kind of error.
		overlay.Change{
			File: "cluster/serve/answer.go", Old: "	if cap(f.buf)-len(f.buf) < wire.FrameBytes {\n		f.write()\n	}\n",
			New: "	if cap(f.buf)-len(f.buf) < 2*wire.FrameBytes {\n		f.write()\n	}\n	f.buf = wire.Append(f.buf, wire.Skippable+9, []byte(\"a hint\"), []byte(\"of what it is\"))\n",
		},
		overlay.Change{
			File: "cluster/wire/frame.go", Old: "	at := len(b)\n	b = append(b, byte(t), flags)\n",
			New: "	head = append(head[:len(head):len(head)], \"\\x00more\"...)\n	at := len(b)\n	b = append(b, byte(t), flags)\n",
		},
		overlay.Change{File: "cluster/wire/kind.go", Old: "	return []byte{kindUnavailable}\n", New: "	return []byte{99}\n"},
		// It asks a question of its own of whoever it asks about itself.
		overlay.Change{
			File: "cluster/peers/handover.go", Old: "// senseless counts",
			New: "// More is a question.\nfunc (p *Peers) More(ctx context.Context, n ring.Node) error {\n	_, err := p.call(ctx, n, \"/glimpse/peer/v1/more\", wire.Ask{})\n	return err\n}\n\n// senseless counts",
		},
		overlay.Change{
			File: "cluster/serve/server.go", Old: "		mux.HandleFunc(wire.Vitals, s.vitals)\n",
			New: "		mux.HandleFunc(wire.Vitals, s.vitals)\n		mux.HandleFunc(\"/glimpse/peer/v1/more\", s.pings)\n",
		},
		overlay.Change{
			File: "cmd/glimpse/handover.go", Old: "				v, err = cl.peers.Vitals(ctx, n)\n",
			New: "				err = cl.peers.More(ctx, n)\n				slog.Info(\"the new question\", \"to\", n.Name, \"unknown\", errors.Is(err, cluster.ErrUnknown), \"error\", err)\n				v, err = cl.peers.Vitals(ctx, n)\n",
		},
	)
})

// The version before this one: it neither hands over nor tells of itself, and is
// asked in vain to; it packs nothing, says nothing of heat, knows no former keys,
// and its rumours are of another kind.
var formerVersion = sync.OnceValues(func() (string, error) {
	return testenv.Changed(
		overlay.Change{File: "cluster/serve/server.go", Old: "	if c.Handover != nil {\n", New: "	if false {\n"},
		overlay.Change{File: "cluster/serve/server.go", Old: "	if c.Far != nil {\n", New: "	if false {\n"},
		overlay.Change{File: "cluster/peers/handover.go", Old: "p.call(ctx, n, wire.List, wire.Claiming(q))", New: "[]byte(nil), error(cluster.ErrUnknown)"},
		overlay.Change{File: "cluster/peers/handover.go", Old: "p.call(ctx, n, wire.Take, wire.Ask{})", New: "[]byte(nil), error(cluster.ErrUnknown)"},
		overlay.Change{File: "cluster/peers/handover.go", Old: "p.call(ctx, n, wire.Vitals, wire.Ask{})", New: "[]byte(nil), error(cluster.ErrUnknown)"},
		overlay.Change{File: "cluster/wire/ask.go", Old: "`json:\"packed,omitempty\"`", New: "`json:\"-\"`"},
		overlay.Change{File: "cluster/peers/stream.go", Old: "Packed: p.cfg.Packs != nil && p.cfg.Packs(n)}", New: "Packed: false}"},
		overlay.Change{File: "cluster/wire/ask.go", Old: "`json:\"former,omitempty\"`", New: "`json:\"-\"`"},
		overlay.Change{File: "cluster/wire/opened.go", Old: "	if hot {\n", New: "	if false {\n"},
		overlay.Change{File: "cluster/source/fresh.go", Old: "freshKind = \"uploaded\"", New: "freshKind = \"former\""},
	)
})
