package main

var clusterDefences = []defence{
	{
		name: "one ring kept", file: "cluster/ring/ring.go",
		old: "case SameShares(r, prev):", off: "case false:",
		pkg: "cluster/ring", test: "TestOnePreviousRingIsKept",
	},
	{
		name: "the later start counts", file: "cluster/ring/ring.go",
		old: "-cmp.Compare(a.Epoch, b.Epoch)", off: "cmp.Compare(a.Epoch, b.Epoch)",
		pkg: "cluster/ring", test: "TestTheLaterStartCounts",
	},
	{
		name: "keys are read first", file: "cluster/member/keys.go",
		old: "return append(all, key), nil", off: "return append([][]byte{key}, all...), nil",
		pkg: "cluster/member", test: "TestNoGapWhileKeysRotate",
	},
	{
		name: "rumours told on", file: "cluster/rumor/rumor.go",
		old: "\tr.pass(b)\n\tif x.Kind", off: "\tif x.Kind",
		pkg: "cluster/rumor", test: "TestARumourReachesAllOnce",
	},
	{
		name: "rumours heard once", file: "cluster/rumor/rumor.go",
		old: "case known && o.has(i.number):", off: "case false:",
		pkg: "cluster/rumor", test: "TestWhoComesLateHearsItByComparing",
	},
	{
		name: "nobody waits for himself", file: "cluster/source/look.go",
		old: "return first || r.isOutward(q.Level, q.Object, index)", off: "return first || true || r.isOutward(q.Level, q.Object, index)",
		pkg: "cluster/source", test: "TestNodesThatDisagree",
	},
	{
		name: "who asks is asked back, also a stranger", file: "cluster/source/look.go",
		old: "nodes = append(nodes, ring.Node{ID: a.id, Peer: a.peer})", off: "_ = a.peer",
		pkg: "cluster/source", test: "TestNodesThatDisagree",
	},
	{
		name: "nobody goes out who has just been asked", file: "cluster/source/look.go",
		old: "if a != nil && len(r.seekers(p, a.asks, self, rg)) > 0 {", off: "if a != nil && len(r.seekers(p, a.asks, self, rg)) < 0 {",
		pkg: "cluster/source", test: "TestOneOfTwoHearsOfTheOther",
	},
	{
		name: "who has begun since is asked again", file: "cluster/source/look.go",
		old: "asked[n.ID] = false", off: "_ = n",
		pkg: "cluster/source", test: "TestOneOfTwoHearsOfTheOther",
	},
	{
		name: "who has gone out is followed", file: "cluster/source/look.go",
		old: "if follow(g.Index(off)) {", off: "if false {",
		pkg: "cluster/source", test: "TestWhoHasGoneOutIsFollowed",
	},
	{
		name: "a level looks around before it goes outward", file: "cluster/source/router.go",
		old: "steps := []step{r.lookAround(place{cluster.Home, o.Key, extent}, near)}", off: "_ = near\n\tvar steps []step",
		pkg: "cluster/source", test: "TestTheFormerOwnerIsAskedFirst",
	},
	{
		name: "rumours grow old", file: "cluster/rumor/rumor.go",
		old: "r.take(b[2:end], false)", off: "r.take(b[2:end], true)",
		pkg: "cluster/rumor", test: "TestWhoComesLateHearsItByComparing",
	},
	{
		name: "floods are bounded", file: "cluster/rumor/rumor.go",
		old: "case known && !o.budget.Allow(), ", off: "case ",
		pkg: "cluster/rumor", test: "TestFloods",
	},
	{
		name: "new origins are bounded", file: "cluster/rumor/rumor.go",
		old: "!known && !r.fresh.Allow(), ", off: "",
		pkg: "cluster/rumor", test: "TestFloods",
	},
	{
		name: "checksum of a frame", file: "cluster/wire/frame.go",
		old: "if sum(f) != binary.LittleEndian.Uint32(f[8:]) {", off: "if false {",
		pkg: "cluster/peers", test: "TestAPeerThatSpeaksGarbage",
	},
	{
		name: "order of pieces", file: "cluster/wire/frame.go",
		old: "case p.Off != t.Pos:", off: "case false:",
		pkg: "cluster/peers", test: "TestAPeerThatSpeaksGarbage",
	},
	{
		name: "all that was asked for", file: "cluster/wire/frame.go",
		old: "if t.Pos != t.End && !t.open {", off: "if false {",
		pkg: "cluster/peers", test: "TestAPeerThatSpeaksGarbage",
	},
	{
		name: "label of a certificate", file: "cluster/ca/identity.go",
		old: "case label != i.cfg.Label:", off: "case false:",
		pkg: "cluster/ca", test: "TestWhoIsRefused",
	},
	{
		name: "node of a certificate", file: "cluster/ca/identity.go",
		old: "case node != \"\" && id != node:", off: "case false:",
		pkg: "cluster/peers", test: "TestStrangersAreRefused",
	},
	{
		name: "in a node's own name", file: "cluster/serve/request.go",
		old: "err != nil || id != a.From", off: "err != nil",
		pkg: "cluster/peers", test: "TestStrangersAreRefused/in_the_name_of_another",
	},
	{
		name: "places by level", file: "cluster/serve/request.go",
		old: "\tcase q.Level == cluster.Home:\n\t\treturn s.home\n", off: "",
		pkg: "cluster/peers", test: "TestOneLevelCantTakeThePlacesOfAnother",
	},
	{
		name: "silence of a peer", file: "cluster/peers/watch.go",
		old: "func() { end(errStalled) }", off: "func() {}",
		pkg: "cluster/peers", test: "TestAPeerThatFallsSilent",
	},
	{
		name: "askers that leave", file: "cluster/serve/answer.go",
		old: "context.WithCancel(r.Context())", off: "context.WithCancel(context.WithoutCancel(r.Context()))",
		pkg: "cluster/peers", test: "TestAnAskerThatHangsUp",
	},
	{
		name: "one geometry", file: "cluster/wire/ask.go",
		old: "case a.Geometry != g:", off: "case false:",
		pkg: "cluster/peers", test: "TestThePlanePasses/plain/bad_asks",
	},
	{
		name: "copies of what is hot", file: "cluster/source/heat.go",
		old: "	return ok && (", off: "	return false && ok && (",
		pkg: "cluster/source", test: "TestWhatIsHotIsKeptByWhoServesIt",
	},
	{
		name: "an owner's word of heat", file: "cluster/source/look.go",
		old: "hot := r.heat.ask(p, q.From)", off: "hot := r.heat.ask(p, q.From) && false",
		pkg: "cluster/source", test: "TestAnOwnerSaysWhatIsHot",
	},
	{
		name: "heat on the wire", file: "cluster/serve/answer.go",
		old: "wire.OpenedHead(cluster.IsHot(st))", off: "wire.OpenedHead(false && cluster.IsHot(st))",
		pkg: "cluster/peers", test: "TestThePlanePasses",
	},
	{
		name: "wrong bytes from another", file: "cluster/source/bad.go",
		old: "case slices.Contains(t.bad, s.at.ID):", off: "case false:",
		pkg: "cluster/source", test: "TestALiarIsReplaced",
	},
	{
		name: "bad copies are put aside", file: "cluster/source/look.go",
		old: "	if q.Doubt {\n", off: "	if false {\n",
		pkg: "cluster/source", test: "TestABadCopyIsReplaced",
	},
	{
		name: "hung nodes are left out of looks", file: "cluster/source/silence.go",
		old: "if time.Now().Before(s.until) {", off: "if false {",
		pkg: "cluster/source", test: "TestAHungNodeDelaysFewLooks",
	},
	{
		name: "hedges over a WAN", file: "cluster/source/router.go",
		old: "cmp.Or(c.Late, soonest), cmp.Or(c.Slow, slow)", off: "cmp.Or(0, soonest), cmp.Or(0, slow)",
		pkg: "cluster/source", test: "TestHedgesAreScaledToTheNetwork",
	},
	{
		name: "hedges", file: "cluster/source/race.go",
		old: "	x.askOthers(ctx, nodes, a, w)\n", off: "	<-ctx.Done()\n",
		pkg: "cluster/source", test: "TestASlowNodeIsPassedOver",
	},
	{
		name: "stalled answers", file: "cluster/source/race.go",
		old: "p, err := x.await(x.slow, false, x.own.Next)", off: "p, err := x.own.Next()",
		pkg: "cluster/source", test: "TestAStalledAnswerIsTakenOver",
	},
	{
		name: "chatter of slow answers", file: "cluster/source/race.go",
		old: "x.slow = min(2*x.slow, stall)", off: "",
		pkg: "cluster/source", test: "TestASlowOriginMakesNoChatter",
	},
	{
		name: "hedge budget", file: "cluster/source/pace.go",
		old: "if p.credit < 1 {", off: "if p.credit < 1 && false {",
		pkg: "cluster/source", test: "TestHedgesHaveABudget",
	},
	{
		name: "the uploader is asked", file: "cluster/source/look.go",
		old: "range r.uploader(ctx, o) {", off: "range r.uploader(ctx, o)[:0] {",
		pkg: "cluster/source", test: "TestAFreshUploadIsReadFromWhoKeptIt",
	},
	{
		name: "fresh chunk by chunk", file: "cluster/source/router.go",
		old: "step{open: r.origin, short: true}", off: "step{open: r.origin}",
		pkg: "cluster/source", test: "TestAFreshUploadIsReadFromWhoKeptIt",
	},
	{
		name: "looking again", file: "cluster/source/relay.go",
		old: "case r.now.looks && r.pos > r.began && passes(err):", off: "case false:",
		pkg: "cluster/source", test: "TestWhatOneHasNoMoreOfAnotherMayHave",
	},
	{
		name: "waiting for an uploader", file: "cluster/source/questions.go",
		old: "sure := node.ID == known", off: "sure := node.ID == known && false",
		pkg: "cluster/source", test: "TestAFreshUploadIsWorthAWait",
	},
	{
		name: "uploads to their owners", file: "cluster/source/fresh.go",
		old: "if !owns || f.c.Resident(o, i) {", off: "if !owns || f.c.Resident(o, i) || true {",
		pkg: "cluster/source", test: "TestAFreshUploadGoesToItsOwners",
	},
	{
		name: "a zone that is away", file: "cluster/source/router.go",
		old: "	for _, s := range r.homes(o, extent) {", off: "	for _, s := range r.homes(o, extent)[:0] {",
		pkg: "cluster/source", test: "TestAZoneWhoseOwnersAreAway",
	},
	{
		name: "places of nodes", file: "cluster/member/distance.go",
		old: "if !(math.Abs(v[i]) <= maxPlace) {", off: "if math.Abs(v[i]) > 4*maxPlace {",
		pkg: "cluster/member", test: "TestPlaces",
	},
	{
		name: "former owners come first", file: "cluster/source/router.go",
		old: "steps := r.beforeZone(rg, nodes[0], o, extent)", off: "var steps []step",
		pkg: "cluster/source", test: "TestAWarmingOwnerIsAskedLast",
	},
	{
		name: "former owners of many", file: "cluster/source/warming.go",
		old: "return append(nodes, c)", off: "return nodes",
		pkg: "cluster/source", test: "TestManyJoinAtOnce",
	},
	{
		name: "moved only if resident", file: "cluster/replicator/take.go",
		old: "ResidentOnly: true", off: "ResidentOnly: false",
		pkg: "cluster/replicator", test: "TestAHolderThatEvicts",
	},
	{
		name: "two rings, not complete", file: "cluster/replicator/take.go",
		old: "all.Left++ // by", off: "_ = all // by",
		pkg: "cluster/replicator", test: "TestNewsThatTravel",
	},
	{
		name: "an unknown asker waits", file: "cluster/replicator/give.go",
		old: "return cluster.Page{}, errNotYet(q.From)", off: "return cluster.Page{}, nil",
		pkg: "cluster/replicator", test: "TestNewsThatTravel",
	},
	{
		name: "homes ask other zones", file: "cluster/replicator/replicator.go",
		old: "return n.Zone != self.Zone", off: "return false",
		pkg: "cluster/replicator", test: "TestWhoInheritsAsksWhoHasItStill",
	},
	{
		name: "rebalance rate", file: "cluster/replicator/take.go",
		old: "\tif n > 0 {\n\t\tif err := r.c.Rate", off: "\tif false {\n\t\tif err := r.c.Rate",
		pkg: "cluster/replicator", test: "TestTheRateIsKept",
	},
	{
		name: "one take at a time", file: "cluster/replicator/take.go",
		old: "if r.takers[from] {", off: "if false {",
		pkg: "cluster/replicator", test: "TestOneTakeAtATime",
	},
	{
		name: "pages go on", file: "cluster/wire/handover.go",
		old: "p.Next != (cluster.Cursor{}) && !q.After.Less(p.Next) || ", off: "",
		pkg: "cluster/clustertest", test: "TestTheTwinPassesHandovers",
	},
	{
		name: "chunks that are there", file: "cluster/wire/handover.go",
		old: "r.Count > count-r.First", off: "false",
		pkg: "cluster/clustertest", test: "TestTheTwinPassesHandovers",
	},
	{
		name: "former names stay", file: "cluster/replicator/take.go",
		old: "if !wanted {", off: "if false && !wanted {",
		pkg: "cluster/replicator", test: "TestAFormerNameIsLeftBehind",
	},
	{
		name: "forged addresses", file: "cluster/member/log.go",
		old: "if g.first(why, from) && g.rate.Allow() {", off: "if g.first(why, from) {",
		pkg: "cluster/member", test: "TestForgedAddressesDoNotFillTheLog",
	},
	{
		name: "size of what is unpacked", file: "cluster/wire/pack.go",
		old: "if err != nil || n > GroupBytes || uint32(n) != want {", off: "if err != nil {",
		pkg: "cluster/wire", test: "TestABombIsNotUnpacked",
	},
	{
		name: "packed for who asked for it", file: "cluster/peers/stream.go",
		old: "if !s.packed || !f.Packed() {", off: "if !f.Packed() {",
		pkg: "cluster/peers", test: "TestPackedBytesUnasked",
	},
	{
		name: "former owners", file: "cluster/source/former.go",
		old: "o.Key, o.Former = o.Former, \"\"", off: "o.Former = \"\"",
		pkg: "cluster/source", test: "TestHashingMovesNoBytesOutOfTheOrigin",
	},
	{
		name: "hedges within a zone", file: "cluster/source/race.go",
		old: "if r.c.NearOnly && n.Zone != self.Zone {", off: "if false {",
		pkg: "cluster/source", test: "TestHedgesStayInTheZone",
	},
	{
		name: "a file's only home", file: "cluster/ring/ring.go",
		old: "if o.Node == \"\" {", off: "if true {",
		pkg: "cluster/source", test: "TestTheHolderReadsIt",
	},
	{
		name: "ways to edge nodes", file: "cluster/edge/reach.go",
		old: "via := slices.Clone(f.known[n.ID].via)", off: "via := slices.Clone(f.known[n.ID].via[:0])",
		pkg: "cluster/edge", test: "TestEdgeZonesAreOfTheCluster",
	},
	{
		name: "the latest word of an edge node", file: "cluster/edge/book.go",
		old: "case ok && old.seq >= r.seq, ", off: "case ",
		pkg: "cluster/edge", test: "TestTheLatestWordOfANodeCounts",
	},
	{
		name: "rumours of later versions", file: "cluster/rumor/wire.go",
		old: "if b[0] > version {", off: "if false {",
		pkg: "cluster/rumor", test: "TestWhatIsNotKnownIsToldOn",
	},
	{
		name: "hints of later versions", file: "cluster/peers/exchange.go",
		old: "case f.Type != wire.Waiting && f.Type < wire.Skippable:", off: "case f.Type != wire.Waiting:",
		pkg: "cluster/peers", test: "TestAPeerOfALaterVersion",
	},
	{
		name: "nodes of later versions", file: "cluster/member/meta.go",
		old: "case version == metaVersion && !known:", off: "case !known:",
		pkg: "cluster/member", test: "TestANodeOfALaterVersion",
	},
	{
		name: "questions of later versions", file: "cluster/serve/server.go",
		old: "mux.HandleFunc(wire.V1, s.unknown)", off: "",
		pkg: "cluster/peers", test: "TestAQuestionOfALaterVersionIsNoBadAsk",
	},
}
