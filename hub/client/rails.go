package client

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/millrace/millrace/ledger"
)

// Deposit is money on its way in. Times are in milliseconds since 1970; those that have not come are zero.
type Deposit struct {
	Deposit    string      `json:"deposit"`
	Rail       string      `json:"rail"`
	Account    string      `json:"account,omitempty"`
	Status     string      `json:"status"`
	AskedMsat  ledger.Msat `json:"asked_msat,omitempty"`
	AmountMsat ledger.Msat `json:"amount_msat,omitempty"`
	Invoice    string      `json:"invoice,omitempty"`
	Address    string      `json:"address,omitempty"`
	Memo       string      `json:"memo,omitempty"`
	Preimage   string      `json:"preimage,omitempty"`
	Keysend    bool        `json:"keysend,omitempty"`
	Has        int64       `json:"confirmations,omitempty"`
	Needs      int64       `json:"confirmations_needed,omitempty"`
	Undone     bool        `json:"undone,omitempty"`
	Made       int64       `json:"made"`
	Expires    int64       `json:"expires,omitempty"`
	Arrived    int64       `json:"arrived,omitempty"`
	Changed    int64       `json:"changed,omitempty"`
}

// NewInvoice is what an invoice is made of. The zero value is an open one that expires in an hour.
type NewInvoice struct {
	AmountMsat ledger.Msat `json:"amount_msat,omitempty"`
	Memo       string      `json:"memo,omitempty"`
	ExpiresInS int64       `json:"expires_in_s,omitempty"`
	Private    bool        `json:"private,omitempty"`
}

// Address is where an account is paid on-chain.
type Address struct {
	Address string `json:"address"`
	URI     string `json:"uri"`
}

// Quote is what a withdrawal would cost now.
type Quote struct {
	Rail        string      `json:"rail"`
	AmountMsat  ledger.Msat `json:"amount_msat"`
	FeeMsat     ledger.Msat `json:"fee_msat"`
	MaxFeeMsat  ledger.Msat `json:"max_fee_msat"`
	Description string      `json:"description,omitempty"`
}

// NewWithdrawal is what a withdrawal is made of. The same ID is the same withdrawal, for ever.
type NewWithdrawal struct {
	ID         string      `json:"id"`
	To         string      `json:"to"`
	AmountMsat ledger.Msat `json:"amount_msat,omitempty"` // zero: what the invoice says
	MaxFeeMsat ledger.Msat `json:"max_fee_msat"`
	Memo       string      `json:"memo,omitempty"`
	Until      int64       `json:"until,omitempty"` // milliseconds since 1970; zero: three days from now
}

// Withdrawal is money on its way out.
type Withdrawal struct {
	ID            string      `json:"id"`
	Account       string      `json:"account"`
	To            string      `json:"to"`
	Rail          string      `json:"rail"`
	Status        string      `json:"status"` // asked, held, in_transit, paid or dropped; over: done or failed
	AmountMsat    ledger.Msat `json:"amount_msat"`
	MaxFeeMsat    ledger.Msat `json:"max_fee_msat"`
	HeldMsat      ledger.Msat `json:"held_msat"`
	FeeMsat       ledger.Msat `json:"fee_msat"`
	Payee         string      `json:"payee,omitempty"`
	PaymentHash   string      `json:"payment_hash,omitempty"`
	Preimage      string      `json:"preimage,omitempty"`
	Batch         string      `json:"batch,omitempty"`
	TxID          string      `json:"txid,omitempty"`
	Memo          string      `json:"memo,omitempty"`
	Description   string      `json:"description,omitempty"`
	Origin        string      `json:"origin,omitempty"`
	Reason        string      `json:"reason,omitempty"`
	NeedsOperator bool        `json:"needs_operator,omitempty"`
	Deadline      int64       `json:"deadline,omitempty"`
	Made          int64       `json:"made"`
	Changed       int64       `json:"changed"`
}

// Over says whether the status is final.
func (w Withdrawal) Over() bool { return w.Status == "done" || w.Status == "failed" }

func account(no ledger.AccountNo) string { return "/v1/accounts/" + no.String() }

