package ageplugin

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"filippo.io/age"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

// person is whoever uses age, as far as age lets a plugin speak to him.
type person interface {
	DisplayMessage(text string) error
	Confirm(prompt, yes, no string) (bool, error)
}

// These are the errors by which age's framework says that age could not do it. Any other is of a peer that does not keep to
// the protocol, to which nothing must be paid.
const (
	notShown = "client failed to display message"
	notAsked = "client failed to request confirmation"
)

// payer is an age identity that opens a file by paying for it.
type payer struct {
	account
	person   person
	terminal func() bool // somebody sits there
}

// Unwrap pays for one file, unless it is paid for already, and returns its file key. It sees the stanzas alone: whether the
// header and the file are those that were registered is found by age, afterwards.
func (p *payer) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	s, err := seal.FindStanza(stanzas)
	if errors.Is(err, seal.ErrNoStanza) {
		return nil, age.ErrIncorrectIdentity
	}
	if err == nil && size(stanzas) > seal.MaxHeader {
		err = fmt.Errorf("%w: larger than %d bytes", seal.ErrHeader, seal.MaxHeader)
	}
	if err != nil {
		return nil, err
	}
	key, err := p.unlock(context.Background(), s)
	if err != nil && !errors.Is(err, age.ErrIncorrectIdentity) {
		return nil, errors.New(plain(err.Error()))
	}
	return key, err
}

func (p *payer) unlock(ctx context.Context, s seal.Stanza) ([]byte, error) {
	if mine, err := p.sells(ctx, s); err != nil {
		return nil, err
	} else if !mine {
		return nil, p.elsewhere(s)
	}
	hub, err := client.New(client.Config{Hub: p.Hub, Token: p.Token})
	if err != nil {
		return nil, err
	}
	if err := p.warn(); err != nil {
		return nil, err
	}
	owned, err := hub.Buy(ctx, client.Purchase{Content: s.Content, PriceVersion: math.MaxUint32, MaxMsat: 1})
	if err == nil {
		return owned.Key[:], nil
	}
	if !notOwned(err) {
		return nil, fmt.Errorf("%w; nothing was paid", err)
	}
	q, err := quote(ctx, hub, s.Content)
	if err != nil {
		return nil, fmt.Errorf("%w; nothing was paid", err)
	}
	if err := p.consent(q); err != nil {
		return nil, err
	}
	bought, err := hub.Buy(ctx, client.Purchase{Content: s.Content, PriceVersion: q.PriceVersion, MaxMsat: q.PriceMsat})
	if errors.Is(err, client.ErrUnreachable) {
		return nil, fmt.Errorf("%w; whether it is paid is not known: to open it again pays at most once", err)
	}
	if err != nil {
		return nil, err
	}
	if bought.Result == "applied" {
		_ = p.person.DisplayMessage(fmt.Sprintf("paid %s for %.200q; opening it again is free", sat(bought.PaidMsat), q.Title)) // it is paid, shown or not
	}
	return bought.Key[:], nil
}

// quote is what a work costs. Of a price in a currency it is what the hub quotes for a minute: more is not paid.
func quote(ctx context.Context, hub *client.Client, id ledger.ContentID) (client.Content, error) {
	q, err := hub.Content(ctx, id)
	if err != nil || q.Currency == "" {
		return q, err
	}
	got, err := hub.QuoteContent(ctx, id)
	q.PriceMsat, q.PriceVersion = got.PriceMsat, got.PriceVersion
	return q, err
}

// notOwned says whether the hub has refused to give a work again. It is asked for it at a version of the price that no work
// ever has, so it gives the work to who owns it, and sells it to nobody.
func notOwned(err error) bool {
	var refused *client.Problem
	return errors.As(err, &refused) && (refused.Code == "price_changed" || refused.Code == "price_too_high" || refused.Code == "rate_stale")
}

