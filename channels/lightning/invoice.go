package lightning

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/invoicesrpc"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

const (
	memoAtMost   = 639 // bytes, of BOLT 11
	expiryAtMost = 365 * 24 * time.Hour
	amountAtMost = ledger.Msat(21_000_000 * 100_000_000 * 1000) // all bitcoins
)

// Invoice makes an invoice of our own. When it is not known whether that was done, asking again makes another one: nobody has
// seen the first, so it can only expire.
func (c *Client) Invoice(ctx context.Context, n channels.NewInvoice) (channels.Invoice, error) {
	switch {
	case n.Expiry < time.Second || n.Expiry > expiryAtMost:
		return channels.Invoice{}, fmt.Errorf("an invoice that expires after %v: %w", n.Expiry, channels.ErrRefused)
	case len(n.Memo) > memoAtMost || n.DescHash != nil && (len(n.DescHash) != sha256.Size || n.Memo != ""):
		return channels.Invoice{}, fmt.Errorf("a memo of %d bytes and a hash of %d: %w", len(n.Memo), len(n.DescHash), channels.ErrRefused)
	case n.Amount > amountAtMost:
		return channels.Invoice{}, fmt.Errorf("an invoice of %d msat: %w", n.Amount, channels.ErrRefused)
	}
	made, err := ask(ctx, c, "making an invoice", c.lightning.AddInvoice, &lnrpc.Invoice{
		ValueMsat: int64(n.Amount), Memo: n.Memo, DescriptionHash: n.DescHash,
		Expiry: int64(n.Expiry / time.Second), Private: n.Private,
	})
	if err != nil {
		return channels.Invoice{}, err
	}
	return c.Decode(made.PaymentRequest)
}

// Lookup says whether an invoice of ours was paid, and how; of one that was not there is its preimage, for who pays it without the
// node. channels.ErrUnknownPayment: there is none of this hash.
func (c *Client) Lookup(ctx context.Context, hash channels.Hash) (r channels.Receipt, settled bool, err error) {
	i, err := ask(ctx, c, "looking an invoice up", c.lightning.LookupInvoice, &lnrpc.PaymentHash{RHash: hash[:]})
	if err != nil {
		return channels.Receipt{}, false, err
	}
	r = receipt(i)
	if settled = i.State == lnrpc.Invoice_SETTLED; !settled {
		r = channels.Receipt{Hash: r.Hash, Preimage: r.Preimage}
	}
	return r, settled, nil
}

// Cancel makes an invoice of ours one that can never be paid; one that was cancelled or has expired already is one.
// channels.ErrPaidBefore: it was paid.
func (c *Client) Cancel(ctx context.Context, hash channels.Hash) error {
	_, err := ask(ctx, c, "cancelling an invoice", c.invoices.CancelInvoice, &invoicesrpc.CancelInvoiceMsg{PaymentHash: hash[:]})
	return err
}

// receipt is of an invoice that was settled.
func receipt(i *lnrpc.Invoice) channels.Receipt {
	r := channels.Receipt{
		Index: i.SettleIndex, Amount: ledger.Msat(i.AmtPaidMsat), Time: time.Unix(i.SettleDate, 0), Keysend: i.IsKeysend,
	}
	copy(r.Preimage[:], i.RPreimage)
	r.Hash = sha256.Sum256(r.Preimage[:])
	for _, part := range i.Htlcs { // all parts of a payment carry the same records
		if part.State != lnrpc.InvoiceHTLCState_SETTLED {
			continue
		}
		for kind, value := range part.CustomRecords {
			if kind != keysendRecord {
				if r.Records == nil {
					r.Records = map[uint64][]byte{}
				}
				r.Records[kind] = value
			}
		}
	}
	return r
}