// Invoice makes an invoice that pays an account. It is not idempotent, and an invoice that nobody sees is one that nobody pays.
func (c *Client) Invoice(ctx context.Context, no ledger.AccountNo, n NewInvoice) (Deposit, error) {
	return ask(ctx, c, call{method: "POST", path: account(no) + "/deposits", body: n}, func(a Deposit) checks {
		return checks{"deposit": isDigest(a.Deposit), "account": a.Account == no.String(), "invoice": a.Invoice != "", "asked_msat": a.AskedMsat == n.AmountMsat}
	})
}

// Address is where an account is paid on-chain: the same address, until something comes by it.
func (c *Client) Address(ctx context.Context, no ledger.AccountNo) (Address, error) {
	return ask(ctx, c, call{method: "POST", path: account(no) + "/addresses"}, func(a Address) checks { return checks{"address": a.Address != ""} })
}

// Deposit is one deposit of an account.
func (c *Client) Deposit(ctx context.Context, no ledger.AccountNo, name string) (Deposit, error) {
	return ask(ctx, c, call{method: "GET", path: account(no) + "/deposits/" + url.PathEscape(name)}, func(a Deposit) checks {
		return checks{"deposit": a.Deposit == name}
	})
}

// Deposits is a page of an account's deposits, the newest first, and the cursor of the next page; empty: there is none. A limit of zero is
// the hub's own.
func (c *Client) Deposits(ctx context.Context, no ledger.AccountNo, unpaid bool, cursor string, limit int) ([]Deposit, string, error) {
	type page struct {
		Deposits []Deposit `json:"deposits"`
		Next     string    `json:"next,omitempty"`
	}
	q := pageQuery(cursor, limit)
	if unpaid {
		q.Set("unpaid", "yes")
	}
	a, err := ask(ctx, c, call{method: "GET", path: withQuery(account(no)+"/deposits", q)}, func(page) checks { return nil })
	return a.Deposits, a.Next, err
}

// Quote asks what a withdrawal would cost. An amount of zero is what the invoice says.
func (c *Client) Quote(ctx context.Context, no ledger.AccountNo, to string, amount ledger.Msat) (Quote, error) {
	body := struct {
		To     string      `json:"to"`
		Amount ledger.Msat `json:"amount_msat,omitempty"`
	}{to, amount}
	return ask(ctx, c, call{method: "POST", path: account(no) + "/quotes", body: body}, func(a Quote) checks {
		return checks{"amount_msat": isPrice(a.AmountMsat) && (amount == 0 || a.AmountMsat == amount)}
	})
}

// Withdraw makes a withdrawal, or finds the one of the same id. It returns when the money is set aside, or the withdrawal has failed.
func (c *Client) Withdraw(ctx context.Context, no ledger.AccountNo, n NewWithdrawal) (Withdrawal, error) {
	return ask(ctx, c, call{method: "POST", path: account(no) + "/withdrawals", body: n}, func(a Withdrawal) checks {
		return checks{"id": a.ID == n.ID, "account": a.Account == no.String(), "amount_msat": n.AmountMsat == 0 || a.AmountMsat == n.AmountMsat}
	})
}

// Withdrawal is one withdrawal, when it is over or after a time of at most 25 seconds.
func (c *Client) Withdrawal(ctx context.Context, no ledger.AccountNo, id string, wait time.Duration) (Withdrawal, error) {
	q := url.Values{}
	if s := int(wait / time.Second); s > 0 {
		q.Set("wait_s", strconv.Itoa(s))
	}
	path := withQuery(account(no)+"/withdrawals/"+url.PathEscape(id), q)
	return ask(ctx, c, call{method: "GET", path: path}, func(a Withdrawal) checks { return checks{"id": a.ID == id} })
}

// Withdrawals is a page of an account's withdrawals, the newest first, and the cursor of the next page; empty: there is none.
func (c *Client) Withdrawals(ctx context.Context, no ledger.AccountNo, cursor string, limit int) ([]Withdrawal, string, error) {
	type page struct {
		Withdrawals []Withdrawal `json:"withdrawals"`
		Next        string       `json:"next,omitempty"`
	}
	a, err := ask(ctx, c, call{method: "GET", path: withQuery(account(no)+"/withdrawals", pageQuery(cursor, limit))}, func(page) checks { return nil })
	return a.Withdrawals, a.Next, err
}

func pageQuery(cursor string, limit int) url.Values {
	q := url.Values{}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	if limit > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	return q
}

func withQuery(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}
