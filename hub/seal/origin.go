package seal

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// MaxOrigin bounds an origin in bytes: "https://" (8), a DNS name (253) and ":65535" (6).
const MaxOrigin = 8 + 253 + 6

// ErrOrigin is what [ParseOrigin] returns, wrapped.
var ErrOrigin = errors.New("not a valid origin")

// ParseOrigin checks that s is scheme://host[:port] with scheme http or https and nothing more, and returns its one
// normal form, as browsers write it: lower case, without the scheme's default port. Stanzas are bound to this form, so
// that two spellings of one hub open each other's works.
func ParseOrigin(s string) (string, error) {
	bad := func(what string) (string, error) { return "", fmt.Errorf("%w: %s", ErrOrigin, what) }
	if len(s) > MaxOrigin {
		return bad(fmt.Sprintf("longer than %d bytes", MaxOrigin))
	}
	if strings.ContainsAny(s, "?#@\\%") { // url.Parse forgets an empty query or fragment
		return bad("want scheme://host[:port] and nothing more")
	}
	u, err := url.Parse(s)
	if err != nil {
		return bad("not a URL")
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		return bad("want http:// or https://")
	}
	if u.Path != "" || u.Opaque != "" {
		return bad("an origin has no path, not even a slash")
	}
	if strings.HasPrefix(u.Host, "[") && !strings.Contains(u.Hostname(), ":") {
		return bad("brackets are for IPv6")
	}
	host, err := normalHost(u.Hostname())
	if err != nil {
		return "", err
	}
	port, err := normalPort(u)
	if err != nil {
		return "", err
	}
	return u.Scheme + "://" + host + port, nil
}

func normalHost(h string) (string, error) {
	if strings.Contains(h, ":") {
		ip, err := netip.ParseAddr(h)
		if err != nil || ip.Zone() != "" || ip.Is4In6() { // which browsers would write differently
			return "", fmt.Errorf("%w: host is not an IPv6 address", ErrOrigin)
		}
		return "[" + ip.String() + "]", nil
	}
	h = strings.ToLower(h)
	labels := strings.Split(h, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return "", fmt.Errorf("%w: host is not a name (international ones in their xn-- form)", ErrOrigin)
		}
	}
	if last := labels[len(labels)-1]; last[0] >= '0' && last[0] <= '9' { // no top-level domain begins so
		if ip, err := netip.ParseAddr(h); err != nil || !ip.Is4() {
			return "", fmt.Errorf("%w: host is neither a name nor an IPv4 address", ErrOrigin)
		}
	}
	return h, nil
}

// normalPort returns ":port", or nothing for the scheme's own port.
func normalPort(u *url.URL) (string, error) {
	p := u.Port()
	if p == "" && !strings.HasSuffix(u.Host, ":") {
		return "", nil
	}
	n, err := strconv.ParseUint(p, 10, 16)
	if err != nil || n == 0 {
		return "", fmt.Errorf("%w: port is not a number from 1 to 65535", ErrOrigin)
	}
	if n == 443 && u.Scheme == "https" || n == 80 && u.Scheme == "http" {
		return "", nil
	}
	return ":" + strconv.FormatUint(n, 10), nil
}
