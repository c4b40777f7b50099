package testenv

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// namespace is a network of its own. It ends with its last process, socket and
// file.
type namespace struct{ ns *os.File }

// newNamespace makes one whose loopback is up.
func newNamespace() (*namespace, error) {
	n := &namespace{}
	err := apart(func() error { return unix.Unshare(unix.CLONE_NEWNET) }, func() (err error) {
		if n.ns, err = os.Open("/proc/thread-self/ns/net"); err != nil {
			return err
		}
		return raise("lo", netip.Addr{}, 0)
	})
	return n, err
}

// do runs fn in the namespace: the sockets that it opens and the processes that it
// starts are of it for good. fn must not start goroutines that do so.
func (n *namespace) do(fn func() error) error {
	return apart(func() error { return unix.Setns(int(n.ns.Fd()), unix.CLONE_NEWNET) }, fn)
}

// apart runs fn on a thread that enter has moved to another namespace, and moves
// the thread back.
func apart(enter, fn func() error) error {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer home.Close()
	err = enter()
	if err == nil {
		err = fn()
	}
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		return errors.Join(err, back) // the thread stays locked, and ends with its goroutine
	}
	runtime.UnlockOSThread()
	return err
}

// openTUN makes an interface whose packets come out of the file, and go in.
func openTUN(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/net/tun: %w", err)
	}
	r, err := unix.NewIfreq(name)
	if err == nil {
		r.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, r)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("an interface %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// raise takes an interface up, with an address in a /24 where it has one.
func raise(name string, addr netip.Addr, mtu uint32) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	set := func(what uint, fill func(r *unix.Ifreq) error) {
		r, e := unix.NewIfreq(name)
		if e == nil {
			e = fill(r)
		}
		if e == nil {
			e = unix.IoctlIfreq(s, what, r)
		}
		if e != nil {
			err = errors.Join(err, fmt.Errorf("interface %s: %w", name, e))
		}
	}
	if addr.IsValid() {
		set(unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(addr.AsSlice()) })
		set(unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr([]byte{255, 255, 255, 0}) })
		set(unix.SIOCSIFMTU, func(r *unix.Ifreq) error { r.SetUint32(mtu); return nil })
	}
	set(unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil })
	return err
}

// carried is what an interface of the namespace has received and sent, bytes, as
// the kernel counts them.
func (n *namespace) carried(name string) (in, out int64, err error) {
	err = n.do(func() error {
		b, err := os.ReadFile("/proc/thread-self/net/dev")
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(b)) {
			dev, counts, _ := strings.Cut(line, ":")
			f := strings.Fields(counts)
			if strings.TrimSpace(dev) != name || len(f) < 9 {
				continue
			}
			var e1, e2 error
			in, e1 = strconv.ParseInt(f[0], 10, 64)
			out, e2 = strconv.ParseInt(f[8], 10, 64)
			return errors.Join(e1, e2)
		}
		return fmt.Errorf("no interface %s", name)
	})
	return in, out, err
}
