package api

import (
	"time"

	"github.com/millrace/millrace/channels/lnurl"
	"github.com/millrace/millrace/hub/token"
	"github.com/millrace/millrace/ledger"
)

const (
	maxLinkLife = 90 * 24 * time.Hour
	linkLife    = 7 * 24 * time.Hour // of a link that was asked for without
)

// link is a link that money can be withdrawn by, in answers.
type link struct {
	Link    string      `json:"link"`
	Account string      `json:"account"`
	Status  string      `json:"status"`
	Most    ledger.Msat `json:"amount_msat"`
	Least   ledger.Msat `json:"least_msat"`
	Memo    string      `json:"memo,omitempty"`
	Made    int64       `json:"made"`
	Expires int64       `json:"expires"`
	LNURL   string      `json:"lnurl,omitempty"`
	URI     string      `json:"uri,omitempty"`
}

// newLink shows a link. Whoever is told its LNURL can take the money: who may not pay is not.
func (c *call) newLink(k *lnurl.Link) link {
	links := c.server.cfg.Wallets.Links
	a := link{Link: k.Name(), Account: k.Account.String(), Status: string(k.State), Most: k.Max, Least: k.Min, Memo: k.Description, Made: k.Made, Expires: k.Expires}
	switch {
	case links.Over(k):
		a.Status = "expired"
	case k.State == lnurl.LinkOpen && !c.grant.Operator && c.within(links.Costs(k.Max)) == nil && c.grant.Scopes.Has(token.Pay):
		a.LNURL, a.URI = links.LNURL(k.ID), links.URI(k.ID)
	}
	return a
}

// createLink makes a link of the account. The token's cap is for what the link can take, and the link ends with the token.
func (c *call) createLink() *problem {
	h, p := c.accountHistory()
	if p != nil {
		return p
	}
	o := c.body(false)
	most := ledger.Msat(o.whole("amount_msat", 1000, uint64(ledger.MaxMsat/2), true))
	least := ledger.Msat(o.whole("least_msat", 1000, uint64(ledger.MaxMsat/2), false))
	memo := string(o.text("memo", 200, false))
	life := time.Duration(o.whole("expires_in_s", 1, uint64(maxLinkLife/time.Second), false)) * time.Second
	if least == 0 {
		least = most
	}
	if least > most {
		o.fail("least_msat must be at most amount_msat")
	}
	if p := o.end(); p != nil {
		return p
	}
	links := c.server.cfg.Wallets.Links
	if p := c.within(links.Costs(most)); p != nil {
		return p
	}
	if life == 0 {
		life = linkLife
	}
	if !c.grant.Expires.IsZero() {
		life = max(time.Second, min(life, c.grant.Expires.Sub(c.hub.Now())))
	}
	k, err := links.New(h.account, least, most, memo, life)
	if err != nil {
		return c.walletProblem(err)
	}
	return c.answerJSON(201, c.newLink(&k))
}

func (c *call) listLinks() *problem {
	h, p := c.accountHistory()
	if p != nil {
		return p
	}
	found, err := c.server.cfg.Wallets.Links.List(h.account)
	if err != nil {
		return c.walletProblem(err)
	}
	all := []link{}
	for i := range found {
		all = append(all, c.newLink(&found[i]))
	}
	return c.answerJSON(200, map[string][]link{"links": all})
}

// cancelLink ends a link that nobody has taken. To cancel it again changes nothing.
func (c *call) cancelLink() *problem {
	h, p := c.accountHistory()
	if p != nil {
		return p
	}
	if !c.grant.Operator && !c.grant.Scopes.Has(token.Pay) {
		return &problem{status: 403, code: "scope_missing", detail: "the token does not have the scope " + token.Pay.String()}
	}
	links := c.server.cfg.Wallets.Links
	found, err := links.List(h.account)
	if err != nil {
		return c.walletProblem(err)
	}
	for i := range found {
		if found[i].Name() != string(c.second) {
			continue
		}
		if err := links.Cancel(h.account, found[i].ID); err != nil {
			return c.walletProblem(err)
		}
		return c.answerJSON(200, map[string]string{"link": found[i].Name()})
	}
	return c.walletProblem(lnurl.ErrNoLink)
}
