package api

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// deposit is money on its way in, in answers.
type deposit struct {
	Deposit string      `json:"deposit"`
	Rail    string      `json:"rail"`
	Account string      `json:"account,omitempty"`
	Status  string      `json:"status"`
	Asked   ledger.Msat `json:"asked_msat,omitempty"`
	Amount  ledger.Msat `json:"amount_msat,omitempty"`
	Invoice string      `json:"invoice,omitempty"`
	Address string      `json:"address,omitempty"`
	Memo    string      `json:"memo,omitempty"`
	Proof   string      `json:"preimage,omitempty"`
	Keysend bool        `json:"keysend,omitempty"`
	Has     int64       `json:"confirmations,omitempty"`
	Needs   int64       `json:"confirmations_needed,omitempty"`
	Undone  bool        `json:"undone,omitempty"`
	Made    int64       `json:"made"`
	Expires int64       `json:"expires,omitempty"`
	Came    int64       `json:"arrived,omitempty"`
	Changed int64       `json:"changed,omitempty"`
}

func newDeposit(d *channels.Deposit) deposit {
	a := deposit{
		Deposit: depositName(d.Ref), Rail: string(d.Rail), Status: string(d.Status), Asked: d.Asked, Amount: d.Amount, Invoice: d.Invoice,
		Address: d.Address, Memo: d.Memo, Proof: hexOr(d.Proof), Keysend: d.Keysend, Has: d.Has, Needs: d.Needs, Undone: d.Undone,
		Made: since1970(d.Made), Expires: since1970(d.Expires), Came: since1970(d.Came), Changed: since1970(d.Changed),
	}
	if d.Account != 0 {
		a.Account = d.Account.String()
	}
	return a
}

// depositName is the payment hash in hex, or the transaction's id, a colon and the number of its output.
func depositName(f channels.Ref) string {
	if f.Lightning() {
		return f.Hash.String()
	}
	return f.Hash.TxID() + ":" + strconv.FormatUint(uint64(f.Output), 10)
}

func parseDeposit(name string) (channels.Ref, *problem) {
	wrong := malformed("a deposit is named by a payment hash, or by a transaction's id, a colon and an output's number")
	text, output, onChain := strings.Cut(name, ":")
	var hash channels.Hash
	if hash.UnmarshalText([]byte(text)) != nil || text != strings.ToLower(text) {
		return channels.Ref{}, wrong
	}
	if !onChain {
		return channels.LightningRef(hash), nil
	}
	n, err := strconv.ParseUint(output, 10, 31)
	if err != nil || strconv.FormatUint(n, 10) != output {
		return channels.Ref{}, wrong
	}
	for i, j := 0, len(hash)-1; i < j; i, j = i+1, j-1 {
		hash[i], hash[j] = hash[j], hash[i]
	}
	return channels.Ref{Hash: hash, Output: uint32(n)}, nil
}

// newInvoice makes an invoice that pays the account. Whoever may read the account may have money sent to it.
func (c *call) newInvoice(ctx context.Context) *problem {
	no, p := c.ownAccount()
	if p != nil {
		return p
	}
	o := c.body(true)
	n := channels.NewInvoice{
		Amount:  ledger.Msat(o.whole("amount_msat", 1, uint64(ledger.MaxMsat), false)),
		Memo:    string(o.text("memo", channels.MaxMemo, false)),
		Expiry:  time.Duration(o.whole("expires_in_s", 1, uint64(channels.MaxExpiry/time.Second), false)) * time.Second,
		Private: o.flag("private"),
	}
	if p := o.end(); p != nil {
		return p
	}
	d, err := c.server.cfg.Rails.NewInvoice(ctx, no, n)
	if err != nil {
		return c.railsProblem(err)
	}
	return c.answerJSON(201, newDeposit(&d))
}

// newAddress is the same address until something comes by it.
func (c *call) newAddress(ctx context.Context) *problem {
	no, p := c.ownAccount()
	if p != nil {
		return p
	}
	o := c.body(true)
	if p := o.end(); p != nil {
		return p
	}
	address, err := c.server.cfg.Rails.NewAddress(ctx, no)
	if err != nil {
		return c.railsProblem(err)
	}
	return c.answerJSON(200, map[string]string{"address": address, "uri": "bitcoin:" + address})
}

func (c *call) listDeposits() *problem {
	no, p := c.ownAccount()
	if p != nil {
		return p
	}
	q := c.query()
	list := "deposits of " + no.String()
	g, unpaid := q.railsPage(list), q.word("unpaid", "no", "yes") == "yes"
	if p := q.end(); p != nil {
		return p
	}
	found, next, err := c.server.cfg.Rails.Deposits(no, unpaid, g)
	return c.answerDeposits(found, list, next, err)
}

// listUnassigned are the deposits that nobody knows the owner of, of which not each has an incident.
func (c *call) listUnassigned() *problem {
	q := c.query()
	const list = "deposits of nobody"
	g := q.railsPage(list)
	if p := q.end(); p != nil {
		return p
	}
	found, next, err := c.server.cfg.Rails.Unassigned(g)
	return c.answerDeposits(found, list, next, err)
}

func (c *call) answerDeposits(found []channels.Deposit, list string, next []byte, err error) *problem {
	if err != nil {
		return c.railsProblem(err)
	}
	a := struct {
		Deposits []deposit `json:"deposits"`
		Next     string    `json:"next,omitempty"`
	}{[]deposit{}, railsCursor(list, next)}
	for i := range found {
		a.Deposits = append(a.Deposits, newDeposit(&found[i]))
	}
	return c.answerJSON(200, a)
}

func (c *call) getDeposit() *problem {
	no, p := c.ownAccount()
	if p != nil {
		return p
	}
	ref, p := parseDeposit(string(c.second))
	if p != nil {
		return p
	}
	d, err := c.server.cfg.Rails.Deposit(no, ref)
	if err != nil {
		return c.railsProblem(err)
	}
	return c.answerJSON(200, newDeposit(&d))
}

// flag is false where it is not there.
func (o *object) flag(name string) bool {
	v := o.take(name)
	if v == nil {
		return false
	}
	b, err := v.Bool()
	if err != nil {
		o.fail("%s must be true or false, not %s", name, article(v.Type()))
	}
	return b
}
