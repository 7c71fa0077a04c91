package channels

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/millrace/millrace/ledger"
)

// AccountRecord is the custom TLV record of a keysend that names an account of the node's own: see the registry of records at
// https://github.com/satoshisstream/satoshis.stream/blob/main/TLV_registry.md.
const AccountRecord = 696969

// plan finds out what a request asks for: the rail, whom it pays, how much, and what makes it one. Nothing is written.
func (r *Rails) plan(ctx context.Context, q *Request) (Payout, error) {
	p := Payout{Request: *q, Pays: q.Amount}
	if err := q.check(); err != nil {
		return p, err
	}
	if a, ok := r.ledger.Account(q.Account); !ok || q.Account.External() || a.Opened == 0 && q.Account != ledger.Fees {
		return p, fmt.Errorf("%w: there is no account %s to pay from", ErrTarget, q.Account)
	}
	known, err := r.target(&p, q.To)
	if !known && err == nil && r.cfg.Resolve != nil {
		ctx, cancel := context.WithTimeout(ctx, r.cfg.CallFor)
		defer cancel()
		var to string
		if to, err = r.cfg.Resolve(ctx, q.To, q.Amount); err == nil {
			known, err = r.target(&p, to)
		}
	}
	if err == nil && !known {
		err = ErrTarget
	}
	if err == nil {
		err = r.checkAmount(&p)
	}
	return p, err
}

func (q *Request) check() error {
	records := 0
	for _, v := range q.Records {
		records += 8 + len(v)
	}
	switch {
	case q.ID == ID{}:
		return fmt.Errorf("%w: no id", ErrTarget)
	case q.To == "" || len(q.To) > MaxTo:
		return fmt.Errorf("%w: want 1 to %d bytes", ErrTarget, MaxTo)
	case !plainText(q.To) || !plainText(q.Memo) || !plainText(q.Origin):
		return fmt.Errorf("%w: text that is not UTF-8, or has control characters", ErrTarget)
	case len(q.Memo) > MaxMemo || len(q.Origin) > MaxMemo || records > MaxRecords:
		return fmt.Errorf("%w: memo, origin or records too long", ErrTarget)
	case q.Amount > ledger.MaxMsat || q.FeeLimit > ledger.MaxMsat:
		return ErrAmount
	}
	return nil
}

// plainText says whether a text takes about as many bytes in a record as it has.
func plainText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool { return c != '\n' && c != '\t' && unicode.IsControl(c) })
}

// target reads one text. False: it is none that is known here.
func (r *Rails) target(p *Payout, to string) (known bool, err error) {
	to = strings.TrimSpace(to)
	lower := strings.ToLower(to)
	if rest, ok := strings.CutPrefix(lower, "lightning:"); ok {
		lower = rest
	}
	if no, err := ledger.ParseAccountNo(lower); err == nil {
		return true, r.toAccount(p, no)
	}
	if isNode(lower) {
		return true, r.toNode(p, lower)
	}
	if strings.HasPrefix(lower, "ln") && !strings.HasPrefix(lower, "lnurl") && !strings.ContainsAny(lower, "@:/") {
		return true, r.toInvoice(p, lower)
	}
	if strings.ContainsAny(to, "@:/?") || r.cfg.Script == nil {
		return false, nil
	}
	script, err := r.cfg.Script(to)
	switch {
	case errors.Is(err, ErrNetwork):
		return true, err
	case err != nil: // no address at all
		return false, nil
	}
	return true, r.toAddress(p, r.asWritten(to, script), script)
}

// asWritten is an address in the letters that the wallet, and the records, have it in: one of BIP-173 is the same in capitals, as QR codes
// have it. Of others every letter counts.
func (r *Rails) asWritten(address string, script []byte) string {
	small := strings.ToLower(address)
	if same, err := r.cfg.Script(small); err != nil || !bytes.Equal(same, script) {
		return address
	}
	return small
}

func isNode(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == 66 && (s[:2] == "02" || s[:2] == "03")
}

func (r *Rails) toAccount(p *Payout, no ledger.AccountNo) error {
	a, ok := r.ledger.Account(no)
	if !ok || no < ledger.FirstAccount && no != ledger.Fees || no >= ledger.FirstAccount && a.Opened == 0 {
		return fmt.Errorf("%w: there is no account %s", ErrTarget, no)
	}
	if no == p.Account {
		return fmt.Errorf("%w: it is the account that pays", ErrTarget)
	}
	p.Rail, p.Into, p.Payee = Internal, no, no.String()
	return nil
}

