package proxy

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"glimpse/backends/backendtest"
	"glimpse/cachestore/chunk"

	"lukechampine.com/blake3"
)

func TestManifest(t *testing.T) {
	n := newNode(t, nil)
	data := backendtest.Bytes(3*64<<10 + 777)
	clear(data[64<<10 : 128<<10])
	id := n.active(member, "", data)
	path := "/glimpse/v1/images/" + id + "/manifest"
	r := n.get(member, path)
	b := r.body
	if r.code != 200 || r.header.Get("Content-Type") != "application/vnd.glimpse.manifest" || len(b) != 24+4*32+4 {
		t.Fatalf("%d %v, %d bytes", r.code, r.header, len(b))
	}
	if string(b[:8]) != "GLIMPSE\x01" || binary.BigEndian.Uint64(b[8:]) != uint64(len(data)) || binary.BigEndian.Uint32(b[16:]) != 64<<10 || binary.BigEndian.Uint32(b[20:]) != 4 {
		t.Errorf("the head is %x", b[:24])
	}
	if crc32.Checksum(b[:len(b)-4], crc32.MakeTable(crc32.Castagnoli)) != binary.BigEndian.Uint32(b[len(b)-4:]) {
		t.Error("the checksum is another")
	}
	for i := range 4 {
		want := blake3.Sum256(data[i*64<<10 : min(len(data), (i+1)*64<<10)])
		if i == 1 {
			want = chunk.Digest{}
		}
		if !bytes.Equal(b[24+32*i:56+32*i], want[:]) {
			t.Errorf("chunk %d has another digest", i)
		}
	}

	bare := n.created(member, "")
	empty := n.active(member, "", nil)
	n.store.Replace("old", data)
	old := n.created(member, "")
	must(t, n.activate(old, "mem://m/old", int64(len(data))))
	for name, c := range map[string]struct {
		token, id string
		want      int
	}{
		"nobody": {"", id, 401}, "another project": {other, id, 404}, "no image": {member, "no-uuid", 404},
		"no data": {member, bare, 404}, "not hashed yet": {member, old, 404}, "no bytes": {member, empty, 200}, "a role that may not": {reader, id, 403},
	} {
		if r := n.get(c.token, "/glimpse/v1/images/"+c.id+"/manifest"); r.code != c.want {
			t.Errorf("%s: %d %s", name, r.code, r.body)
		}
	}
	if r := n.get(member, "/glimpse/v1/images/"+old+"/manifest"); !bytes.Contains(r.body, []byte("not been hashed")) {
		t.Errorf("not hashed yet: %s", r.body)
	}
	if r := n.do(admin, "POST", "/v2/images/"+id+"/actions/deactivate", ""); r.code != 204 {
		t.Fatal(r.code)
	}
	if r := n.get(member, path); r.code != 403 {
		t.Errorf("deactivated: %d %s", r.code, r.body)
	}
}

// A long manifest is read by segments.
func TestAManifestOfSeveralSegments(t *testing.T) {
	n := newNode(t, nil)
	size := int64(chunk.SegmentChunks+3) * small.Chunk
	id := n.active(member, "", make([]byte, size))
	r := n.get(member, "/glimpse/v1/images/"+id+"/manifest")
	if r.code != 200 || len(r.body) != 24+(chunk.SegmentChunks+3)*32+4 || !chunk.IsZero(r.body[24:len(r.body)-4]) {
		t.Fatalf("%d, %d bytes", r.code, len(r.body))
	}
}
