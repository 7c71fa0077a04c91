package client

import (
	"context"
	"net/url"
	"strings"

	"github.com/millrace/millrace/ledger"
)

// Name is what an account is called in its lightning address. Without a name all but Account and Former is empty.
type Name struct {
	Account string   `json:"account"`
	Name    string   `json:"name,omitempty"`
	Address string   `json:"address,omitempty"` // name@host
	LNURL   string   `json:"lnurl,omitempty"`
	URI     string   `json:"uri,omitempty"`    // lnurlp://
	Former  []string `json:"former,omitempty"` // names that it gave up, the newest first: it alone can claim them again
}

// NewLink is what a link is made of.
type NewLink struct {
	AmountMsat ledger.Msat `json:"amount_msat"`            // the most that can be withdrawn
	LeastMsat  ledger.Msat `json:"least_msat,omitempty"`   // zero: all of it
	Memo       string      `json:"memo,omitempty"`         // what the wallet shows
	ExpiresInS int64       `json:"expires_in_s,omitempty"` // zero: seven days
}

// Link is an LNURL that money can be withdrawn by, once, by whoever has it. Times are in milliseconds since 1970.
type Link struct {
	Link       string      `json:"link"`
	Account    string      `json:"account"`
	Status     string      `json:"status"` // open, taken, paid or expired
	AmountMsat ledger.Msat `json:"amount_msat"`
	LeastMsat  ledger.Msat `json:"least_msat"`
	Memo       string      `json:"memo,omitempty"`
	Made       int64       `json:"made"`
	Expires    int64       `json:"expires"`
	LNURL      string      `json:"lnurl,omitempty"` // empty: it is not open, or the token may not pay as much
	URI        string      `json:"uri,omitempty"`   // lnurlw://
}

// Login is what a wallet logs in with by LndHub.
type Login struct {
	Login   string `json:"login"`
	Account string `json:"account"`
	Name    string `json:"name,omitempty"` // as its owner calls the wallet
	Made    int64  `json:"made"`           // milliseconds since 1970
	URI     string `json:"uri,omitempty"`  // what the wallet scans, with the password, when it is new
}

func (n Name) checks(no ledger.AccountNo) checks {
	return checks{"account": n.Account == no.String(), "address": (n.Name == "") == (n.Address == "")}
}

// Name is what an account is called.
func (c *Client) Name(ctx context.Context, no ledger.AccountNo) (Name, error) {
	return ask(ctx, c, call{method: "GET", path: account(no) + "/name"}, func(a Name) checks { return a.checks(no) })
}

// ClaimName gives an account a name, in place of the one that it has only with replace.
func (c *Client) ClaimName(ctx context.Context, no ledger.AccountNo, name string, replace bool) (Name, error) {
	body := struct {
		Name    string `json:"name"`
		Replace bool   `json:"replace,omitempty"`
	}{name, replace}
	return ask(ctx, c, call{method: "POST", path: account(no) + "/name", body: body}, func(a Name) checks {
		all := a.checks(no)
		all["name"] = a.Name == name
		return all
	})
}

// ReleaseName leaves an account without a name.
func (c *Client) ReleaseName(ctx context.Context, no ledger.AccountNo) (Name, error) {
	return ask(ctx, c, call{method: "DELETE", path: account(no) + "/name"}, func(a Name) checks {
		all := a.checks(no)
		all["name"] = a.Name == ""
		return all
	})
}

// Links lists the links of an account, the newest first.
func (c *Client) Links(ctx context.Context, no ledger.AccountNo) ([]Link, error) {
	type list struct {
		Links []Link `json:"links"`
	}
	a, err := ask(ctx, c, call{method: "GET", path: account(no) + "/links"}, func(list) checks { return nil })
	return a.Links, err
}

// CreateLink makes a link. It is not idempotent: after ErrUnreachable there may be one more, which is in the list, and can be cancelled.
func (c *Client) CreateLink(ctx context.Context, no ledger.AccountNo, n NewLink) (Link, error) {
	return ask(ctx, c, call{method: "POST", path: account(no) + "/links", body: n, once: true}, func(a Link) checks {
		return checks{"account": a.Account == no.String(), "amount_msat": a.AmountMsat == n.AmountMsat, "lnurl": a.LNURL != ""}
	})
}

// CancelLink ends a link that nobody has used.
func (c *Client) CancelLink(ctx context.Context, no ledger.AccountNo, name string) error {
	type cancelled struct {
		Link string `json:"link"`
	}
	path := account(no) + "/links/" + url.PathEscape(name)
	_, err := ask(ctx, c, call{method: "DELETE", path: path}, func(a cancelled) checks { return checks{"link": a.Link == name} })
	return err
}

// Logins lists the logins of an account, the oldest first.
func (c *Client) Logins(ctx context.Context, no ledger.AccountNo) ([]Login, error) {
	type list struct {
		Logins []Login `json:"logins"`
	}
	a, err := ask(ctx, c, call{method: "GET", path: account(no) + "/logins"}, func(list) checks { return nil })
	return a.Logins, err
}

// CreateLogin makes a login for a wallet that its owner calls by a name, which may be empty. It is not idempotent: after ErrUnreachable
// there may be a login whose password nobody knows; it is in the list, and can be revoked.
func (c *Client) CreateLogin(ctx context.Context, no ledger.AccountNo, name string) (Login, error) {
	body := struct {
		Name string `json:"name,omitempty"`
	}{name}
	return ask(ctx, c, call{method: "POST", path: account(no) + "/logins", body: body, once: true}, func(a Login) checks {
		return checks{"account": a.Account == no.String(), "name": a.Name == name, "uri": strings.HasPrefix(a.URI, "lndhub://"+a.Login+":")}
	})
}

// RevokeLogin ends a login.
func (c *Client) RevokeLogin(ctx context.Context, no ledger.AccountNo, login string) error {
	type revoked struct {
		Login string `json:"login"`
	}
	path := account(no) + "/logins/" + url.PathEscape(login)
	_, err := ask(ctx, c, call{method: "DELETE", path: path}, func(a revoked) checks { return checks{"login": a.Login == login} })
	return err
}
