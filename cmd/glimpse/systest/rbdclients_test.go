package systest

import (
	"strings"
	"testing"

	"glimpse/cmd/testenv"
)

// hosts makes the calls that Nova and Cinder make of librbd, with the same
// bindings: their is_cloneable, Nova's clone and direct_snapshot, Cinder's
// _clone.
const hosts = `
import math, rados, rbd, sys
from urllib.parse import unquote

conf, verb, *args = sys.argv[1:]
cluster = rados.Rados(conffile=conf, rados_id="admin")
cluster.connect()
features = int(cluster.conf_get("rbd_default_features") or rbd.RBD_FEATURE_LAYERING)

def parse(url):
    assert url.startswith("rbd://"), "not stored in rbd"
    parts = [unquote(p) for p in url[len("rbd://"):].split("/")]
    assert len(parts) == 4 and "" not in parts, "blank components, or not an rbd snapshot"
    return parts

def cloneable(url, disk_format):
    fsid, pool, image, snap = parse(url)
    if fsid != cluster.get_fsid() or disk_format != "raw":
        return False
    with cluster.open_ioctx(pool) as io:
        try:
            with rbd.Image(io, image, snapshot=snap, read_only=True):
                return True
        except rbd.ImageNotFound:
            return False

def clone(url, dest, name, **options):
    _, pool, image, snap = parse(url)
    with cluster.open_ioctx(pool) as src, cluster.open_ioctx(dest) as dst:
        rbd.RBD().clone(src, image, snap, dst, name, features=features, **options)

def snap(pool, name, snap):
    with cluster.open_ioctx(pool) as io, rbd.Image(io, name) as image:
        image.create_snap(snap)
        image.protect_snap(snap)

def flatten(pool, name):
    with cluster.open_ioctx(pool) as io, rbd.Image(io, name) as image:
        image.flatten()

def boot(url, disk_format, pool, name):
    assert cloneable(url, disk_format), "not cloneable"
    clone(url, pool, name)

def volume(url, disk_format, pool, name):
    assert cloneable(url, disk_format), "not cloneable"
    _, src, parent, _ = parse(url)
    with cluster.open_ioctx(src) as io, rbd.Image(io, parent, read_only=True) as image:
        unit = max(image.stripe_unit(), 4 << 20) # not less than the parent's
    clone(url, pool, name, order=int(math.log(unit, 2)))

def direct_snapshot(pool, name, image_id, images):
    snap(pool, name, "direct")
    fsid = cluster.get_fsid()
    clone("rbd://%s/%s/%s/direct" % (fsid, pool, name), images, image_id)
    flatten(images, image_id)
    with cluster.open_ioctx(pool) as io, rbd.Image(io, name) as image:
        image.unprotect_snap("direct")
        image.remove_snap("direct")
    snap(images, image_id, "snap")
    print("rbd://%s/%s/%s/snap" % (fsid, images, image_id))

def read(pool, name, file):
    with cluster.open_ioctx(pool) as io, rbd.Image(io, name, read_only=True) as image, open(file, "wb") as f:
        for off in range(0, image.size(), 4 << 20):
            f.write(image.read(off, min(4 << 20, image.size() - off)))

def remove(pool, name):
    with cluster.open_ioctx(pool) as io:
        rbd.RBD().remove(io, name)

if verb == "cloneable":
    print(cloneable(*args))
else:
    globals()[verb](*args)
cluster.shutdown()
`

// host is a machine of Nova's and Cinder's at the cluster.
type host struct {
	t *testing.T
	c *testenv.CephCluster
}

func newHost(t *testing.T) host {
	testenv.CephBinary(t) // or the test is skipped
	c := testenv.Ceph(t)
	for _, pool := range []string{"vms", "volumes"} {
		c.NewPool(t, pool)
	}
	return host{t, c}
}

func (h host) call(verb string, args ...string) string {
	h.t.Helper()
	return strings.TrimSpace(testenv.Run(h.t, nil, "/usr/bin/python3", append([]string{"-c", hosts, h.c.Conf, verb}, args...)...))
}

// list are the names of what is in a pool: images, and objects that images are
// made of.
func (h host) list(pool string) (names []string) {
	h.t.Helper()
	names = strings.Fields(h.c.RBD(h.t, "ls", pool))
	for name := range strings.FieldsSeq(testenv.Run(h.t, nil, "rados", "-c", h.c.Conf, "-p", pool, "ls")) {
		if strings.HasPrefix(name, "rbd_data.") || strings.HasPrefix(name, "rbd_header.") || strings.HasPrefix(name, "rbd_id.") {
			names = append(names, name)
		}
	}
	return names
}
