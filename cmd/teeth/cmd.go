package main

var cmdDefences = []defence{
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
		name: "folders that are not shared", file: "cmd/glimpse/sharedfolder.go",
		old: "if mark != want {", off: "if mark == \"\" {",
		pkg: "cmd/glimpse", test: "TestAFolderThatIsSaidToBeShared",
	},
}
