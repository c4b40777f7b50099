package member

import (
	"fmt"
	"net"
	"net/netip"
)

// Check refuses gossip beyond loopback without keys: whoever reaches the port
// could then take part.
func Check(bind string, keyed bool) error {
	host, _, err := net.SplitHostPort(bind)
	if err != nil {
		return fmt.Errorf("listen.gossip: %q is not host:port", bind)
	}
	ip, err := netip.ParseAddr(host)
	if keyed || host == "localhost" || err == nil && ip.Unmap().IsLoopback() {
		return nil
	}
	return fmt.Errorf("listen.gossip: %s is not loopback, and gossip has no key: set cluster.keyring_file", bind)
}
