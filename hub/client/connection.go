package client

import (
	"context"
	"net/url"
	"strings"

	"github.com/millrace/millrace/ledger"
)

// NewConnection is what a connection is made of.
type NewConnection struct {
	Name          string      `json:"name,omitempty"`
	Methods       []string    `json:"methods,omitempty"` // of NIP-47; empty: all that there are
	Notifications bool        `json:"notifications,omitempty"`
	BudgetMsat    ledger.Msat `json:"budget_msat,omitempty"`  // in a period, fees included; zero: all that the account has
	Renewal       string      `json:"renewal,omitempty"`      // daily, weekly, monthly, yearly or never; empty: never
	ExpiresInS    int64       `json:"expires_in_s,omitempty"` // zero: it does not
}

// Connection is what an application may do with an account by Nostr Wallet Connect (NIP-47). Times are in milliseconds since 1970.
type Connection struct {
	Connection    string      `json:"connection"`
	Account       string      `json:"account"`
	Name          string      `json:"name,omitempty"` // as its owner calls the application
	Methods       []string    `json:"methods"`        // beside get_info and get_budget
	Notifications bool        `json:"notifications"`
	BudgetMsat    ledger.Msat `json:"budget_msat,omitempty"` // zero: all that the account has
	Renewal       string      `json:"renewal"`
	SpentMsat     ledger.Msat `json:"spent_msat"`    // in the present period, fees included
	ReservedMsat  ledger.Msat `json:"reserved_msat"` // what payments under way may cost at most
	Made          int64       `json:"made"`
	Expires       int64       `json:"expires,omitempty"` // zero: it does not
	URI           string      `json:"uri,omitempty"`     // nostr+walletconnect://, when it is new: what the application is given
}

// Connections lists the connections of an account, the oldest first.
func (c *Client) Connections(ctx context.Context, no ledger.AccountNo) ([]Connection, error) {
	type list struct {
		Connections []Connection `json:"connections"`
	}
	a, err := ask(ctx, c, call{method: "GET", path: account(no) + "/connections"}, func(list) checks { return nil })
	return a.Connections, err
}

// Connect makes a connection. It is not idempotent: after ErrUnreachable there may be one whose URI nobody knows; it is in the list, and can
// be ended.
func (c *Client) Connect(ctx context.Context, no ledger.AccountNo, n NewConnection) (Connection, error) {
	return ask(ctx, c, call{method: "POST", path: account(no) + "/connections", body: n, once: true}, func(a Connection) checks {
		return checks{
			"account": a.Account == no.String(), "name": a.Name == n.Name, "budget_msat": a.BudgetMsat == n.BudgetMsat,
			"methods": len(n.Methods) == 0 || len(a.Methods) == len(n.Methods), "expires": (a.Expires == 0) == (n.ExpiresInS == 0),
			"uri": strings.HasPrefix(a.URI, "nostr+walletconnect://"),
		}
	})
}

// Disconnect ends a connection.
func (c *Client) Disconnect(ctx context.Context, no ledger.AccountNo, connection string) error {
	type ended struct {
		Connection string `json:"connection"`
	}
	path := account(no) + "/connections/" + url.PathEscape(connection)
	_, err := ask(ctx, c, call{method: "DELETE", path: path}, func(a ended) checks { return checks{"connection": a.Connection == connection} })
	return err
}
