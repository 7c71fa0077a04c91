package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"golang.org/x/mod/sumdb/note"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/tlog"
)

// runReceipt measures how long a receipt takes while payments are made: of any payment before that, each in a signed checkpoint
// when it is asked for. Every receipt is verified as its holder would, with the hub's public key alone.
func runReceipt(ctx context.Context, c *Config, dir string) (res Result, err error) {
	k, err := openReadCase(ctx, c, "receipt", dir)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, k.close()) }()
	key, err := note.NewVerifier(k.hub.rig.hub.LogKey())
	if err != nil {
		return Result{}, err
	}
	var asked uint64
	err = k.add("receipt", func() ([]byte, error) {
		asked = k.since + 1 + rand.Uint64N(k.until-k.since)
		payer, err := k.payerOf(asked)
		return get(fmt.Sprintf("/v1/accounts/%v/receipts/%d", payer, asked), k.tokens[payer]), err
	}, func(body []byte) error {
		r, err := tlog.ParseReceipt(body)
		if err == nil {
			_, err = r.Verify(key)
		}
		if err == nil && r.Entry.Seq != asked {
			err = fmt.Errorf("it is of entry %d", r.Entry.Seq)
		}
		return err
	})
	if err != nil {
		return Result{}, err
	}
	return k.measure(ctx)
}

// payerOf is who made a payment.
func (k *readCase) payerOf(seq uint64) (payer ledger.AccountNo, err error) {
	err = k.hub.rig.index.Entries(seq, func(e *ledger.Entry) bool {
		payer = e.Legs[0].From
		return false
	})
	if err == nil && k.tokens[payer] == "" {
		err = fmt.Errorf("entry %d was made by account %v, which did not pay", seq, payer)
	}
	return payer, err
}
