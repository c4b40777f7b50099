package s3

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"glimpse/backends"
	"glimpse/cmd/testenv"
)

// asGlance has Glance's own code read URLs.
const asGlance = `
import json, sys
from glance_store._drivers import s3
for uri in json.load(sys.stdin):
    loc = s3.StoreLocation({}, None)
    try:
        loc.parse_uri(uri)
        print(json.dumps([loc.accesskey or "", getattr(loc, "secretkey", None) or "", loc.s3serviceurl, loc.bucket, loc.key, loc.get_uri() if loc.accesskey else uri]))
    except Exception:
        print("null")
`

func glanceReads(t *testing.T, uris []string) [][]string {
	t.Helper()
	testenv.NeedFile(t, "/usr/lib/python3/dist-packages/glance_store/_drivers/s3.py")
	in, err := json.Marshal(uris)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", asGlance)
	cmd.Stdin, cmd.Stderr = strings.NewReader(string(in)), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all [][]string
	for line := range strings.Lines(string(out)) {
		var one []string
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	if len(all) != len(uris) {
		t.Fatalf("%d answers for %d URLs", len(all), len(uris))
	}
	return all
}

var locations = map[string]location{
	"s3://AK:SK@host/b/k":                   {"AK", "SK", "host", "b", "k"},
	"s3+https://AK:SK@host/b/k":             {"AK", "SK", "host", "b", "k"},
	"s3+http://AK:SK@host:8080/b/k":         {"AK", "SK", "host:8080", "b", "k"},
	"s3+https://AK:S/K+/=x@host/b/k":        {"AK", "S/K+/=x", "host", "b", "k"},
	"s3://AK:SK@host/path/to/b/k":           {"AK", "SK", "host/path/to", "b", "k"},
	"s3+https://host/b/k":                   {"", "", "host", "b", "k"},
	"s3://s3-eu-west-1.amazonaws.com/b/k-1": {"", "", "s3-eu-west-1.amazonaws.com", "b", "k-1"},
	"s3://AK:SK@[::1]:9000/b/k":             {"AK", "SK", "[::1]:9000", "b", "k"},
}

var noLocations = []string{
	"", "s3", "s3://", "s3:///", "s3://host", "s3://host/b", "s3:///b/k", "http://host/b/k", "S4://host/b/k", "file:///etc/passwd",
	"s3://AK@host/b/k", "s3://AK:@host/b/k", "s3://:SK@host/b/k", "s3://AK:SK:X@host/b/k", "s3://AK:S@K@host/b/k",
	"s3://AK:SK@https://host/b/k", "s3://https://host/b/k", "s3://AK:SK@host/b/..", "s3://AK:SK@host/../k", "s3://AK:SK@host//k",
	"s3://AK:SK@host/b/k?x=y", "s3://AK:SK@host/b/k#x", "s3://AK:SK@host/b/k\n", "s3://AK:SK@host/b k/k", `s3://AK:SK@host\evil/b/k`,
}

// Every URL means to the store what it means to Glance.
func TestLocationsAreGlances(t *testing.T) {
	var uris []string
	for uri, want := range locations {
		uris = append(uris, uri)
		if got, ok := parse(uri); !ok || got != want {
			t.Errorf("%s: %+v, %t", uri, got, ok)
		}
	}
	for i, g := range glanceReads(t, uris) {
		l := locations[uris[i]]
		want := []string{l.access, l.secret, l.host, l.bucket, l.key, uris[i]}
		if fmt.Sprint(g) != fmt.Sprint(want) {
			t.Errorf("Glance reads %v", g)
		}
	}
	for _, uri := range noLocations {
		if l, ok := parse(uri); ok {
			t.Errorf("%q is taken for %+v", uri, l)
		}
	}
}

// What the store writes, Glance reads, and so does the store.
func TestLocationsAreReadBack(t *testing.T) {
	var uris []string
	var want [][]string
	for _, endpoint := range []string{"http://127.0.0.1:7070", "https://s3.example.org", "https://s3.eu-west-1.amazonaws.com", "http://h:1/a/b/"} {
		for _, secret := range []string{"plain", "a/b+c/d=", "with:colon"} {
			c := config(endpoint, "AK", secret)
			s := store(t, c)
			at := s.locator("0b3f-k")
			if o, err := s.resolve(at); err != nil || o.bucket != c.Bucket || o.key != "0b3f-k" {
				t.Fatalf("%+v, %v", o, err)
			}
			uris = append(uris, at.Reveal())
			access := "AK"
			if strings.Contains(secret, ":") {
				access, secret = "", ""
			}
			want = append(want, []string{access, secret, s.host, c.Bucket, "0b3f-k", at.Reveal()})
		}
	}
	for i, got := range glanceReads(t, uris) {
		if fmt.Sprint(got) != fmt.Sprint(want[i]) {
			t.Errorf("Glance reads %v, wanted are %v", got, want[i])
		}
	}
}

// A user's location neither leads elsewhere nor lends the store's credentials.
func TestWhatALocationMayOpen(t *testing.T) {
	c := config("https://s3.example.org", "AK", "hush")
	c.Bucket = "images"
	s := store(t, c)
	for text, want := range map[string]error{
		"s3+https://s3.example.org/images/k":          nil,
		"s3+https://S3.Example.org:443/images/k":      nil,
		"s3://s3.example.org/images/k":                nil,
		"s3://AK:hush@s3.example.org/images/k":        nil,
		"s3://other:key@s3.example.org/theirs/k":      nil,
		"s3://AK:key@s3.example.org/images/k":         nil,
		"s3://s3.example.org/theirs/k":                errBucket,
		"s3://s3.example.org:8443/images/k":           errLocator,
		"s3://169.254.169.254/images/k":               errLocator,
		"s3://AK:hush@evil.example.org/images/k":      errLocator,
		"s3://s3.example.org.evil.org/images/k":       errLocator,
		"s3://s3.example.org/x/images/k":              errLocator,
		"s3://AK:hush@s3.example.org@evil.org/imgs/k": errLocator,
	} {
		o, err := s.resolve(backends.Locator(text))
		if !errors.Is(err, want) || err == nil && want != nil {
			t.Errorf("%s: %v", text, err)
		}
		if err != nil {
			continue
		}
		creds, err := o.client.Options().Credentials.Retrieve(t.Context())
		if err != nil || (o.client == s.client) == strings.Contains(text, "key@") || strings.Contains(text, "key@") != (creds.SecretAccessKey == "key") {
			t.Errorf("%s is opened as %s, %v", text, creds.AccessKeyID, err)
		}
	}
}

func TestABucketKnowsItsLocations(t *testing.T) {
	c := config("https://s3.example.org", "AK", "hush")
	c.Bucket = "images"
	owns := c.Owns()
	for text, want := range map[string]bool{
		"s3+https://AK:hush@s3.example.org/images/k":     true,
		"s3+https://OLD:key@s3.example.org:443/images/k": true,
		"s3://s3.example.org/images/k":                   true,
		"s3+https://AK:hush@s3.example.org/images2/k":    false,
		"s3+https://AK:hush@other.example.org/images/k":  false,
		"s3+https://AK:hush@s3.example.org:80/images/k":  false,
		"https://s3.example.org/images/k":                false,
	} {
		if got := owns(backends.Locator(text)); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	c := config("https://s3.example.org", "AKHUSH", "hush")
	for _, text := range []string{fmt.Sprintf("%v %+v %#v", c, c, c), fmt.Sprint(store(t, c).locator("k"))} {
		if strings.Contains(strings.ToLower(text), "hush") {
			t.Error(text)
		}
	}
}
