//go:build ceph

package rbd

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"glimpse/backends"
	"glimpse/cmd/testenv"
)

// theirs parses and makes URLs with glance_store's own driver.
const theirs = `
import json, sys
from glance_store._drivers import rbd
from oslo_config import cfg
out = []
for url in json.load(sys.stdin):
    loc = rbd.StoreLocation({}, cfg.ConfigOpts())
    try:
        loc.parse_uri(url)
        out.append([loc.fsid or "", loc.pool or "", loc.image, loc.snapshot or "", loc.get_uri()])
    except Exception:
        out.append(None)
print(json.dumps(out))
`

func TestLocatorsAreGlances(t *testing.T) {
	testenv.NeedFile(t, "/usr/lib/python3/dist-packages/glance_store/_drivers/rbd.py")
	fsid := "0f3c9a6e-1d2b-4c5d-8e9f-a0b1c2d3e4f5"
	urls := []string{
		"rbd://" + fsid + "/images/6f1d/snap", "rbd://6f1d", "rbd://a%2Fb", "rbd://" + fsid + "/im%20ages/a%2Fb%40c/sn%2Bap",
		"rbd://" + fsid + "/p%7Eq~r/%C3%A9-_./snap", "rbd://" + fsid + "/a+b&c=d:e@f$/x/snap", "rbd://f/p/i/s",
		"rbd://", "rbd:///p/i/s", "rbd://f//i/s", "rbd://f/p/i", "rbd://f/p/i/s/more", "rbd://f/p/i/", "swift://f/p/i/s", "rbd:f/p/i/s", "",
	}
	in, err := json.Marshal(urls)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", theirs)
	cmd.Stdin = strings.NewReader(string(in))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var want [][]string
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	good := 0
	for i, url := range urls {
		p, err := parse(backends.Locator(url))
		if (err == nil) != (want[i] != nil) {
			t.Errorf("%q: %v, glance_store says %v", url, err, want[i])
			continue
		}
		if err != nil {
			continue
		}
		good++
		if got := []string{p.fsid, p.pool, p.image, p.snap, p.locator().Reveal()}; fmt.Sprint(got) != fmt.Sprint(want[i]) {
			t.Errorf("%q: %q, glance_store says %q", url, got, want[i])
		}
	}
	if good != 7 {
		t.Errorf("%d URLs were taken", good)
	}
}

func TestUploadNames(t *testing.T) {
	name := uploadName("a-b", strings.Repeat("0", saltSize))
	if key, ok := uploadKey(name); !ok || key != "a-b" {
		t.Errorf("got %q", key)
	}
	for _, name := range []string{"a-b", uploadPrefix, uploadPrefix + "x", uploadPrefix + "-" + strings.Repeat("0", saltSize), "x" + name} {
		if key, ok := uploadKey(name); ok {
			t.Errorf("%q is taken for an upload of %q", name, key)
		}
	}
	for _, bad := range []string{"", "a/b", "a@b", "a\x00", uploadPrefix + "x", strings.Repeat("x", 201)} {
		if goodKey(bad) {
			t.Errorf("%q is taken for a key", bad)
		}
	}
}

func TestGrowthIsGlances(t *testing.T) {
	size, step := int64(0), int64(8<<20)
	for _, c := range []struct{ need, size, step int64 }{
		{1, 8 << 20, 16 << 20}, {8 << 20, 8 << 20, 16 << 20}, {8<<20 + 1, 24 << 20, 32 << 20},
	} {
		size, step = growth(size, step, c.need)
		if size != c.size || step != c.step {
			t.Errorf("for %d bytes: %d, then by %d", c.need, size, step)
		}
	}
	size, step = growth(size, step, 50<<30)
	if size < 50<<30 || size > 58<<30 || step != maxGrowth {
		t.Errorf("for 50 GiB: %d, then by %d", size, step)
	}
}

func TestConfigIsChecked(t *testing.T) {
	c, err := Config{}.Check()
	if err != nil || c.Pool != "images" || c.ChunkSize != 8<<20 || c.order() != 23 {
		t.Errorf("the defaults: %+v, %v", c, err)
	}
	if o := (Config{ChunkSize: 12 << 20}).order(); o != 23 {
		t.Errorf("12 MiB: order %d", o)
	}
	for _, bad := range []Config{{ChunkSize: 4095}, {ChunkSize: 33 << 20}, {ConnectTimeout: 1}, {OpTimeout: -1}} {
		if _, err := bad.Check(); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	if _, err := parse("rbd://u:hunter2@h/x"); !errors.Is(err, errLocator) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}
