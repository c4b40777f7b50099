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
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"glimpse/cmd/glimpse/imageapi"
)

// service is an Image API that answers as it is told to.
type service struct {
	*httptest.Server
	mu            sync.Mutex
	made, removed []string
	data          map[string][]byte

	// Each may answer in its place, and says whether it did. It hears which try it is,
	// from 0. What the lock guards it may look at.
	create, put, show, remove func(w http.ResponseWriter, r *http.Request, try int) bool
	tries                     [4]int
}

// newService makes one that answers the nth upload with the nth status, and those
// after them well; spoil changes what it keeps.
func newService(t *testing.T, statuses []int, spoil func([]byte) []byte) *service {
	t.Helper()
	s := &service{data: map[string][]byte{}}
	own := func(which int, answer *func(http.ResponseWriter, *http.Request, int) bool, h http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			s.mu.Lock()
			try := s.tries[which]
			s.tries[which]++
			s.mu.Unlock()
			if *answer == nil || !(*answer)(w, r, try) {
				h(w, r)
			}
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v2/images", own(0, &s.create, func(w http.ResponseWriter, r *http.Request) {
		id, fresh := s.record(r)
		if !fresh {
			w.WriteHeader(http.StatusConflict)
			return
		}
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"id": %q, "status": "queued"}`, id)
	}))
	mux.HandleFunc("PUT /v2/images/{id}/file", own(1, &s.put, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		status := http.StatusNoContent
		if n := len(s.made) - 1; n < len(statuses) {
			status = statuses[n]
		}
		if err == nil && status == http.StatusNoContent {
			s.data[r.PathValue("id")] = spoil(b)
		}
		w.WriteHeader(status)
	}))
	mux.HandleFunc("GET /v2/images/{id}", own(2, &s.show, func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		id := r.PathValue("id")
		b, there := s.data[id]
		switch {
		case there:
			sum := sha512.Sum512(b)
			_ = json.NewEncoder(w).Encode(map[string]any{"id": id, "status": "active", "size": len(b), "os_hash_algo": "sha512", "os_hash_value": hex.EncodeToString(sum[:])})
		case slices.Contains(s.made, id) && !slices.Contains(s.removed, id):
			fmt.Fprintf(w, `{"id": %q, "status": "queued"}`, id)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	mux.HandleFunc("DELETE /v2/images/{id}", own(3, &s.remove, func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		id := r.PathValue("id")
		if !slices.Contains(s.made, id) || slices.Contains(s.removed, id) {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		s.removed = append(s.removed, id)
		w.WriteHeader(http.StatusNoContent)
	}))
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// record makes the record that is asked for, unless there is or was one of its id.
func (s *service) record(r *http.Request) (id string, fresh bool) {
	var a struct{ ID string }
	_ = json.NewDecoder(r.Body).Decode(&a)
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.ID == "" {
		a.ID = fmt.Sprint("image-", len(s.made))
	}
	if slices.Contains(s.made, a.ID) {
		return a.ID, false
	}
	s.made = append(s.made, a.ID)
	return a.ID, true
}

// left are the images that are there.
func (s *service) left() (ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.made {
		if !slices.Contains(s.removed, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// hangUp ends a connection without an answer.
func hangUp(w http.ResponseWriter) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		c.Close()
	}
}

// push is one of these bytes, by a stream if not as a file.
func (s *service) push(t *testing.T, data []byte, stream bool) Config {
	t.Helper()
	session, err := imageapi.Open(t.Context(), imageapi.Login{Endpoint: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(session.Close)
	p := Config{Session: session, Nodes: []imageapi.Node{{Base: s.URL}}, Attributes: map[string]any{}, Stall: time.Minute, Progress: func(int64) {}}
	if stream {
		p.Stream = bytes.NewReader(data)
	} else {
		p.File, p.Size = bytes.NewReader(data), int64(len(data))
	}
	return p
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
			data := bytes.Repeat([]byte("data"), 100_000)
			p := s.push(t, data, c.stream)
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
	p := s.push(t, make([]byte, 1000), false)
	p.Size = 2000
	if _, _, err := p.Run(t.Context()); imageapi.CodeOf(err) != imageapi.Failed || len(s.made) != 1 || len(s.removed) != 1 {
		t.Errorf("%v; made %v, removed %v", err, s.made, s.removed)
	}
}
