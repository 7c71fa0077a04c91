package lnurl

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// What a payment is refused for before anything was paid.
var (
	ErrOwn     = errors.New("an address of this hub's own: it is paid inside")
	ErrAmount  = errors.New("not an amount that the service takes")
	ErrComment = errors.New("the comment is longer than the service takes")
	ErrPayer   = errors.New("the service wants to know who pays")
)

const (
	maxMetadata = 400 << 10        // bytes
	leastLife   = 10 * time.Second // that an invoice must have left
)

// Offer is what a service wants paid.
type Offer struct {
	Target      Target
	Host        string // who asks for it, to show to the user
	Min, Max    ledger.Msat
	Comment     int    // characters that a comment can have; zero: none
	Description string // their own, of text/plain; shortened
	Identifier  string // their own name@host, if they gave one
	callback    *url.URL
	metadata    string
}

// Bill is an invoice that was held against what was asked for.
type Bill struct {
	Invoice channels.Invoice
	Verify  string         // LUD-21; empty: there is none
	Success *SuccessAction // to show once it is paid, decrypted by its preimage if it is aes
}

// Resolve asks what can be paid at a target.
func (c *Client) Resolve(ctx context.Context, t Target) (Offer, error) {
	if t.Name != "" {
		return Offer{}, ErrOwn
	}
	var r PayRequest
	if err := c.get(ctx, t.URL, &r); err != nil {
		return Offer{}, fmt.Errorf("asking what can be paid: %w", err)
	}
	o, err := c.offer(t, &r)
	if err != nil {
		return Offer{}, fmt.Errorf("asking what can be paid: %w", err)
	}
	return o, nil
}

// offer checks a payRequest in the order of LUD-06.
func (c *Client) offer(t Target, r *PayRequest) (Offer, error) {
	u, err := url.Parse(t.URL)
	if err != nil {
		return Offer{}, err
	}
	o := Offer{
		Target: t, Host: u.Host, Min: ledger.Msat(r.MinSendable), Max: ledger.Msat(r.MaxSendable), Comment: max(0, r.CommentAllowed), metadata: r.Metadata,
	}
	if r.Tag != tagPay {
		return Offer{}, fmt.Errorf("%w: it is for something else: %.32q", ErrAnswer, r.Tag)
	}
	if o.callback, err = c.cfg.check(r.Callback); err != nil {
		return Offer{}, fmt.Errorf("%w: its callback: %w", ErrAnswer, err)
	}
	if o.Min < 1 || o.Max < o.Min {
		return Offer{}, fmt.Errorf("%w: from %d to %d msat", ErrAnswer, o.Min, o.Max)
	}
	if o.Description, o.Identifier, err = readMetadata(r.Metadata); err != nil {
		return Offer{}, err
	}
	if field := mandatory(r.PayerData); field != "" {
		return Offer{}, fmt.Errorf("%w: %q", ErrPayer, shorten(field, 32))
	}
	return o, nil
}

// readMetadata finds what is shown to users. Entries that it does not know may be of any form but must be arrays.
func readMetadata(text string) (description, identifier string, err error) {
	var entries [][]any
	if len(text) > maxMetadata || json.Unmarshal([]byte(text), &entries) != nil {
		return "", "", fmt.Errorf("%w: its metadata is not an array of arrays", ErrAnswer)
	}
	found := false
	for _, e := range entries {
		if len(e) < 2 {
			continue
		}
		kind, _ := e[0].(string)
		value, ok := e[1].(string)
		switch {
		case kind == "text/plain" && ok:
			description, found = shorten(value, 640), true
		case (kind == "text/identifier" || kind == "text/email") && ok:
			identifier = shorten(value, 200)
		}
	}
	if !found {
		return "", "", fmt.Errorf("%w: its metadata has no text/plain", ErrAnswer)
	}
	return description, identifier, nil
}

// mandatory is the first thing that a service must know of the payer (LUD-18), and that we do not tell.
func mandatory(payerData json.RawMessage) string {
	var fields map[string]struct {
		Mandatory bool `json:"mandatory"`
	}
	if json.Unmarshal(payerData, &fields) != nil {
		return ""
	}
	for name, f := range fields {
		if f.Mandatory {
			return name
		}
	}
	return ""
}

