package sqlstore

import (
	"bytes"
	"encoding/base64"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"glimpse/cmd/testenv"
	"glimpse/registry/image"
)

var someURLs = []image.Secret{
	"http://h/x", "rbd://a/b/c/snap", "file:///0123456789abcdef", "swift+https://user%3Aa:päss@auth/v3/c/o",
	image.Secret("s3://key:secret@s3.example.org/bucket/" + strings.Repeat("0", 200)),
}

// glanceCrypt runs a function of Glance's own module over lines.
func glanceCrypt(t *testing.T, fn, key string, lines []string) []string {
	t.Helper()
	testenv.Need(t, "glance-api")
	cmd := osexec.CommandContext(t.Context(), "/usr/bin/python3", "-c", `
import sys
from glance.common import crypt
for line in sys.stdin:
    print(getattr(crypt, sys.argv[1])(sys.argv[2], line.rstrip("\n")))
`, fn, key)
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	cmd.Env = append(cmd.Environ(), "PYTHONIOENCODING=utf-8")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

// What Glance encrypts is read here, and what is encrypted here Glance reads,
// with keys of each length.
func TestGlanceReadsTheCipherAndWeReadIts(t *testing.T) {
	for _, k := range []string{key[:16], key[:24], key, strings.Repeat("ß", 8)} {
		u, err := newURLs(k)
		if err != nil {
			t.Fatal(err)
		}
		var plain, ours []string
		for _, url := range someURLs {
			text, err := u.seal(url)
			if err != nil {
				t.Fatal(err)
			}
			if got := u.open(text); got != url {
				t.Errorf("%d bytes are read back as others", len(url))
			}
			if got, want := len(text), base64.URLEncoding.EncodedLen(sealedSize(len(url))); got != want {
				t.Errorf("%d bytes are sealed in %d, expected %d", len(url), got, want)
			}
			plain, ours = append(plain, url.Reveal()), append(ours, text)
		}
		for i, got := range glanceCrypt(t, "urlsafe_decrypt", k, ours) {
			if got != plain[i] {
				t.Errorf("Glance reads %q for %q", got, plain[i])
			}
		}
		for i, theirs := range glanceCrypt(t, "urlsafe_encrypt", k, plain) {
			if got := u.open(theirs); got != someURLs[i] {
				t.Errorf("%q of Glance's is read as %q", plain[i], got.Reveal())
			}
		}
	}
}

func TestWhatCantBeDecryptedStays(t *testing.T) {
	u, err := newURLs(key)
	if err != nil {
		t.Fatal(err)
	}
	other, err := newURLs(strings.Repeat("k", 32))
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.seal("file:///of/another/key")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "http://plain/", "x", "AAAA", strings.Repeat("A", 64), strings.Repeat("A", 43) + "=", foreign} {
		if got := u.open(text).Reveal(); got != text {
			t.Errorf("%q is read as %q", text, got)
		}
	}
	if _, err := u.seal(image.Secret(strings.Repeat("x", 60000))); image.KindOf(err) != image.Invalid {
		t.Errorf("a URL that does not fit when it is encrypted: %v", err)
	}
	for _, k := range []string{"short", key + "0"} {
		if _, err := Open(t.Context(), Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "x.db"), EncryptionKey: k}); err == nil || strings.Contains(err.Error(), k) {
			t.Errorf("a key of %d bytes: %v", len(k), err)
		}
	}
}

// With a key no URL lies in the database as it is, in Glance's tables or in ours;
// what was written before there was a key is still found.
func TestURLsAreStoredEncrypted(t *testing.T) {
	onEngines(t, func(t *testing.T, url string) {
		before := ready(t, Config{URL: url})
		old, err := before.Create(t.Context(), located("file:///older"))
		if err != nil {
			t.Fatal(err)
		}
		db := ready(t, Config{URL: url, EncryptionKey: key})
		for at, want := range map[image.Secret]bool{"file:///older": true, "file:///oldes": false} {
			if is, err := db.Named(t.Context(), at); err != nil || is != want {
				t.Errorf("%s: named %v %v", at.Reveal(), is, err)
			}
		}
		m, err := db.Create(t.Context(), located("file:///newer"))
		if err != nil {
			t.Fatal(err)
		}
		up := located("")
		up.Locations, up.Status = nil, image.Queued
		if up, err = db.Create(t.Context(), up); err != nil {
			t.Fatal(err)
		}
		attempt, err := db.Begin(t.Context(), up.ID, "main", "n1")
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Note(t.Context(), attempt.Token, "file:///noted"); err != nil {
			t.Fatal(err)
		}
		// A change of anything but the URLs leaves them as they are stored.
		for _, id := range []string{old.ID, m.ID} {
			got, err := db.Update(t.Context(), id, func(m *image.Image) error { m.MinRAM = 7; return nil })
			if err != nil || !strings.HasPrefix(got.Locations[0].URL.Reveal(), "file:///") {
				t.Errorf("%v %v", got, err)
			}
		}
		texts, err := column(t.Context(), db.pool, "SELECT value FROM image_locations UNION ALL SELECT locator FROM glimpse_uploads")
		if err != nil || len(texts) != 3 {
			t.Fatal(texts, err)
		}
		plain := 0
		for _, text := range texts {
			if strings.Contains(text, "file") {
				plain++
			}
		}
		if plain != 1 {
			t.Errorf("%d of %q are plain, want the old one alone", plain, texts)
		}
		// A change of a location encrypts it.
		if _, err := db.Update(t.Context(), old.ID, func(m *image.Image) error {
			m.Locations[0].Metadata = map[string]string{"store": "other"}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if texts, err = column(t.Context(), db.pool, "SELECT value FROM image_locations WHERE value LIKE '%file%'"); err != nil || len(texts) > 0 {
			t.Error(texts, err)
		}
		if is, err := db.Named(t.Context(), "file:///older"); err != nil || !is {
			t.Error(is, err)
		}
	})
}

// located is an active image at a URL.
func located(url image.Secret) image.Image {
	raw, bare := "raw", "bare"
	return image.Image{
		ID: uuid.NewString(), Status: image.Active, Visibility: image.Private, DiskFormat: &raw, ContainerFormat: &bare,
		Locations: []image.Location{{URL: url, Metadata: map[string]string{"store": "main"}, Status: "active"}},
	}
}
