package api

import (
	"fmt"

	"github.com/millrace/millrace/ledger"
)

// maxName bounds a name in a body, so that what is too long is refused as a name.
const maxName = 128

// name is what an account is called in lightning addresses, in answers.
type name struct {
	Account string   `json:"account"`
	Name    string   `json:"name,omitempty"`
	Address string   `json:"address,omitempty"`
	LNURL   string   `json:"lnurl,omitempty"`
	URI     string   `json:"uri,omitempty"`
	Former  []string `json:"former,omitempty"`
}

func (c *call) answerName(no ledger.AccountNo) *problem {
	w := c.server.cfg.Wallets
	a := name{Account: no.String()}
	var err error
	if a.Name, err = w.Names.Name(no); err != nil {
		return c.walletProblem(err)
	}
	if a.Former, err = w.Names.Former(no); err != nil {
		return c.walletProblem(err)
	}
	if a.Name != "" {
		if a.Address, err = w.Desk.Address(no); err != nil {
			return c.walletProblem(err)
		}
		a.LNURL, a.URI = w.Desk.LNURL(a.Name), w.Desk.URI(a.Name)
	}
	return c.answerJSON(200, a)
}

func (c *call) getName() *problem {
	h, p := c.accountHistory()
	if p != nil {
		return p
	}
	return c.answerName(h.account)
}

// claimName gives an account a name. The name that it has is only given up when the request says so: what is sent to that one is
// refused from then on.
func (c *call) claimName() *problem {
	h, p := c.accountHistory()
	if p != nil {
		return p
	}
	if p := c.whole(); p != nil {
		return p
	}
	o := c.body(false)
	wanted, replace := string(o.text("name", maxName, true)), o.flag("replace")
	if p := o.end(); p != nil {
		return p
	}
	names := c.server.cfg.Wallets.Names
	has, err := names.Name(h.account)
	if err != nil {
		return c.walletProblem(err)
	}
	if has != "" && has != wanted && !replace {
		return &problem{status: 409, code: "name_in_use", detail: fmt.Sprintf("the account is called %s already: with replace, it gives that name up", has)}
	}
	if err := names.Claim(h.account, wanted); err != nil {
		return c.walletProblem(err)
	}
	return c.answerName(h.account)
}

func (c *call) releaseName() *problem {
	h, p := c.accountHistory()
	if p != nil {
		return p
	}
	if p := c.whole(); p != nil {
		return p
	}
	if err := c.server.cfg.Wallets.Names.GiveUp(h.account); err != nil {
		return c.walletProblem(err)
	}
	return c.answerName(h.account)
}