// toNode is a keysend. Its preimage is made of the payout's key, if the request has none: so however often it is sent, it is one payment.
func (r *Rails) toNode(p *Payout, node string) error {
	if node == r.cfg.Node {
		no, err := ledger.ParseAccountNo(p.Records[AccountRecord])
		if err != nil {
			return fmt.Errorf("%w: a keysend to this hub's own node without an account: record %d", ErrTarget, AccountRecord)
		}
		return r.toAccount(p, no)
	}
	if r.cfg.Payer == nil {
		return ErrNoRail
	}
	p.Rail, p.Payee = Lightning, node
	p.Hash = sha256.Sum256(r.preimage(p))
	return nil
}

func (r *Rails) preimage(p *Payout) []byte {
	if p.Preimage != (Hash{}) {
		return p.Preimage[:]
	}
	mac := hmac.New(sha256.New, r.cfg.Secret[:])
	_, _ = mac.Write([]byte("millrace keysend\x00"))
	_, _ = mac.Write(p.Key.bytes())
	return mac.Sum(nil)
}

// toInvoice pays an invoice; one of our own node inside.
func (r *Rails) toInvoice(p *Payout, text string) error {
	if r.cfg.Payer == nil {
		return ErrNoRail
	}
	inv, err := r.cfg.Payer.Decode(text)
	switch {
	case errors.Is(err, ErrNetwork):
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", ErrInvoice, err)
	case !r.now().Before(inv.Expires):
		return ErrExpired
	case p.Pays != 0 && inv.Amount != 0 && p.Pays != inv.Amount:
		return fmt.Errorf("%w: the invoice asks for %d msat", ErrAmount, inv.Amount)
	}
	if p.Open = inv.Amount == 0; !p.Open {
		p.Pays = inv.Amount
	}
	p.About = inv.Description
	if p.Until.IsZero() || inv.Expires.Before(p.Until) {
		p.Deadline = inv.Expires
	}
	p.Rail, p.Invoice, p.Hash, p.Payee = Lightning, text, inv.Hash, inv.Payee
	d, found, err := r.deposit(Ref{Hash: inv.Hash, Output: noOutput})
	switch {
	case err != nil:
		return err
	case found && d.Invoice != text:
		// Somebody made another invoice with the hash of one of ours: paid, it would settle ours at a price of his choice.
		return fmt.Errorf("%w: its payment hash is that of an invoice of this hub", ErrInvoice)
	case found && d.Status == DepositExpired:
		return ErrExpired
	case found && d.Status != DepositOpen:
		return ErrPaidBefore
	case found && d.Account == p.Account:
		return fmt.Errorf("%w: it is the account's own invoice", ErrTarget)
	case found:
		p.Rail, p.Into = Internal, d.Account
	case inv.Payee == r.cfg.Node:
		return fmt.Errorf("%w: this hub's node made it, and the hub does not know for whom", ErrInvoice)
	}
	return nil
}

// toAddress pays on-chain; an address that was given to an account of ours inside.
func (r *Rails) toAddress(p *Payout, address string, script []byte) error {
	no, found, err := r.owner(address)
	if err != nil {
		return err
	}
	if found {
		err := r.toAccount(p, no)
		p.Payee = address
		return err
	}
	if r.cfg.Wallet == nil || r.cfg.Watcher == nil {
		return ErrNoRail
	}
	p.Rail, p.Payee, p.Script = Chain, address, script
	return nil
}

// checkAmount is what a rail cannot carry.
func (r *Rails) checkAmount(p *Payout) error {
	switch {
	case p.Pays == 0:
		return fmt.Errorf("%w: nobody says how much", ErrAmount)
	case p.Pays > ledger.MaxMsat || p.Aside() > ledger.MaxMsat:
		return ErrAmount
	case p.Rail == Chain && p.Pays%msatPerSat != 0:
		return fmt.Errorf("%w: on-chain there are only whole satoshis", ErrAmount)
	case p.Rail == Chain && Sat(p.Pays/msatPerSat) < r.cfg.Dust(p.Script):
		return fmt.Errorf("%w: at least %d sat", ErrDust, r.cfg.Dust(p.Script))
	}
	if p.Deadline.IsZero() {
		p.Deadline = p.Until
	}
	if p.Deadline.IsZero() {
		p.Deadline = r.now().Add(r.cfg.Patience).UTC().Truncate(time.Millisecond)
	}
	return nil
}

const msatPerSat = 1000
