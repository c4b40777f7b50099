package push

import (
	"bytes"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"glimpse/cmd/glimpse/imageapi"
)

// service is an Image API that answers uploads as it is told to.
type service struct {
	*httptest.Server
	made, removed []string
	data          map[string][]byte
}

// newService makes one that answers the nth upload with the nth status, and those
// after them well; spoil changes what it keeps.
func newService(t *testing.T, statuses []int, spoil func([]byte) []byte) *service {
	t.Helper()
	s := &service{data: map[string][]byte{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v2/images", func(w http.ResponseWriter, _ *http.Request) {
		id := fmt.Sprint("image-", len(s.made))
		s.made = append(s.made, id)
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"id": %q}`, id)
	})
	mux.HandleFunc("PUT /v2/images/{id}/file", func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		status := http.StatusNoContent
		if n := len(s.made) - 1; n < len(statuses) {
			status = statuses[n]
		}
		if err == nil && status == http.StatusNoContent {
			s.data[r.PathValue("id")] = spoil(b)
		}
		w.WriteHeader(status)
	})
	mux.HandleFunc("GET /v2/images/{id}", func(w http.ResponseWriter, r *http.Request) {
		b := s.data[r.PathValue("id")]
		sum := sha512.Sum512(b)
		_ = json.NewEncoder(w).Encode(map[string]any{"id": r.PathValue("id"), "status": "active", "size": len(b), "os_hash_algo": "sha512", "os_hash_value": hex.EncodeToString(sum[:])})
	})
	mux.HandleFunc("DELETE /v2/images/{id}", func(w http.ResponseWriter, r *http.Request) {
		s.removed = append(s.removed, r.PathValue("id"))
		w.WriteHeader(http.StatusNoContent)
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// A push that fails removes what it made, and tries again only where that can help.
func TestWhatAPushLeaves(t *testing.T) {
	same := func(b []byte) []byte { return b }
	for name, c := range map[string]struct {
		statuses []int
		spoil    func([]byte) []byte
		stream   bool
		code     imageapi.Code
		made     int
	}{
		"well":             {nil, same, false, 0, 1},
		"by a stream":      {nil, same, true, 0, 1},
		"unavailable once": {[]int{503}, same, false, 0, 2},
		"unavailable":      {[]int{503, 503, 503, 503}, same, false, imageapi.Unreachable, 3},
		"a stream's":       {[]int{503}, same, true, imageapi.Unreachable, 1},
		"refused":          {[]int{415}, same, false, imageapi.Failed, 1},
		"not allowed":      {[]int{403}, same, false, imageapi.NotAllowed, 1},
		"other bytes":      {nil, func(b []byte) []byte { b[0] ^= 1; return b }, false, imageapi.Wrong, 1},
		"fewer bytes":      {nil, func(b []byte) []byte { return b[1:] }, false, imageapi.Wrong, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, c.statuses, c.spoil)
			session, err := imageapi.Open(t.Context(), imageapi.Login{Endpoint: s.URL})
			if err != nil {
				t.Fatal(err)
			}
			defer session.Close()
			data := bytes.Repeat([]byte("data"), 100_000)
			p := Config{Session: session, Nodes: []imageapi.Node{{Base: s.URL}}, Attributes: map[string]any{}, Stall: time.Minute, Progress: func(int64) {}}
			if c.stream {
				p.Stream = bytes.NewReader(data)
			} else {
				p.File, p.Size = bytes.NewReader(data), int64(len(data))
			}
			m, proof, err := p.Run(t.Context())
			if imageapi.CodeOf(err) != c.code || (err == nil) != (c.code == 0) {
				t.Errorf("%v", err)
			}
			if err == nil && (proof != "sha512" || !bytes.Equal(s.data[m.ID], data)) {
				t.Errorf("%s, %d bytes", proof, len(s.data[m.ID]))
			}
			left := len(s.made) - len(s.removed)
			if len(s.made) != c.made || (left == 1) != (err == nil) || left > 1 {
				t.Errorf("made %v, removed %v", s.made, s.removed)
			}
		})
	}
}

func TestFormats(t *testing.T) {
	image := func(at int, magic string, size int) []byte {
		b := make([]byte, size)
		copy(b[at:], magic)
		return b
	}
	gpt := image(510, "\x55\xaa", 1<<20)
	gpt[446+4] = 0x83
	for want, b := range map[string][]byte{
		"raw":   bytes.Repeat([]byte{1}, 3<<20),
		"qcow2": image(0, "QFI\xfb\x00\x00\x00\x03", 2<<20),
		"iso":   image(32769, "CD001", 5<<20),
		"vhdx":  image(0, "vhdxfile", 2<<20),
	} {
		got, err := Format(bytes.NewReader(b), int64(len(b)))
		if err != nil || got != want {
			t.Errorf("%s is taken for %s, %v", want, got, err)
		}
	}
	if got, err := Format(bytes.NewReader(gpt), int64(len(gpt))); err != nil || got != "raw" {
		t.Errorf("a partition table is taken for %s, %v", got, err)
	}
	if got, err := Format(strings.NewReader(""), 0); err != nil || got != "raw" {
		t.Errorf("nothing is taken for %s, %v", got, err)
	}
	// The footer of a fixed VHD, far behind what is read of the head.
	footer := image(0, "conectix\x00\x00\x00\x02\x00\x01\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff", 512)
	footer[63] = 2 // fixed
	sum := uint32(0)
	for _, b := range footer {
		sum += uint32(b)
	}
	binary.BigEndian.PutUint32(footer[64:], ^sum)
	vhd := append(make([]byte, 8<<20), footer...)
	if got, err := Format(bytes.NewReader(vhd), int64(len(vhd))); err != nil || got != "vhd" {
		t.Errorf("a fixed VHD is taken for %s, %v", got, err)
	}
}

// A file that has become shorter is this machine's matter: the push is not tried
// again, and not laid at the service's door.
func TestAFileThatHasBecomeShorter(t *testing.T) {
	s := newService(t, nil, func(b []byte) []byte { return b })
	session, err := imageapi.Open(t.Context(), imageapi.Login{Endpoint: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	p := Config{Session: session, Nodes: []imageapi.Node{{Base: s.URL}}, Attributes: map[string]any{}, Stall: time.Minute, Progress: func(int64) {}, File: bytes.NewReader(make([]byte, 1000)), Size: 2000}
	if _, _, err := p.Run(t.Context()); imageapi.CodeOf(err) != imageapi.Failed || len(s.made) != 1 || len(s.removed) != 1 {
		t.Errorf("%v; made %v, removed %v", err, s.made, s.removed)
	}
}
