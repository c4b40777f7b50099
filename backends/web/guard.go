package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
)

var errForbidden = errors.New("the address is not allowed")

// dialer connects to public and private addresses, and to the hosts it lists
// wherever they are.
type dialer []string

func (d dialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, errForbidden
	}
	nd := net.Dialer{Timeout: connectTimeout}
	if !slices.ContainsFunc(d, func(h string) bool { return strings.EqualFold(h, host) }) {
		// The address that is dialled is checked, so that no second look-up of the
		// name can give another one.
		nd.Control = func(_, addr string, _ syscall.RawConn) error { return public(addr) }
	}
	return nd.DialContext(ctx, network, addr)
}

func anywhere(ctx context.Context, network, addr string) (net.Conn, error) {
	return (&net.Dialer{Timeout: connectTimeout}).DialContext(ctx, network, addr)
}

// public refuses addresses of the machine itself, link-local ones (where clouds
// have their metadata services), and what is no single host.
func public(addr string) error {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return errForbidden
	}
	a := ap.Addr().Unmap()
	if a.Is6() && nat64.Contains(a) { // an IPv4 address in disguise
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	if a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() || awsV6 == a ||
		a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) || a.Is4() && a.As4()[0] == 0 {
		return fmt.Errorf("%w: it is of the machine itself or link-local; allowed_hosts can list its host", errForbidden)
	}
	return nil
}

var (
	nat64 = netip.MustParsePrefix("64:ff9b::/96")
	awsV6 = netip.MustParseAddr("fd00:ec2::254") // a metadata service on a private address
)
