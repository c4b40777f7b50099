package testenv

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Zones are nodes of one cluster at the sites of a WAN, each site a zone, with
// certificates and a gossip key.
type Zones struct {
	*WAN
	dir string // of the CA and the key
	url string // of the database, as all sites reach it
	DSN string // of the same, without a WAN before it
	Web *Web   // an origin at the first site
}

// NewZones prepares a cluster whose MariaDB and whose nginx lie at the first site.
// lines are of nginx's configuration.
func NewZones(t testing.TB, lines string, sites ...string) *Zones {
	t.Helper()
	z := &Zones{WAN: NewWAN(t, sites...), dir: t.TempDir(), Web: Nginx(t, lines)}
	db, err := url.Parse(MariaDB(t))
	if err != nil {
		t.Fatal(err)
	}
	z.DSN = db.String()
	db.Host = z.Site(0).Offer(t, db.Host)
	z.url = db.String()
	z.Web.URL = "http://" + z.Site(0).Offer(t, z.Web.URL[len("http://"):])
	Run(t, nil, Binary(t), "cluster", "init", "--label", "test", "--dir", z.dir)
	return z
}

// Site is the site of a number, in the order of NewZones.
func (z *Zones) Site(i int) *Site { return z.sites[i] }

// Keystone has all nodes ask a Keystone at the first site: keys for Member.
func (z *Zones) Keystone(t testing.TB, k *KeystoneServer) []string {
	t.Helper()
	at := z.Site(0).Offer(t, strings.TrimSuffix(strings.TrimPrefix(k.URL, "http://"), "/v3"))
	return []string{"auth.mode=keystone", "auth.keystone.auth_url=http://" + at + "/v3", "auth.keystone.interface=", "auth.keystone.username=glance", "auth.keystone.password=glancepw"}
}

// Member starts a node at a site. join is a gossip address, or "" for none but
// those of the node table.
func (z *Zones) Member(t testing.TB, at *Site, name, join string, more ...string) *Node {
	t.Helper()
	own := t.TempDir()
	keys, err := os.ReadFile(filepath.Join(z.dir, "gossip.keys"))
	if err == nil {
		err = os.WriteFile(filepath.Join(own, "keys"), keys, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	sets := []string{
		"listen.peer=" + at.Port(), "listen.gossip=" + at.Port(), "node.name=" + name, "node.zone=" + at.Name, "cluster.label=test", "registry.url=" + z.url,
		"cluster.keyring_file=" + own + "/keys", "cluster.tls.ca=" + own + "/ca.pem", "cluster.tls.cert=" + own + "/cert.pem", "cluster.tls.key=" + own + "/key.pem",
		"stores.main.path=" + z.dir + "/images", "stores.main.shared=true", "stores.web.type=http", fmt.Sprintf("stores.web.allowed_hosts=[%s]", z.sites[0].IP), "api.show_multiple_locations=true",
	}
	if join != "" {
		sets = append(sets, "cluster.join=["+join+"]")
	}
	n := at.Prepared(t, append(sets, more...)...)
	Run(t, nil, Binary(t), append([]string{"cluster", "cert", "--ca", z.dir + "/ca.pem", "--ca-key", z.dir + "/ca-key.pem"}, n.Args()...)...)
	n.Start()
	return n
}
