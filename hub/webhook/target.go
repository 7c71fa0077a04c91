package webhook

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/millrace/millrace/channels/outbound"
)

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
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !development && !outbound.Public(ip) {
		return fmt.Errorf("%w: %w", ErrURL, outbound.ErrTarget)
	}
	return nil
}

const printable = "!#$%&'()*+,-./0123456789:;=?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]_abcdefghijklmnopqrstuvwxyz~"
