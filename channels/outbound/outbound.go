// Package outbound calls addresses that somebody else named: webhooks, LNURLs. Such a call must not reach into the hub's own machine or
// network, whatever the name resolves to (server-side request forgery).
package outbound

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// ErrTarget is what dialling an address ends with that is not the public internet's.
var ErrTarget = errors.New("the address is not one of the public internet")

// Limits bound a client's calls.
type Limits struct {
	Dial      time.Duration // for a connection, and again for TLS
	Whole     time.Duration // from dialling to the end of the answer
	MaxHeader int64         // bytes of an answer's header
	MaxIdle   int           // connections kept for a next call, one each host
	Idle      time.Duration // how long they are kept
}

// NewClient goes straight to the address that was checked: no proxy, no redirect, no cookies. A client for development calls any
// address.
func NewClient(l Limits, development bool) *http.Client {
	dialer := &net.Dialer{Timeout: l.Dial, KeepAlive: -1}
	if !development {
		dialer.Control = Guard
	}
	return &http.Client{
		Timeout:       l.Whole,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  nil,
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    l.Dial,
			MaxIdleConns:           l.MaxIdle,
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        l.Idle,
			MaxResponseHeaderBytes: l.MaxHeader,
			DisableCompression:     true,
			ForceAttemptHTTP2:      true,
		},
	}
}

// Guard is a net.Dialer's Control: it sees each address after the name was resolved, right before the connection is made, so that no
// name can mean one thing when it is checked and another when it is called.
func Guard(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !Public(to.Addr()) {
		return ErrTarget
	}
	return nil
}

// Public says whether an address is reached over the public internet by its own routing, and is nobody's within a network. Of
// IPv6 that is what has been given out, 2000::/3, without what carries an IPv4 address inside; loopback, link-local, unique local,
// IPv4-mapped and NAT64 addresses lie outside of it.
func Public(ip netip.Addr) bool {
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
