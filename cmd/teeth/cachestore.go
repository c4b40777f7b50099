package main

var cachestoreDefences = []defence{
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
		name: "manifest's checksum", file: "cachestore/chunk/segment.go",
		old: "if n < 0 || crc32.Checksum(b[:n], castagnoli) != binary.LittleEndian.Uint32(b[n:]) {", off: "if n < 0 {",
		pkg: "proxy/ops", test: "TestADamagedManifestIsMadeAnew",
	},
	{
		name: "another node takes over what this one can't find", file: "cachestore/reader.go",
		old: "if errors.Is(err, chunk.ErrUnresolved) && r.l.owns != nil && !r.cur.asked {", off: "if false {",
		pkg: "cluster/source", test: "TestAnOwnerThatCanNotResolve",
	},
	{
		name: "wrong bytes in right frames", file: "cachestore/run.go",
		old: "from = again(from, in.ids())", off: "from = again(from, nil)",
		pkg: "cachestore", test: "TestWhoGaveAWrongChunkIsNamed",
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
		name: "bad though unread", file: "cachestore/resident.go",
		old: "if ctx.Err() == nil || errors.Is(err, chunk.ErrCorrupt) {", off: "if errors.Is(ctx.Err(), nil) {",
		pkg: "cachestore", test: "TestABadChunkIsCountedThoughItsReaderHasLeft",
	},
	{
		name: "no move without a name", file: "cachestore/disk/remove.go",
		old: "if !may || b.has(index) {", off: "if b.has(index) {",
		pkg: "cachestore/disk", test: "TestAnObjectOfManyNames",
	},
}
