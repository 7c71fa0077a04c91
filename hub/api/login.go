package api

import "github.com/millrace/millrace/hub/api/lndhub"

// login is what a wallet logs in with by LndHub, in answers.
type login struct {
	Login   string `json:"login"`
	Account string `json:"account"`
	Name    string `json:"name,omitempty"`
	Made    int64  `json:"made"`
	URI     string `json:"uri,omitempty"` // when it is new
}

func newLogin(l *lndhub.Login, uri string) login {
	return login{l.Login, l.Account.String(), l.Name, l.Made, uri}
}

// createLogin makes a login, which pays without a cap and does not expire: so it takes a token that nobody has narrowed.
func (c *call) createLogin() *problem {
	h, p := c.accountHistory()
	if p != nil {
		return p
	}
	if p := c.unnarrowed(); p != nil {
		return p
	}
	o := c.body(true)
	name := string(o.text("name", 100, false))
	if p := o.end(); p != nil {
		return p
	}
	logins := c.server.cfg.Wallets.Logins
	l, password, err := logins.Issue(h.account, name)
	if err != nil {
		return c.walletProblem(err)
	}
	return c.answerJSON(201, newLogin(&l, logins.URI(l, password, c.hub.Origin())))
}

func (c *call) listLogins() *problem {
	h, p := c.accountHistory()
	if p != nil {
		return p
	}
	found, err := c.server.cfg.Wallets.Logins.Logins(h.account)
	if err != nil {
		return c.walletProblem(err)
	}
	all := []login{}
	for i := range found {
		all = append(all, newLogin(&found[i], ""))
	}
	return c.answerJSON(200, map[string][]login{"logins": all})
}

// revokeLogin ends a login, and what was logged in by it. The operator may, too.
func (c *call) revokeLogin() *problem {
	h, p := c.accountHistory()
	if p != nil {
		return p
	}
	if p := c.whole(); p != nil {
		return p
	}
	if err := c.server.cfg.Wallets.Logins.Revoke(h.account, string(c.second)); err != nil {
		return c.walletProblem(err)
	}
	return c.answerJSON(200, map[string]string{"login": string(c.second)})
}
