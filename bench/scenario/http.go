package scenario

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// HTTP says how to speak to a payment system of which the suite knows nothing else: the target "http". In paths, bodies, headers and Want, {id} is
// the op's id (a UUID, the same whenever it is sent again), {from} the payer, {to} the payee or seller, {channel} and {work} numbers
// from 0, {amount} what is paid, or the channel's total, in msat. Accounts, channels and works have to be there before the load.
type HTTP struct {
	URL string `toml:"url"` // scheme://host[:port], before each path
	// Account is what accounts are called, {n} being their number: first the payers, then the payees. Left out: {n}.
	Account string `toml:"account"`
	// Headers go with each request. Reports hold the scenario: a secret is written as "$NAME", and taken from the environment.
	Headers map[string]string `toml:"headers"`

	Transfer Call `toml:"transfer"`
	Advance  Call `toml:"advance"`
	Unlock   Call `toml:"unlock"`
	History  Call `toml:"history"`

	Done     []int `toml:"done"`     // statuses of what was carried out, now or before. Left out: 200, 201, 204
	Repeated []int `toml:"repeated"` // of what was carried out before, if that can be told
	Refused  []int `toml:"refused"`  // of what never will be. Left out: 400, 402, 403, 404, 409, 422
	Busy     []int `toml:"busy"`     // of what was not taken for want of room. Left out: 429, 503

	// Balance and Channel are asked before and after the load, if they are given: without them nothing is verified, and the verdict says so.
	Balance Look `toml:"balance"` // of an account, {account}
	Channel Look `toml:"channel"` // total of a channel, {channel}
	// Direct says that an advance is taken from the payer's balance, and not from what was set aside before.
	Direct bool   `toml:"direct"`
	Cut    uint64 `toml:"cut_msat"` // that the system keeps of a work's price
}

// Call is a request that is one op.
type Call struct {
	Method string `toml:"method"` // left out: POST
	Path   string `toml:"path"`
	Body   string `toml:"body"`
	Type   string `toml:"type"` // of the body. Left out: application/json
	Want   string `toml:"want"` // has to stand in the answer to what was done, or it is none. Left out: anything will do
}

// Look is a request that reads a number.
type Look struct {
	Path    string `toml:"path"`
	Pointer string `toml:"pointer"` // to a whole number of msat in the JSON that comes back (RFC 6901); empty: it is all there is
}

// setDefaults fills in what is left out.
func (h *HTTP) setDefaults() {
	for _, d := range []struct {
		to   *[]int
		want []int
	}{{&h.Done, []int{200, 201, 204}}, {&h.Refused, []int{400, 402, 403, 404, 409, 422}}, {&h.Busy, []int{429, 503}}} {
		if *d.to == nil {
			*d.to = d.want
		}
	}
	if h.Account == "" {
		h.Account = "{n}"
	}
	for _, c := range []*Call{&h.Transfer, &h.Advance, &h.Unlock, &h.History} {
		if c.Method == "" {
			c.Method = "POST"
		}
		if c.Type == "" {
			c.Type = "application/json"
		}
	}
}

// plainName is what an account's name may be, so that it is itself in a path as well as in JSON.
var plainName = regexp.MustCompile(`^[A-Za-z0-9._~-]*\{n\}[A-Za-z0-9._~-]*$`)

// methods are those that calls may have.
var methods = []string{"GET", "POST", "PUT", "PATCH"}

func (s *Scenario) validateHTTP() error {
	h := s.HTTP
	if h == nil {
		return nil
	}
	h.setDefaults()
	u, err := url.Parse(h.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil:
		return errors.New("url: want scheme://host[:port]") // and it is not quoted: it may hold a password
	case !plainName.MatchString(h.Account):
		return fmt.Errorf("account: %q; want letters, digits and . _ ~ - around one {n}", h.Account)
	case h.Cut > s.Population.Price:
		return fmt.Errorf("cut_msat: %d of a price of %d", h.Cut, s.Population.Price)
	}
	for _, c := range []struct {
		name  string
		share int
		call  Call
	}{{"transfer", s.Mix.Transfer, h.Transfer}, {"advance", s.Mix.Advance, h.Advance}, {"unlock", s.Mix.Unlock, h.Unlock}, {"history", s.Mix.History, h.History}} {
		switch {
		case c.share > 0 && c.call.Path == "":
			return fmt.Errorf("%s.path: the mix has some, and nothing says how they are asked for", c.name)
		case c.call.Path != "" && !strings.HasPrefix(c.call.Path, "/"):
			return fmt.Errorf("%s.path: %q does not begin with a slash", c.name, c.call.Path)
		case !slices.Contains(methods, c.call.Method):
			return fmt.Errorf("%s.method: %q is none of %q", c.name, c.call.Method, methods)
		}
	}
	for _, l := range []struct {
		name string
		look Look
	}{{"balance", h.Balance}, {"channel", h.Channel}} {
		if p := l.look.Path; p != "" && !strings.HasPrefix(p, "/") {
			return fmt.Errorf("%s.path: %q does not begin with a slash", l.name, p)
		}
		if p := l.look.Pointer; p != "" && !strings.HasPrefix(p, "/") {
			return fmt.Errorf("%s.pointer: %q does not begin with a slash", l.name, p)
		}
	}
	seen := make(map[int]bool)
	for _, status := range slices.Concat(h.Done, h.Repeated, h.Refused, h.Busy) {
		if status < 200 || status > 599 || seen[status] {
			return fmt.Errorf("done: status %d stands twice, or is none", status)
		}
		seen[status] = true
	}
	return nil
}
