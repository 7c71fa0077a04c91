package lnurl

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// ErrTarget is what text ends with that is neither a lightning address nor an LNURL to pay to.
var ErrTarget = errors.New("not a lightning address or LNURL")

const (
	maxURL  = 2048 // bytes
	maxText = 4096 // bytes of what Parse reads: an LNURL, or a URL that one is in

	addressPath = "/.well-known/lnurlp/"
)

// Target is where a payment is to go, before anybody was asked.
type Target struct {
	URL     string // what is called
	Address string // the lightning address, if it was one: name@host
	Name    string // of an account of our own, as Names has it: nothing is to be called
	Tag     string // of our own account's address name+tag@host
}

// Parser reads what users paste or scan.
type Parser struct {
	Hosts       []string // our own, as lightning addresses have them: in lower case, with a port if there is one
	Development bool     // plain HTTP is allowed, and what an address without a scheme is called by
}

// Parse reads a lightning address (LUD-16), an LNURL in bech32 (LUD-01), one with lnurlp:// (LUD-17), each also behind lightning:, and
// a URL that has an LNURL in its parameter lightning (LUD-01).
func (p Parser) Parse(text string) (Target, error) {
	text = strings.TrimSpace(text)
	if len(text) > maxText {
		return Target{}, fmt.Errorf("%w: longer than %d bytes", ErrTarget, maxText)
	}
	if rest, ok := cutScheme(text, "lightning"); ok {
		text = rest
	}
	if name, host, ok := strings.Cut(strings.ToLower(text), "@"); ok && !strings.ContainsAny(text, "/?") {
		return p.address(name, host)
	}
	if rest, ok := cutScheme(text, "lnurlp"); ok {
		return p.url(p.scheme() + "://" + rest)
	}
	if rest, ok := cutScheme(text, "https"); ok {
		u, err := url.Parse("https://" + rest)
		if err != nil || u.Query().Get("lightning") == "" {
			return Target{}, fmt.Errorf("%w: a URL without one", ErrTarget)
		}
		text = u.Query().Get("lightning")
	}
	decoded, err := Decode(text)
	if err != nil {
		return Target{}, fmt.Errorf("%w: %w", ErrTarget, err)
	}
	return p.url(decoded)
}

// cutScheme takes scheme: or scheme:// off, in any case.
func cutScheme(text, scheme string) (rest string, ok bool) {
	if len(text) <= len(scheme) || !strings.EqualFold(text[:len(scheme)], scheme) || text[len(scheme)] != ':' {
		return "", false
	}
	return strings.TrimPrefix(text[len(scheme)+1:], "//"), true
}

// scheme is what an address without one is called by. In development nobody has certificates.
func (p Parser) scheme() string {
	if p.Development {
		return "http"
	}
	return "https"
}

func (p Parser) address(name, host string) (Target, error) {
	if name == "" || len(name) > 128 || strings.Trim(name, nameCharacters+"+") != "" {
		return Target{}, fmt.Errorf("%w: before the @ want at most 128 of a-z 0-9 - _ . +", ErrTarget)
	}
	if strings.Trim(host, hostCharacters) != "" {
		return Target{}, fmt.Errorf("%w: behind the @ want the name of a host", ErrTarget)
	}
	t, err := p.url(p.scheme() + "://" + host + addressPath + name)
	t.Address = name + "@" + host
	return t, err
}

// url checks a URL, and recognises our own.
func (p Parser) url(text string) (Target, error) {
	u, err := p.check(text)
	if err != nil {
		return Target{}, fmt.Errorf("%w: %w", ErrTarget, err)
	}
	if tag := u.Query().Get("tag"); tag != "" && tag != tagPay {
		return Target{}, fmt.Errorf("%w: it is for something else: %.32q", ErrTarget, tag)
	}
	t := Target{URL: u.String()}
	if slices.Contains(p.Hosts, u.Host) {
		name, ok := strings.CutPrefix(u.Path, addressPath)
		if !ok || strings.Contains(name, "/") {
			return Target{}, fmt.Errorf("%w: it is this hub's own, and nothing to pay to", ErrTarget)
		}
		t.Name, t.Tag, _ = strings.Cut(name, "+")
	}
	return t, nil
}

// check says what is wrong with a URL that a stranger named. What its host resolves to is checked when it is dialled, each time.
func (p Parser) check(text string) (*url.URL, error) {
	if len(text) > maxURL {
		return nil, fmt.Errorf("a URL of more than %d bytes", maxURL)
	}
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" || u.User != nil || strings.Trim(u.Hostname(), hostCharacters) != "" || u.Hostname() == "" {
		return nil, errors.New("not a URL that can be called")
	}
	u.Host = strings.ToLower(u.Host)
	if u.Scheme == "https" {
		u.Host = strings.TrimSuffix(u.Host, ":443") // one spelling of one host: it may be ours
	}
	switch {
	case u.Scheme != "https" && (u.Scheme != "http" || !p.Development):
		return nil, errors.New("not https://")
	case strings.HasSuffix(u.Hostname(), "."):
		return nil, errors.New("a host's name that ends in a dot")
	case strings.HasSuffix(u.Hostname(), ".onion"):
		return nil, errors.New("onion services cannot be reached from here")
	}
	u.Fragment = ""
	return u, nil
}

const hostCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:"
