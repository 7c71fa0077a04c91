package api

import (
	"errors"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/lnurl"
	"github.com/millrace/millrace/hub/api/lndhub"
	"github.com/millrace/millrace/hub/nwc"
)

// Wallets are what an account's holder makes for wallets of others: a name to pay to, links to withdraw by, logins, and connections of
// applications. What those wallets then call is served by Mounts, and what applications ask by relays.
type Wallets struct {
	Names  *lnurl.Names
	Desk   *lnurl.Desk
	Links  *lnurl.Links
	Logins *lndhub.Handler
	// Connections are by Nostr Wallet Connect; nil: the hub has no relays.
	Connections *nwc.Service
}

// onWallets is for routes that a hub without a Lightning node does not have.
func onWallets(handle func(*call) *problem) func(*call) *problem {
	return func(c *call) *problem {
		if c.server.cfg.Wallets == nil {
			return &problem{status: 404, code: "route_unknown", detail: "this hub has no Lightning node"}
		}
		return handle(c)
	}
}

// onConnections is for routes that a hub without relays does not have.
func onConnections(handle func(*call) *problem) func(*call) *problem {
	return onWallets(func(c *call) *problem {
		if c.server.cfg.Wallets.Connections == nil {
			return &problem{status: 404, code: "route_unknown", detail: "this hub has no relays for Nostr Wallet Connect"}
		}
		return handle(c)
	})
}

// whole says that what outlives a token takes one that nobody has narrowed, or the operator's.
func (c *call) whole() *problem {
	if c.grant.Operator {
		return nil
	}
	return c.unnarrowed()
}

// refusedByWallets are the requests about names, links, logins and connections that are refused, and what that is called. The first that fits counts.
var refusedByWallets = []struct {
	err    error
	status int
	code   string
}{
	{lnurl.ErrReserved, 422, "name_reserved"},
	{lnurl.ErrName, 422, "name_invalid"},
	{lnurl.ErrNameTaken, 409, "name_taken"},
	{lnurl.ErrNames, 409, "names_full"},
	{lnurl.ErrLink, 422, "link_invalid"},
	{lnurl.ErrLinks, 409, "links_full"},
	{lnurl.ErrUsed, 409, "link_used"},
	{lnurl.ErrNoLink, 404, "link_unknown"},
	{lndhub.ErrLogins, 409, "logins_full"},
	{lndhub.ErrLogin, 404, "login_unknown"},
	{nwc.ErrConnection, 422, "connection_invalid"},
	{nwc.ErrFull, 409, "connections_full"},
	{nwc.ErrUnknown, 404, "connection_unknown"},
	{channels.ErrStopped, 503, "stopping"},
}

func (c *call) walletProblem(err error) *problem {
	for _, r := range refusedByWallets {
		if errors.Is(err, r.err) {
			return &problem{status: r.status, code: r.code, retryable: r.status == 503, detail: err.Error()}
		}
	}
	return c.railsProblem(err)
}
