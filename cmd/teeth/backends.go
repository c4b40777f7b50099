package main

var backendsDefences = []defence{
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
		name: "address that is dialled", file: "backends/web/guard.go",
		old: "nd.Control = func", off: "_ = func",
		pkg: "proxy", test: "TestLocationsInsideAreRefused",
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
		name: "segments as they were listed", file: "backends/swift/segments.go",
		old: "r.s.get(r.ctx, r.p, seg.validator, from, n)", off: "r.s.get(r.ctx, r.p, \"\", from, n)",
		pkg: "backends/swift", test: "TestRangesAreReadFromTheSegments",
	},
	{
		name: "segments of an object that is still there", file: "backends/swift/segments.go",
		old: "if err == nil && state != l.manifest {", off: "if err == nil && state == \"never\" {",
		pkg: "backends/swift", test: "TestAnObjectThatIsReplacedIsNotReadFromItsSegments",
	},
}
