package client

import (
	"context"
	"encoding/hex"

	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

// Op is one op of a batch. TransferOp, AdvanceOp, VoucherOp and UnlockOp make them.
type Op struct {
	Op           string      `json:"op"`
	ID           string      `json:"id,omitempty"`
	To           string      `json:"to,omitempty"`
	AmountMsat   ledger.Msat `json:"amount_msat,omitempty"`
	Channel      string      `json:"channel,omitempty"`
	TotalMsat    ledger.Msat `json:"total_msat,omitempty"`
	Content      string      `json:"content,omitempty"`
	PriceVersion uint32      `json:"price_version,omitempty"`
	MaxMsat      ledger.Msat `json:"max_msat,omitempty"`
	Signature    string      `json:"signature,omitempty"`
}

// TransferOp pays another account.
func TransferOp(id ledger.OpID, to ledger.AccountNo, amount ledger.Msat) Op {
	return Op{Op: "transfer", ID: id.String(), To: to.String(), AmountMsat: amount}
}

// AdvanceOp raises what a channel has paid to a total.
func AdvanceOp(no ledger.ChannelNo, total ledger.Msat) Op {
	return Op{Op: "advance", Channel: no.String(), TotalMsat: total}
}

// VoucherOp shows a voucher of a signed channel. A batch has at most 1,024 of them.
func VoucherOp(v *ledger.Voucher) Op {
	return Op{Op: "voucher", Channel: v.Channel.String(), TotalMsat: v.Total, Signature: hex.EncodeToString(v.Signature[:])}
}

// UnlockOp buys a content at a price version, within a maximum, or both; the other is 0.
func UnlockOp(id ledger.ContentID, version uint32, most ledger.Msat) Op {
	return Op{Op: "unlock", Content: id.String(), PriceVersion: version, MaxMsat: most}
}

// OpResult is what became of one op.
type OpResult struct {
	Result    string      `json:"result"` // applied, repeated, or the name of a refusal
	Seq       uint64      `json:"seq,omitempty"`
	PaidMsat  ledger.Msat `json:"paid_msat,omitempty"`
	FileKey   []byte      `json:"file_key,omitempty"`  // of unlocks
	Retryable bool        `json:"retryable,omitempty"` // of refusals
}

// OK says whether what the op asked for is so.
func (r OpResult) OK() bool { return isDone(r.Result) }

// BatchResults has one result per op, in their order.
type BatchResults struct {
	Applied  int        `json:"applied"`
	Repeated int        `json:"repeated"`
	Refused  int        `json:"refused"`
	Results  []OpResult `json:"results"`
}

// Batch sends up to 8,192 ops at once. They are independent: each applies or is refused by itself, and a refusal is no
// error of the batch.
func (c *Client) Batch(ctx context.Context, ops []Op) (BatchResults, error) {
	return ask(ctx, c, call{method: "POST", path: "/v1/batches", body: ops}, func(a BatchResults) checks {
		return checks{"results": a.fits(ops)}
	})
}

// fits says whether there is a result for each op, a key for each unlock, and the counts are theirs.
func (a *BatchResults) fits(ops []Op) bool {
	if len(a.Results) != len(ops) {
		return false
	}
	counts := map[string]int{}
	for i, r := range a.Results {
		if r.Result == "" || ops[i].Op == "unlock" && r.OK() && len(r.FileKey) != len(seal.FileKey{}) {
			return false
		}
		counts[r.Result]++
	}
	applied, repeated := counts["applied"], counts["repeated"]
	return a.Applied == applied && a.Repeated == repeated && a.Refused == len(ops)-applied-repeated
}
