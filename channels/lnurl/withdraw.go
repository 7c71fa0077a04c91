package lnurl

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/millrace/millrace/channels"
)

// Request answers a wallet that has scanned the link.
func (l *Links) Request(id string) (WithdrawRequest, error) {
	k, known, err := l.load(id)
	switch {
	case err != nil:
		return WithdrawRequest{}, err
	case !known || k.State == LinkOpen && l.expired(&k):
		return WithdrawRequest{}, ErrNoLink
	case k.State != LinkOpen:
		return WithdrawRequest{}, ErrUsed
	}
	return WithdrawRequest{
		Tag: tagWithdraw, Callback: l.cfg.Base + linkPath + id + callbackSuffix, K1: k.K1, DefaultDescription: k.Description,
		MinWithdrawable: Amount(k.Min), MaxWithdrawable: Amount(k.Max),
	}, nil
}

// Withdraw answers the callback. Nil means that the invoice will be paid, or was. The same call again is the same answer.
func (l *Links) Withdraw(ctx context.Context, id, k1, invoice string) error {
	k, err := l.take(id, k1, strings.ToLower(strings.TrimSpace(invoice)))
	if err != nil || k.State == LinkPaid {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return l.order(ctx, k)
}

// take consumes a k1, or finds that this very call has done so before.
func (l *Links) take(id, k1, invoice string) (Link, error) {
	decoded, err := l.cfg.Decode(invoice)
	if err != nil {
		return Link{}, err
	}
	defer l.lock(id)()
	k, known, err := l.load(id)
	switch {
	case err != nil:
		return Link{}, err
	case !known:
		return Link{}, ErrNoLink
	case subtle.ConstantTimeCompare([]byte(k1), []byte(k.K1)) != 1:
		return Link{}, ErrWrongK1
	case k.State != LinkOpen && k.Invoice == invoice:
		return k, nil
	case k.State != LinkOpen:
		return Link{}, ErrUsed
	case l.expired(&k):
		return Link{}, ErrNoLink
	case decoded.Amount < k.Min || decoded.Amount > k.Max:
		return Link{}, fmt.Errorf("%w: want an invoice of %d to %d msat", ErrAmount, k.Min, k.Max)
	case !decoded.Expires.After(l.cfg.Clock()):
		return Link{}, channels.ErrExpired
	}
	k.State, k.Invoice = LinkTaken, invoice
	return k, wrote(l.cfg.Records.Write(jsonRow(linkKey(id), k)))
}

// order gives a taken link's order, for the first time or again, and writes down what became of it.
func (l *Links) order(ctx context.Context, k Link) error {
	decoded, err := l.cfg.Decode(k.Invoice)
	if err != nil {
		return err
	}
	item, err := l.cfg.Payer.Pay(ctx, k.Account, channels.Order{
		Key: "lnurl/" + k.Name() + "/" + strconv.Itoa(k.Attempt), Invoice: k.Invoice, FeeLimit: l.cfg.Fee(decoded.Amount), Memo: k.Description,
	})
	switch {
	case channels.NotOrdered(err):
		return errors.Join(err, l.learn(k, LinkOpen))
	case err != nil:
		return fmt.Errorf("lnurl: ordering a withdrawal: %w", err)
	case item.State == channels.Settled:
		return l.learn(k, LinkPaid)
	case item.State == channels.GaveBack:
		return l.learn(k, LinkOpen)
	}
	return nil // under way
}

// learn writes what became of a try, unless somebody has done so.
func (l *Links) learn(try Link, state LinkState) error {
	defer l.lock(try.ID)()
	k, known, err := l.load(try.ID)
	if err != nil || !known || k.State != LinkTaken || k.Attempt != try.Attempt {
		return err
	}
	if k.State = state; state == LinkOpen {
		k.Attempt, k.K1, k.Invoice = k.Attempt+1, random(32), ""
	}
	return wrote(l.cfg.Records.Write(jsonRow(linkKey(k.ID), k)))
}

// Sweep takes up every link that is taken: after a start, and from time to time, for nobody else comes back to what took long. It ends
// with the context.
func (l *Links) Sweep(ctx context.Context) error {
	prefix, from := linkKey(""), []byte(nil)
	for more := true; more && ctx.Err() == nil; {
		var taken []Link
		var broken error
		more = false
		err := l.cfg.Records.Scan(prefix, from, func(key, value []byte) bool {
			var k Link
			if err := json.Unmarshal(value, &k); err != nil {
				broken = fmt.Errorf("the record %q: %w", key, err)
				return false
			}
			if k.State == LinkTaken {
				taken = append(taken, k)
			}
			from = append(append(from[:0:0], key...), 0)
			more = len(taken) == 100
			return !more
		})
		if err := errors.Join(err, broken); err != nil {
			return fmt.Errorf("lnurl: sweeping links: %w", err)
		}
		for _, k := range taken {
			each, cancel := context.WithTimeout(ctx, patience)
			if err := l.order(each, k); err != nil {
				l.cfg.Logger.Warn("a withdrawal by link is still to be made", "link", k.ID, "account", k.Account, "err", err)
			}
			cancel()
		}
	}
	return ctx.Err()
}