// sells says whether the account's hub is the one that sells a file. A file can name anybody as its hub, so this asks
// without the token, and only the account's hub. One that has moved still sells what was sealed under its old name.
func (p *payer) sells(ctx context.Context, s seal.Stanza) (bool, error) {
	if s.Origin == p.Hub {
		return true, nil
	}
	probe, err := client.New(client.Config{Hub: p.Hub})
	if err != nil {
		return false, err
	}
	info, err := probe.Hub(ctx)
	if !p.chosen && errors.Is(err, client.ErrUnreachable) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if origin, err := seal.ParseOrigin(info.Origin); err == nil && origin == s.Origin {
		return true, nil
	}
	if !p.chosen {
		return false, nil
	}
	_, err = probe.Content(ctx, s.Content)
	var refused *client.Problem
	if errors.As(err, &refused) && refused.Code == "content_unknown" {
		return false, nil
	}
	return err == nil, err
}

// elsewhere tells whose a file is, and has age try its next identity.
func (p *payer) elsewhere(s seal.Stanza) error {
	text := fmt.Sprintf("this file is sold by %s, and the account is at %s: its token was not sent anywhere", s.Origin, p.Hub)
	if !p.chosen {
		text = fmt.Sprintf("this file is sold by %s: if you trust that hub with your token, set MILLRACE_HUB=%s", s.Origin, s.Origin)
	}
	if err := p.person.DisplayMessage(text); err != nil && err.Error() != notShown {
		return err
	}
	return age.ErrIncorrectIdentity
}

// warn says that others can read the token on its way.
func (p *payer) warn() error {
	u, err := url.Parse(p.Hub)
	if err != nil || u.Scheme == "https" || u.Hostname() == "localhost" {
		return err
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && ip.IsLoopback() {
		return nil
	}
	err = p.person.DisplayMessage("warning: the token goes to " + p.Hub + " without encryption")
	if err != nil && err.Error() != notShown {
		return err
	}
	return nil
}

// consent asks whether to pay. Where nobody can be asked, the cap is the answer. Who is at a terminal and does not say yes,
// by whatever key, does not pay.
func (p *payer) consent(q client.Content) error {
	what := fmt.Sprintf("%s for %.200q", sat(q.PriceMsat), q.Title)
	if p.Cap != 0 && q.PriceMsat > p.Cap {
		return fmt.Errorf("%s is more than may be paid for one file, %s; nothing was paid", what, sat(p.Cap))
	}
	yes, err := p.person.Confirm(fmt.Sprintf("Pay %s to %s at %s?", what, q.Seller, p.Hub), "pay", "do not pay")
	switch {
	case err == nil && yes:
		return nil
	case err != nil && err.Error() != notAsked:
		return err
	case err == nil || p.terminal():
		return fmt.Errorf("you did not agree to pay %s; nothing was paid", what)
	case p.Cap == 0:
		return fmt.Errorf("there is no terminal to ask at whether to pay %s, and no cap: set MILLRACE_MAX_MSAT, "+
			"or give an identity that has one (millrace age identity --max-msat N); nothing was paid", what)
	}
	return nil
}

// size is that of the stanzas in a header, in bytes.
func size(stanzas []*age.Stanza) (n int) {
	for _, s := range stanzas {
		n += len("-> ") + len(s.Type) + len("\n")
		for _, arg := range s.Args {
			n += len(" ") + len(arg)
		}
		body := base64.RawStdEncoding.EncodedLen(len(s.Body))
		n += body + body/64 + len("\n")
	}
	return n
}

// sat writes an amount for a person: 1,000 sat, or 0.25 sat.
func sat(m ledger.Msat) string {
	whole := strconv.FormatUint(uint64(m/1000), 10)
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if part := m % 1000; part != 0 {
		whole += "." + strings.TrimRight(fmt.Sprintf("%03d", part), "0")
	}
	return whole + " sat"
}

// plain makes one line without control characters of an error that may quote a hub or a file.
func plain(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	const most = 2000
	return text[:min(len(text), most)]
}
