package main

var proxyDefences = []defence{
	{
		name: "uploads without slabs", file: "proxy/ops/receive.go",
		old: "context.WithTimeoutCause(ctx, patience, errImpatient)", off: "context.WithTimeoutCause(ctx, 1000*patience, errors.New(\"late\"))",
		pkg: "proxy/ops", test: "TestAnUploadDoesNotNeedTheCache",
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
		name: "names that are current", file: "proxy/ops/here.go",
		old: "return t.object.Key == o.Key", off: "return t.object.Key != \"\"",
		pkg: "proxy/ops", test: "TestAFoldThatGivesTheHashMakesAManifest",
	},
	{
		name: "files of other nodes", file: "proxy/ops/delete.go",
		old: "ours = !other", off: "ours = !other || ours",
		pkg: "proxy/ops", test: "TestAnImageIsDeletedThroughAnotherNode",
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
}
