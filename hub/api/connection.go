package api

import (
	"time"

	"github.com/millrace/millrace/hub/nwc"
	"github.com/millrace/millrace/ledger"
)

const (
	maxConnectionLife = 5 * 365 * 24 * time.Hour
	maxConnectionName = 100 // bytes
	maxMethodName     = 32  // bytes, so that what is too long is refused as a method
)

// connection is what an application may do with an account by Nostr Wallet Connect, in answers. Spent and Reserved are of the present period.
type connection struct {
	Connection string      `json:"connection"`
	Account    string      `json:"account"`
	Name       string      `json:"name,omitempty"`
	Methods    []string    `json:"methods"`
	Notify     bool        `json:"notifications"`
	Budget     ledger.Msat `json:"budget_msat,omitempty"`
	Renewal    string      `json:"renewal"`
	Spent      ledger.Msat `json:"spent_msat"`
	Reserved   ledger.Msat `json:"reserved_msat"`
	Made       int64       `json:"made"`
	Expires    int64       `json:"expires,omitempty"`
	URI        string      `json:"uri,omitempty"` // when it is new
}

func newConnection(n *nwc.Connection, uri string) connection {
	return connection{
		n.ID, n.Account.String(), n.Name, n.Methods, n.Notify, n.Budget, string(n.Period), n.Spent, n.Reserved, n.Made, n.Expires, uri,
	}
}

// connect makes a connection. It outlives the token, and its URI is enough to spend its budget: so it takes a token that nobody has narrowed.
func (c *call) connect() *problem {
	h, p := c.accountHistory()
	if p != nil {
		return p
	}
	if p := c.unnarrowed(); p != nil {
		return p
	}
	o := c.body(true)
	wanted := nwc.Wanted{
		Name:    string(o.text("name", maxConnectionName, false)),
		Methods: o.methods(),
		Notify:  o.flag("notifications"),
		Budget:  ledger.Msat(o.whole("budget_msat", 1, uint64(ledger.MaxMsat), false)),
		Period:  nwc.Period(o.text("renewal", maxMethodName, false)),
		Life:    time.Duration(o.whole("expires_in_s", 1, uint64(maxConnectionLife/time.Second), false)) * time.Second,
	}
	if p := o.end(); p != nil {
		return p
	}
	made, uri, err := c.server.cfg.Wallets.Connections.Connect(h.account, wanted)
	if err != nil {
		return c.walletProblem(err)
	}
	return c.answerJSON(201, newConnection(&made, uri))
}

// methods are the names in an array, nil where there is none. Which there are, the service knows.
func (o *object) methods() (all []string) {
	v := o.take("methods")
	if v == nil {
		return nil
	}
	most := len(nwc.Methods())
	names, err := v.Array()
	if err != nil || len(names) == 0 || len(names) > most {
		o.fail("methods must be an array of 1 to %d names", most)
		return nil
	}
	for _, n := range names {
		name, err := n.StringBytes()
		if err != nil || len(name) == 0 || len(name) > maxMethodName {
			o.fail("methods must be an array of names")
			return nil
		}
		all = append(all, string(name))
	}
	return all
}

func (c *call) listConnections() *problem {
	h, p := c.accountHistory()
	if p != nil {
		return p
	}
	found := c.server.cfg.Wallets.Connections.Connections(h.account)
	all := []connection{}
	for i := range found {
		all = append(all, newConnection(&found[i], ""))
	}
	return c.answerJSON(200, map[string][]connection{"connections": all})
}

// disconnect ends a connection. The operator may, too. Payments that it has asked for go on.
func (c *call) disconnect() *problem {
	h, p := c.accountHistory()
	if p != nil {
		return p
	}
	if p := c.whole(); p != nil {
		return p
	}
	if err := c.server.cfg.Wallets.Connections.Disconnect(h.account, string(c.second)); err != nil {
		return c.walletProblem(err)
	}
	return c.answerJSON(200, map[string]string{"connection": string(c.second)})
}
