package webhook

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
)

// errTarget is what dialling an address ends with that is not the public internet's.
var errTarget = errors.New("the address is not one of the public internet")

// checkURL says what is wrong with a URL that is to be called. What its name resolves to is checked when it is dialled, each time.
func checkURL(text string, development bool) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || len(text) > MaxURL || strings.Trim(text, printable) != "":
		return fmt.Errorf("%w: want at most %d printable ASCII characters", ErrURL, MaxURL)
	case u.Scheme != "https" && (u.Scheme != "http" || !development):
		return fmt.Errorf("%w: want https://", ErrURL)
	case u.Hostname() == "" || u.Opaque != "":
		return fmt.Errorf("%w: it has no host", ErrURL)
	case u.User != nil:
		return fmt.Errorf("%w: no user or password can stand in it", ErrURL)
	case u.Fragment != "":
		return fmt.Errorf("%w: it has a fragment", ErrURL)
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !development && !public(ip) {
		return fmt.Errorf("%w: %w", ErrURL, errTarget)
	}
	return nil
}

const printable = "!#$%&'()*+,-./0123456789:;=?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]_abcdefghijklmnopqrstuvwxyz~"

// guard is a net.Dialer's Control: it sees each address after the name was resolved, right before the connection is made, so that no
// name can mean one thing when it is checked and another when it is called.
func guard(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !public(to.Addr()) {
		return errTarget
	}
	return nil
}

// public says whether an address is reached over the public internet by its own routing, and is nobody's within a network. Of
// IPv6 that is what has been given out, 2000::/3, without what carries an IPv4 address inside; loopback, link-local, unique local,
// IPv4-mapped and NAT64 addresses lie outside of it.
func public(ip netip.Addr) bool {
	ip = ip.Unmap()
	if ip.Is6() && (ip.Zone() != "" || !unicast6.Contains(ip)) {
		return false
	}
	for _, p := range special {
		if p.Contains(ip) {
			return false
		}
	}
	return ip.IsValid()
}

var unicast6 = netip.MustParsePrefix("2000::/3")

// special are the registries of special-purpose addresses (RFC 6890 and its successors), without what lies outside 2000::/3,
// and what clouds keep for themselves among public addresses.
var special = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // carriers' own, and some clouds' metadata
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("169.254.0.0/16"), // link-local, and most clouds' metadata
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.31.196.0/24"),
	netip.MustParsePrefix("192.52.193.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"), // relays to 6to4
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("192.175.48.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("224.0.0.0/3"),      // multicast, reserved, broadcast
	netip.MustParsePrefix("168.63.129.16/32"), // Azure's agent
	netip.MustParsePrefix("2001::/23"),        // Teredo, ORCHID and others
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), // 6to4: an IPv4 address inside
	netip.MustParsePrefix("2620:4f:8000::/48"),
	netip.MustParsePrefix("3fff::/20"),
}
