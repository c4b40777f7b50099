package main

var registryDefences = []defence{
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
		name: "attempts of other nodes", file: "registry/reaper.go",
		old: "if err == nil && (!deletable || !p.Reach.Has(up)) {", off: "if err == nil && !deletable {",
		pkg: "proxy/ops", test: "TestAnUploadIntoAFolderThatDied",
	},
}
