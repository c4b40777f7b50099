package member

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"glimpse/cluster/ring"
)

// MaxMeta bounds what a node tells of itself, bytes: it goes out with every
// change, beside others in one packet.
const MaxMeta = 128

// metaVersion is what this version writes. A later one adds fields at the end,
// and gives the earlier ones no other meaning:
//
//	version 1 byte, id 16, epoch 4, weight 8,
//	bits 1: state (0 and 1), role (2), edge (3),
//	peer address, api address, zone, name
//
// A string is a length and its bytes. An address is a kind and a port of 2 bytes,
// with the host between: none for portOnly, whose host is the gossip address.
const metaVersion = 1

// Kinds of addresses.
const (
	noAddress = 0
	portOnly  = 1
	ipv4      = 4
	ipv6      = 6
	hostName  = 7
)

const (
	stateBits = 0b0011
	roleBit   = 0b0100
	edgeBit   = 0b1000
)

var errMeta = errors.New("not the description of a node")

// encodeMeta writes n. A name that finds no room is shortened.
func encodeMeta(n ring.Node) ([]byte, error) {
	id, err := uuid.Parse(n.ID)
	if err != nil || id.String() != n.ID {
		return nil, fmt.Errorf("node id %q is no UUID", n.ID)
	}
	b := append(make([]byte, 0, MaxMeta), metaVersion)
	b = append(b, id[:]...)
	b = binary.BigEndian.AppendUint32(b, n.Epoch)
	b = binary.BigEndian.AppendUint64(b, uint64(n.Weight))
	bits := byte(n.State) & stateBits
	if n.Role == ring.Client {
		bits |= roleBit
	}
	if n.Edge {
		bits |= edgeBit
	}
	b = append(b, bits)
	for _, a := range []string{n.Peer, n.API} {
		if b, err = appendAddress(b, a); err != nil {
			return nil, err
		}
	}
	if len(b)+1+len(n.Zone)+1 > MaxMeta {
		return nil, fmt.Errorf("zone %q and the addresses %s and %s are together %d bytes too long", n.Zone, n.Peer, n.API, len(b)+2+len(n.Zone)-MaxMeta)
	}
	b = appendString(b, n.Zone)
	name := n.Name[:min(len(n.Name), MaxMeta-len(b)-1)]
	for len(name) < len(n.Name) && name != "" && !utf8.ValidString(name) {
		name = name[:len(name)-1]
	}
	return appendString(b, name), nil
}

func appendString(b []byte, s string) []byte { return append(append(b, byte(len(s))), s...) }

func appendAddress(b []byte, address string) ([]byte, error) {
	if address == "" {
		return append(b, noAddress), nil
	}
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("address %q is not host:port", address)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("address %q has no port number", address)
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "":
		b = append(b, portOnly)
	case err == nil && ip.Unmap().Is4():
		b = append(append(b, ipv4), ip.Unmap().AsSlice()...)
	case err == nil && ip.Zone() == "":
		b = append(append(b, ipv6), ip.AsSlice()...)
	case len(host) > MaxMeta:
		return nil, fmt.Errorf("the host name in %q is too long", address)
	default:
		b = appendString(append(b, hostName), host)
	}
	return binary.BigEndian.AppendUint16(b, uint16(port)), nil
}

// decodeMeta reads what a node at a gossip address tells of itself. Of a later
// version it reads what this one knows; a state or role of which it does not
// know makes a node that owns nothing.
func decodeMeta(b []byte, gossip netip.Addr) (ring.Node, error) {
	r := reader{rest: b}
	version := r.byte()
	var id uuid.UUID
	copy(id[:], r.bytes(16))
	n := ring.Node{ID: id.String()}
	n.Epoch = uint32(r.number(4))
	n.Weight = int64(r.number(8))
	bits := r.byte()
	n.State, n.Edge = ring.State(bits&stateBits), bits&edgeBit != 0
	if bits&roleBit != 0 {
		n.Role = ring.Client
	}
	n.Peer = r.address(gossip)
	n.API = r.address(gossip)
	n.Zone = r.string()
	n.Name = r.string()
	known := n.State <= ring.Draining && bits&^(stateBits|roleBit|edgeBit) == 0 && len(r.rest) == 0
	switch {
	case r.bad || version == 0 || len(b) > MaxMeta || id == uuid.Nil || n.Peer == "" || !plain(n.Zone) || !plain(n.Name):
		return ring.Node{}, errMeta
	case version == metaVersion && !known:
		return ring.Node{}, errMeta
	case n.State > ring.Draining:
		n.State = ring.Draining
	}
	return n, nil
}

// plain says whether s may be shown: logs and terminals come to see it.
func plain(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f }) < 0
}

// reader takes fields off the front; what is not there is zero, and bad.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) bytes(n int) []byte {
	if r.bad || len(r.rest) < n {
		r.bad = true
		return make([]byte, n)
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) byte() byte     { return r.bytes(1)[0] }
func (r *reader) string() string { return string(r.bytes(int(r.byte()))) }

func (r *reader) number(n int) (v uint64) {
	for _, b := range r.bytes(n) {
		v = v<<8 | uint64(b)
	}
	return v
}

func (r *reader) address(gossip netip.Addr) string {
	var host string
	switch r.byte() {
	case noAddress:
		return ""
	case portOnly:
		host = gossip.String()
	case ipv4:
		host = netip.AddrFrom4([4]byte(r.bytes(4))).String()
	case ipv6:
		host = netip.AddrFrom16([16]byte(r.bytes(16))).String()
	case hostName:
		if host = r.string(); host == "" || !plain(host) {
			r.bad = true
		}
	default:
		r.bad = true
	}
	return net.JoinHostPort(host, strconv.Itoa(int(r.number(2))))
}