// Invoice asks for an invoice of an amount, and checks it: nothing but this amount, to this offer, on our network, is to be paid.
func (c *Client) Invoice(ctx context.Context, o Offer, amount ledger.Msat, comment string) (Bill, error) {
	switch {
	case amount < o.Min || amount > o.Max:
		return Bill{}, fmt.Errorf("%w: it takes %d to %d msat", ErrAmount, o.Min, o.Max)
	case utf8.RuneCountInString(comment) > o.Comment:
		return Bill{}, fmt.Errorf("%w: %d characters", ErrComment, o.Comment)
	}
	where := *o.callback
	query := "amount=" + strconv.FormatUint(uint64(amount), 10) // appended, not set: what is there stays as it is
	if comment != "" {
		query += "&comment=" + url.QueryEscape(comment)
	}
	where.RawQuery = strings.TrimPrefix(where.RawQuery+"&"+query, "&")
	var a PayAnswer
	if err := c.get(ctx, where.String(), &a); err != nil {
		return Bill{}, fmt.Errorf("asking for an invoice: %w", err)
	}
	b, err := c.bill(o, amount, &a)
	if err != nil {
		return Bill{}, fmt.Errorf("asking for an invoice: %w", err)
	}
	return b, nil
}

func (c *Client) bill(o Offer, amount ledger.Msat, a *PayAnswer) (Bill, error) {
	invoice, err := c.cfg.Decode(a.Invoice)
	if err != nil {
		return Bill{}, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	hash := sha256.Sum256([]byte(o.metadata))
	switch {
	case invoice.Amount != amount:
		return Bill{}, fmt.Errorf("%w: its invoice is of %d msat instead of %d", ErrAnswer, invoice.Amount, amount)
	case !bytes.Equal(invoice.DescHash, hash[:]):
		return Bill{}, fmt.Errorf("%w: its invoice is for something else", ErrAnswer)
	case invoice.Expires.Before(c.cfg.Clock().Add(leastLife)):
		return Bill{}, fmt.Errorf("%w: %w", ErrAnswer, channels.ErrExpired)
	}
	b := Bill{Invoice: invoice, Success: a.Success}
	if err := b.Success.check(o.callback); err != nil {
		return Bill{}, err
	}
	if a.Verify != "" {
		u, err := c.cfg.check(a.Verify)
		if err != nil {
			return Bill{}, fmt.Errorf("%w: its verify: %w", ErrAnswer, err)
		}
		b.Verify = u.String()
	}
	return b, nil
}

// check refuses what could not be shown: who pays would not get what was bought (LUD-09).
func (s *SuccessAction) check(callback *url.URL) error {
	if s == nil {
		return nil
	}
	const most = 144 // characters
	if utf8.RuneCountInString(s.Message) > most || utf8.RuneCountInString(s.Description) > most {
		return fmt.Errorf("%w: its success action is longer than %d characters", ErrAnswer, most)
	}
	switch s.Tag {
	case "message":
		return nil
	case "url":
		if u, err := url.Parse(s.URL); err == nil && len(s.URL) <= maxURL && strings.EqualFold(u.Hostname(), callback.Hostname()) && u.Scheme == callback.Scheme {
			return nil
		}
	case "aes":
		if len(s.Ciphertext) <= 4096 && len(s.IV) == 24 {
			return nil
		}
	}
	return fmt.Errorf("%w: its success action cannot be shown", ErrAnswer)
}

// Settled asks whether a bill was paid (LUD-21), and holds the answer against it. What it says is the service's word: a payer's own
// node knows better. The preimage is zero if they do not tell it.
func (c *Client) Settled(ctx context.Context, b Bill) (settled bool, preimage channels.Hash, err error) {
	if b.Verify == "" {
		return false, preimage, errors.New("the service has no LUD-21")
	}
	var a VerifyAnswer
	if err := c.get(ctx, b.Verify, &a); err != nil {
		return false, preimage, fmt.Errorf("asking whether it was paid: %w", err)
	}
	if !strings.EqualFold(a.Invoice, b.Invoice.Text) {
		return false, preimage, fmt.Errorf("asking whether it was paid: %w: of another invoice", ErrAnswer)
	}
	if !a.Settled || a.Preimage == nil {
		return a.Settled, preimage, nil
	}
	raw, err := hex.DecodeString(*a.Preimage)
	if err != nil || sha256.Sum256(raw) != b.Invoice.Hash {
		return false, preimage, fmt.Errorf("asking whether it was paid: %w: not its preimage", ErrAnswer)
	}
	copy(preimage[:], raw)
	return true, preimage, nil
}
