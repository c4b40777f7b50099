package main

var defences = []defence{
	{
		name: "digest check", file: "cachestore/run.go",
		old: "if s.proves(f.id, d, in.digest) {", off: "if true {",
		pkg: "cachestore", test: "TestCorruptOriginIsHeldBack",
	},
	{
		name: "hold-back", file: "cachestore/fill.go",
		old: "e, to := f.e, max(p.from, p.to-p.hold)", off: "e, to := f.e, p.to",
		pkg: "cachestore", test: "TestCorruptOriginIsHeldBack",
	},
	{
		name: "compare after refill", file: "cachestore/fill.go",
		old: "case p.from < f.hi && p.pos > f.lo && p.pos > p.from:", off: "case false:",
		pkg: "cachestore", test: "TestRefillAfterCorruption",
	},
	{
		name: "block checksum", file: "cachestore/disk/chunk.go",
		old: "if castagnoli(b[i*BlockSize:min(len(b), (i+1)*BlockSize)]) != c.end.crcs[first+i] {", off: "if false {",
		pkg: "cachestore/disk", test: "TestAFlippedBitAnywhereIsFoundByItsRead",
	},
	{
		name: "trailer check", file: "cachestore/disk/trailer.go",
		old: "castagnoli(body) != sum", off: "sum == 0 && len(body) == 0",
		pkg: "cachestore/disk", test: "TestAFlippedBitAnywhereIsFoundByItsRead",
	},
	{
		name: "trailer's key", file: "cachestore/disk/chunk.go",
		old: "if c.end.index != int(c.index) || c.end.key != key && !aliased(c.t.fs, dir, key, c.end.key) {", off: "if false {",
		pkg: "cachestore/disk", test: "TestARenamedObjectIsReadUnderItsNewKeyOnly",
	},
	{
		name: "coalescing", file: "cachestore/level.go",
		old: "if f := l.fills[k]; f != nil && f.join() {\n\t\treturn []*fill{f}, nil\n\t}", off: "",
		pkg: "cachestore", test: "TestManyReadersOneFill",
	},
	{
		name: "read ahead once", file: "cachestore/memory.go",
		old: "!awaited && m.awaited.has(e.place)", off: "false",
		pkg: "cachestore", test: "TestReadAheadIsReadOnce",
	},
	{
		name: "windows fit memory", file: "cachestore/await.go",
		old: "if a.taken-oldest.since < staleAfter*a.max {", off: "if false {",
		pkg: "cachestore", test: "TestWindowsFitMemory",
	},
	{
		name: "awaited is no pin", file: "cachestore/await.go",
		old: "\t\ta.removeLocked(a.oldestLocked())\n", off: "",
		pkg: "cachestore", test: "TestAwaitedIsNoPin",
	},
	{
		name: "revocable pins", file: "cachestore/send.go",
		old: "if r.slow || r.s.pool.waiting.Load() > 0 || !r.s.mem.send(v.e) {", off: "if !r.s.mem.send(v.e) && false {",
		pkg: "cachestore", test: "TestStalledClientsDontStarveTheNode",
	},
	{
		name: "waiting in order", file: "cachestore/grant.go",
		old: "case stuck.space >= 0 && !p.mayPass(q.want, stuck.space):", off: "case false:",
		pkg: "cachestore", test: "TestUploadIsNotStarved",
	},
	{
		name: "upload quota", file: "cachestore/grant.go",
		old: "case w.class == classUpload && p.held[classUpload]+w.n > p.uploadQuota():", off: "case false:",
		pkg: "cachestore", test: "TestPoolQuotasAndOrder",
	},
	{
		name: "uploads without slabs", file: "proxy/ops/receive.go",
		old: "context.WithTimeoutCause(ctx, patience, errImpatient)", off: "context.WithTimeoutCause(ctx, 1000*patience, errors.New(\"late\"))",
		pkg: "proxy/ops", test: "TestAnUploadDoesNotNeedTheCache",
	},
	{
		name: "verified after a crash", file: "cachestore/disk/chunk.go",
		old: "if err == nil && e.state == stSuspect {", off: "if err == nil && e.state == stSuspect && false {",
		pkg: "cachestore/disk", test: "TestABadByteAnywhereIsFoundAfterAnUncleanStop",
	},
	{
		name: "clean marker", file: "cachestore/disk/tier.go",
		old: "if err := t.fs.SyncFS(t.root); err != nil {\n\t\treturn err\n\t}", off: "",
		pkg: "cachestore/disk", test: "TestACleanStopOutlivesALossOfPower",
	},
	{
		name: "fsync of an upload", file: "backends/file/write.go",
		old: "if err := w.f.Sync(); err != nil {", off: "if err := error(nil); err != nil {",
		pkg: "cmd/glimpse/systest", test: "TestAnUploadIsDurableBeforeItIsSeen",
	},
	{
		name: "fsync of the folder", file: "backends/file/write.go",
		old: "w.d.root.Remove(w.temp), w.d.sync())", off: "w.d.root.Remove(w.temp))",
		pkg: "cmd/glimpse/systest", test: "TestAnUploadIsDurableBeforeItIsSeen",
	},
	{
		name: "no replacing", file: "backends/file/write.go",
		old: "w.d.root.Link(w.temp, w.key)", off: "w.d.root.Rename(w.temp, w.key)",
		pkg: "backends/file", test: "TestFolders",
	},
	{
		name: "validator", file: "backends/file/read.go",
		old: "if validator(st) != r.want {", off: "if validator(st) != r.want && false {",
		pkg: "cmd/glimpse/systest", test: "TestAnOriginOverwrittenDuringAFillIsNeverMixed/without",
	},
	{
		name: "manifest's checksum", file: "cachestore/chunk/segment.go",
		old: "if n < 0 || crc32.Checksum(b[:n], castagnoli) != binary.LittleEndian.Uint32(b[n:]) {", off: "if n < 0 {",
		pkg: "proxy/ops", test: "TestADamagedManifestIsMadeAnew",
	},
	{
		name: "row lock", file: "registry/sqlstore/mysql.go",
		old: `return " FOR UPDATE"`, off: `return ""`,
		pkg: "registry/sqlstore", test: "TestConformance/mariadb/images",
	},
	{
		name: "upload token", file: "registry/sqlstore/activate.go",
		old: "at.State != registry.UploadLive || at.lapsed || !at.newest || ", off: "",
		pkg: "registry/sqlstore", test: "TestConformance/sqlite/.*uploads",
	},
	{
		name: "record drops", file: "registry/lease_tell.go",
		old: "	err := l.c.Cluster.Others.Drop(ctx, n, imageID)\n", off: "	var err error\n",
		pkg: "registry", test: "TestAWriteOnOneNodeIsReadOnEachInTheNextInstant",
	},
	{
		name: "wait for silent nodes", file: "registry/lease_tell.go",
		old: "	l.silent(ctx, n, err)\n	<-ctx.Done()\n", off: "	l.silent(ctx, n, err)\n",
		pkg: "registry", test: "TestASilentNodeDelaysAWriteByItsLeaseAndIsNeverStale",
	},
	{
		name: "no cache without a row", file: "registry/lease_tell.go",
		old: "return c == nil || c.Live()", off: "return true",
		pkg: "registry", test: "TestANodeThatCanNotBeatStopsCachingInTime",
	},
	{
		name: "policy on hits", file: "proxy/download.go",
		old: "m, err := r.load(\"download_image\")", off: "m, err := r.image()",
		pkg: "proxy", test: "TestWhoSeesAndMayTouchAnImage",
	},
	{
		name: "a share that has ended", file: "proxy/request.go",
		old: "\tif image.KindOf(err) == image.NotFound && err != nil {\n\t\treturn false, nil", off: "\tif image.KindOf(err) == image.NotFound && err != nil {\n\t\treturn true, nil",
		pkg: "proxy", test: "TestAShareShowsTheImageUntilItEnds",
	},
	{
		name: "others' shares", file: "proxy/members.go",
		old: "return r.admin || m.OwnedBy(r.who.ProjectID) || project == r.who.ProjectID", off: "return true || project == \"\"",
		pkg: "proxy", test: "TestWhoMayDoWhatWithShares",
	},
	{
		name: "no word for another project", file: "proxy/request.go",
		old: "if m.Visibility == image.Shared && !m.OwnedBy(project) {", off: "if m.Visibility == image.Shared {",
		pkg: "proxy", test: "TestWhoMayDoWhatWithShares",
	},
	{
		name: "deactivation on hits", file: "proxy/download.go",
		old: "if err == nil && m.Status == image.Deactivated && !r.admin {", off: "if err == nil && m.Status == image.Deactivated && false {",
		pkg: "proxy", test: "TestDeactivation",
	},
	{
		name: "claimed hashes", file: "proxy/ops/resolve.go",
		old: "default:\n\t\tt.object.Key = s.privateKey(m, l, pin.Size, pin.Validator)",
		off: "case m.HashValue != nil:\n\t\tt.object.Key = s.contentKey(m, l, registry.Content{Algo: *m.HashAlgo, Hash: *m.HashValue, Size: pin.Size}, pin.Validator)\n\tdefault:\n\t\tt.object.Key = s.privateKey(m, l, pin.Size, pin.Validator)",
		pkg: "proxy/ops", test: "TestAClaimedHashOpensNobodysBytes",
	},
	{
		name: "address that is dialled", file: "backends/web/guard.go",
		old: "nd.Control = func", off: "_ = func",
		pkg: "proxy", test: "TestLocationsInsideAreRefused",
	},
	{
		name: "restricted schemes", file: "proxy/ops/locate.go",
		old: "if !ok || slices.Contains(restricted, scheme) {", off: "if !ok {",
		pkg: "proxy", test: "TestLocationsThatAreRefused",
	},
	{
		name: "others' bytes by their URL", file: "proxy/ops/locate.go",
		old: "if others {", off: "if others && false {",
		pkg: "proxy", test: "TestAnotherProjectsBytesAreNotNamed",
	},
	{
		name: "hash of a location", file: "proxy/ops/hashimage.go",
		old: "m.Status == image.Importing && !f.matches()", off: "m.Status == image.Importing && false",
		pkg: "proxy", test: "TestALocationIsProved",
	},
	{
		name: "wish before the write", file: "proxy/ops/locate.go",
		old: "if hash {\n\t\tvar err error", off: "if false {\n\t\tvar err error",
		pkg: "proxy/ops", test: "TestWhatACrashInterruptedIsTakenUp",
	},
	{
		name: "encrypted locations", file: "registry/sqlstore/cipher.go",
		old: "if u.block == nil || url == \"\" {", off: "if true {",
		pkg: "registry/sqlstore", test: "TestURLsAreStoredEncrypted",
	},
	{
		name: "names of encrypted locations", file: "registry/sqlstore/named.go",
		old: "if db.urls.open(text) == url {", off: "if text == url.Reveal() {",
		pkg: "registry/sqlstore", test: "TestURLsAreStoredEncrypted",
	},
	{
		name: "locations with their own keys", file: "backends/s3/locator.go",
		old: "o.client = s.newClient(l.access, l.secret)", off: "o.client = s.client",
		pkg: "backends/s3", test: "TestCredentialsOfALocation",
	},
	{
		name: "an abort that aborts", file: "backends/s3/multipart.go",
		old: "if err != nil || !left {", off: "if err != nil || !left || true {",
		pkg: "backends/s3", test: "TestAnAbortReallyAborts",
	},
	{
		name: "a sweep leaves uploads", file: "proxy/ops/sweep.go",
		old: "if is, err := s.cfg.Registry.Attempted(ctx, token); err != nil || is {", off: "if is, err := s.cfg.Registry.Attempted(ctx, token); err != nil {",
		pkg: "proxy/ops", test: "TestASweepEndsOnlyWhatNobodyAnswersFor",
	},
	{
		name: "a sweep leaves named bytes", file: "proxy/ops/sweep.go",
		old: "if strings.Contains(l.URL.Reveal(), id+\"-\"+token) {", off: "if strings.Contains(l.URL.Reveal(), id+\"!\"+token) {",
		pkg: "proxy/ops", test: "TestASweepEndsOnlyWhatNobodyAnswersFor",
	},
	{
		name: "a sweep is patient", file: "proxy/ops/sweep.go",
		old: "if !old {", off: "if false {",
		pkg: "proxy/ops", test: "TestASweepEndsOnlyWhatNobodyAnswersFor",
	},
	{
		name: "other locations before retries", file: "proxy/ops/failover.go",
		old: "x.now.once = !x.now.again && x.others()", off: "x.now.once = false",
		pkg: "proxy/ops", test: "TestRetriesComeAfterTheOtherLocations",
	},
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
		name: "another node takes over what this one can't find", file: "cachestore/reader.go",
		old: "if errors.Is(err, chunk.ErrUnresolved) && r.l.owns != nil && !r.cur.asked {", off: "if false {",
		pkg: "cluster/source", test: "TestAnOwnerThatCanNotResolve",
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
		name: "segments as they were listed", file: "backends/swift/segments.go",
		old: "r.s.get(r.ctx, r.p, seg.validator, from, n)", off: "r.s.get(r.ctx, r.p, \"\", from, n)",
		pkg: "backends/swift", test: "TestRangesAreReadFromTheSegments",
	},
	{
		name: "segments of an object that is still there", file: "backends/swift/segments.go",
		old: "if err == nil && state != l.manifest {", off: "if err == nil && state == \"never\" {",
		pkg: "backends/swift", test: "TestAnObjectThatIsReplacedIsNotReadFromItsSegments",
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
		name: "wrong bytes in right frames", file: "cachestore/run.go",
		old: "from = again(from, in.ids())", off: "from = again(from, nil)",
		pkg: "cachestore", test: "TestWhoGaveAWrongChunkIsNamed",
	},
	{
		name: "bad copies are put aside", file: "cluster/source/look.go",
		old: "	if q.Doubt {\n", off: "	if false {\n",
		pkg: "cluster/source", test: "TestABadCopyIsReplaced",
	},
	{
		name: "no peer's word for it", file: "cachestore/check.go",
		old: "if s.isRight(k, digest(e.bytes()), e.digest) {", off: "if false {",
		pkg: "cachestore", test: "TestACheckBelievesTheDigestAlone",
	},
	{
		name: "mended chunks", file: "cachestore/run.go",
		old: "	case errors.Is(err, chunk.ErrMended):\n", off: "	case false:\n",
		pkg: "cachestore", test: "TestASourceThatMendsAChunk",
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
		name: "pull: digests", file: "cmd/glimpse/pull/chunks.go",
		old: "if blake3.Sum256(b) != m.Digests[i] {", off: "if blake3.Sum256(b) == (imageapi.Digest{}) {",
		pkg: "cmd/glimpse/pull", test: "TestOneGoodNodeIsEnough",
	},
	{
		name: "pull: digests to a pipe", file: "cmd/glimpse/pull/pipe.go",
		old: "if blake3.Sum256(b) != p.Manifest.Digests[i] {", off: "if blake3.Sum256(b) == (imageapi.Digest{}) {",
		pkg: "cmd/glimpse/pull", test: "TestOneGoodNodeIsEnough",
	},
	{
		name: "pull: the whole's hash", file: "cmd/glimpse/imageapi/proof.go",
		old: "if !strings.EqualFold(hex.EncodeToString(sum), p.Want) {", off: "if !strings.EqualFold(hex.EncodeToString(sum), p.Want) && p.Want == \"\" {",
		pkg: "cmd/glimpse/pull", test: "TestTheRecordsHashHasTheLastWord",
	},
	{
		name: "pull: a part is looked at", file: "cmd/glimpse/pull/part.go",
		old: "!m.Zero(i) && blake3.Sum256(buf[:n]) == digest {", off: "!m.Zero(i) && blake3.Sum256(buf[:n]) != (imageapi.Digest{}) && digest != (imageapi.Digest{}) {",
		pkg: "cmd/glimpse/pull", test: "TestWhatIsWrongInAPartFileIsFetchedAgain",
	},
	{
		name: "pull: zeros in a part", file: "cmd/glimpse/pull/part.go",
		old: "err = p.clear(off, n)", off: "err = nil",
		pkg: "cmd/glimpse/pull", test: "TestWhatIsWrongInAPartFileIsFetchedAgain",
	},
	{
		name: "pull: a slow chunk", file: "cmd/glimpse/pull/board.go",
		old: "case oldest != nil:", off: "case oldest != nil && oldest.double:",
		pkg: "cmd/glimpse/pull", test: "TestASlowNodeIsHelped",
	},
	{
		name: "tokens and redirects", file: "cmd/glimpse/imageapi/session.go",
		old: "return http.ErrUseLastResponse", off: "return nil",
		pkg: "cmd/glimpse/imageapi", test: "TestATokenDoesNotFollowARedirect",
	},
	{
		name: "nodes name themselves", file: "cmd/glimpse/imageapi/nodes.go",
		old: "(n.id == \"\" || resp.Header.Get(\"X-Glimpse-Node\") == n.id)", off: "true",
		pkg: "cmd/glimpse/imageapi", test: "TestNodesAreWhoTheyShouldBe",
	},
	{
		name: "manifests and policy", file: "proxy/manifest.go",
		old: "m, err := r.downloadable()", off: "m, err := r.image()",
		pkg: "proxy", test: "TestManifest",
	},
	{
		name: "cut bodies", file: "proxy/ops/receive.go",
		old: "	end = bare(err)\n", off: "	end = bare(err) || errors.Is(err, io.ErrUnexpectedEOF)\n",
		pkg: "proxy", test: "TestAChunkedUploadCutAtEveryStage",
	},
	{
		name: "push leaves nothing", file: "cmd/glimpse/push/push.go",
		old: "if rerr := c.remove(ctx, m.ID); rerr != nil {", off: "if rerr := ctx.Err(); rerr != nil {",
		pkg: "cmd/glimpse/push", test: "TestWhatAPushLeaves",
	},
	{
		name: "push: a lost record", file: "cmd/glimpse/push/push.go",
		old: "if err == nil || !lost {", off: "if err == nil || lost {",
		pkg: "cmd/glimpse/push", test: "TestLostAnswers",
	},
	{
		name: "push: a record under way", file: "cmd/glimpse/push/push.go",
		old: "context.WithTimeout(context.WithoutCancel(ctx), makeTimeout)", off: "context.WithTimeout(ctx, makeTimeout)",
		pkg: "cmd/glimpse/push", test: "TestInterruptedWhileTheRecordIsMade",
	},
	{
		name: "push: an id that was there", file: "cmd/glimpse/push/push.go",
		old: "if err := c.free(ctx, id); err != nil {", off: "if err := c.free(ctx, id); err != nil && id == \"\" {",
		pkg: "cmd/glimpse/push", test: "TestLostAnswers",
	},
	{
		name: "places of nodes", file: "cluster/member/distance.go",
		old: "if !(math.Abs(v[i]) <= maxPlace) {", off: "if math.Abs(v[i]) > 4*maxPlace {",
		pkg: "cluster/member", test: "TestPlaces",
	},
	{
		name: "a pull fails alone", file: "cachestore/run.go",
		old: "if r.from == nil || r.l.s.ctx.Err() != nil {", off: "if true {",
		pkg: "cachestore", test: "TestAPullThatFailsFailsNoReader",
	},
	{
		name: "a new owner keeps what it has", file: "cachestore/pull.go",
		old: "\t\ts.disk.offerClean(e)\n", off: "",
		pkg: "cachestore", test: "TestAPullKeepsWhatIsInMemoryAlone",
	},
	{
		name: "objects are described", file: "cachestore/behind.go",
		old: "\t\tb.t.Describe(e.object())\n", off: "",
		pkg: "cachestore", test: "TestObjectsAreKnownAfterAStart",
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
		name: "names that are current", file: "proxy/ops/here.go",
		old: "return t.object.Key == o.Key", off: "return t.object.Key != \"\"",
		pkg: "proxy/ops", test: "TestAFoldThatGivesTheHashMakesAManifest",
	},
	{
		name: "nodes told of writes", file: "registry/lease_tell.go",
		old: "if n.ID != c.Self && n.Lease > 0 {", off: "if false {",
		pkg: "cmd/glimpse/systest", test: "TestAnImagesLifeBehindABalancer",
	},
	{
		name: "silent nodes waited for", file: "registry/lease_tell.go",
		old: "\tl.silent(ctx, n, err)\n\t<-ctx.Done()\n", off: "\tl.silent(ctx, n, err)\n",
		pkg: "cmd/glimpse/systest", test: "TestASilentNodeIsNeverStale",
	},
	{
		name: "histories", file: "registry/lease_tell.go",
		old: "if n.ID != c.Self && n.Lease > 0 {", off: "if false {",
		pkg: "cmd/glimpse/systest", test: "TestHistoriesOverMariaDB",
	},
	{
		name: "forged addresses", file: "cluster/member/log.go",
		old: "if g.first(why, from) && g.rate.Allow() {", off: "if g.first(why, from) {",
		pkg: "cluster/member", test: "TestForgedAddressesDoNotFillTheLog",
	},
	{
		name: "bad though unread", file: "cachestore/resident.go",
		old: "if ctx.Err() == nil || errors.Is(err, chunk.ErrCorrupt) {", off: "if errors.Is(ctx.Err(), nil) {",
		pkg: "cachestore", test: "TestABadChunkIsCountedThoughItsReaderHasLeft",
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
		name: "files of other nodes", file: "proxy/ops/delete.go",
		old: "ours = !other", off: "ours = !other || ours",
		pkg: "proxy/ops", test: "TestAnImageIsDeletedThroughAnotherNode",
	},
	{
		name: "attempts of other nodes", file: "registry/reaper.go",
		old: "if err == nil && (!deletable || !p.Reach.Has(up)) {", off: "if err == nil && !deletable {",
		pkg: "proxy/ops", test: "TestAnUploadIntoAFolderThatDied",
	},
	{
		name: "hedges within a zone", file: "cluster/source/race.go",
		old: "if r.c.NearOnly && n.Zone != self.Zone {", off: "if false {",
		pkg: "cluster/source", test: "TestHedgesStayInTheZone",
	},
	{
		name: "a reaper's reach", file: "proxy/ops/holder.go",
		old: "if st.ReadOnly || !s.near(&st) {", off: "if false {",
		pkg: "proxy/ops", test: "TestAReaperLeavesWhatIsNotItsOwn",
	},
	{
		name: "hashing left to others", file: "proxy/ops/hasher.go",
		old: "if err == nil && !leave {", off: "if leave = false; err == nil {",
		pkg: "proxy/ops", test: "TestOthersHashWhatIsNotForThisNode",
	},
	{
		name: "a file's only home", file: "cluster/ring/ring.go",
		old: "if o.Node == \"\" {", off: "if true {",
		pkg: "cluster/source", test: "TestTheHolderReadsIt",
	},
	{
		name: "folders that are not shared", file: "cmd/glimpse/sharedfolder.go",
		old: "if mark != want {", off: "if mark == \"\" {",
		pkg: "cmd/glimpse", test: "TestAFolderThatIsSaidToBeShared",
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
	{
		name: "no move without a name", file: "cachestore/disk/remove.go",
		old: "if !may || b.has(index) {", off: "if b.has(index) {",
		pkg: "cachestore/disk", test: "TestAnObjectOfManyNames",
	},
}
