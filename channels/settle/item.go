package settle

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// Item is one payment of a run. It is a record; what it says until it has begun is what was approved, and does not change.
type Item struct {
	Account  ledger.AccountNo `json:"account"` // who pays: the payee's own account at the hub, or an import's
	To       Target           `json:"to"`
	Rail     channels.Rail    `json:"rail"`
	Amount   ledger.Msat      `json:"amount_msat"`    // what the payee gets
	FeeLimit ledger.Msat      `json:"fee_limit_msat"` // what it may cost beside
	Settings uint32           `json:"settings,omitempty"`
	HubFee   uint8            `json:"hub_fee_percent,omitempty"`

	// Of an import: where in the file it stands, and what stands there.
	Line      uint32   `json:"line,omitempty"`
	Given     string   `json:"given,omitempty"`     // its id in the file
	Group     string   `json:"group,omitempty"`     // of pain.001: its payment information
	Reference string   `json:"reference,omitempty"` // a text for the payee's or the payer's books
	Problems  []string `json:"problems,omitempty"`  // of a line that is not paid

	Stage     Stage       `json:"stage"`
	Try       uint8       `json:"try,omitempty"`        // of the payout that has begun last
	NotBefore uint64      `json:"not_before,omitempty"` // of one that waits for its next try; milliseconds since 1970
	Reason    Reason      `json:"reason,omitempty"`     // why the last try failed, or it was never begun
	Fee       ledger.Msat `json:"fee_msat,omitempty"`   // what it cost, once it arrived
	Returned  ledger.Msat `json:"returned_msat,omitempty"`
	ReturnID  channels.ID `json:"return_id,omitzero"` // of the transfer that gives back the hub's part of the fee
	Hash      string      `json:"hash,omitempty"`     // payment hash, or txid
	Proof     string      `json:"proof,omitempty"`    // preimage
	Begun     uint64      `json:"begun,omitempty"`    // milliseconds since 1970, of the first try
	Ended     uint64      `json:"ended,omitempty"`
}

// Stage is how far an item has come.
type Stage string

const (
	Waiting   Stage = "waiting"   // for its turn, or for its next try
	Begun     Stage = "begun"     // handed to the rails, or about to be
	Returning Stage = "returning" // it arrived, and the hub's part of the fee is being given back
	Paid      Stage = "paid"      // over
	Failed    Stage = "failed"    // over: it never will arrive
	Skipped   Stage = "skipped"   // over: it was never begun
)

// Over says whether the stage is final.
func (s Stage) Over() bool { return s == Paid || s == Failed || s == Skipped }

// Why an item was not paid, beside what the rails say (see channels.Payout.Reason).
const (
	Cancelled       Reason = "cancelled"            // by an operator
	SettingsChanged Reason = "settings_changed"     // since the run was made
	InvalidLine     Reason = "invalid"              // of an import
	ReturnRefused   Reason = "fee_share_not_repaid" // paid, but the hub's income does not suffice for its part of the fee
)

// event is something that happened to an item.
type event struct {
	kind  eventKind
	now   uint64
	id    channels.ID // evArrived, evReissued: of the transfer that gives back
	fee   ledger.Msat // evArrived
	hash  string      // evArrived
	proof string      // evArrived
	why   Reason      // evFailed, evDropped, evReturned
	tries uint8       // evFailed: at most so many
	ended bool        // evFailed: by an operator, whose word is not to be undone by another try
}

type eventKind uint8

const (
	evBegin    eventKind = iota + 1 // its turn has come
	evDropped                       // it is not to begin any more
	evArrived                       // the payout is done
	evFailed                        // the payout failed for ever, or was refused: its money is back
	evReissued                      // the transfer's id is too old to be sent, and was never applied
	evReturned                      // the hub's part of the fee is given back, or cannot be
)

// firstRetry is how long an item waits before its second try, in milliseconds; before each one after that, twice as long.
const firstRetry = 30_000

// step is the machine of an item: what it becomes by an event. Events that do not belong to a stage change nothing.
//
//	         evBegin          evArrived, the hub pays of the fee          evReturned
//	Waiting ─────────▶ Begun ───────────────────────────────────▶ Returning ─────────▶ Paid
//	  │  ▲              │ │ │                 evArrived                                 ▲
//	  │  └──────────────┘ │ └───────────────────────────────────────────────────────────┘
//	  │ evDropped   evFailed, and may be tried again
//	  ▼                   ▼ evFailed
//	Skipped             Failed
//
// The item is written before what it says is done: a payout is handed over in Begun, and its id is made of the item and Try, so that
// handing it over again after a crash is the same payout. A next try has another id, and is only made when the one before it has failed
// for ever.
func (i Item) step(e event) Item {
	switch {
	case i.Stage == Waiting && e.kind == evBegin:
		i.Stage, i.NotBefore = Begun, 0
		if i.Try++; i.Try == 1 {
			i.Begun = e.now
		}
	case i.Stage == Waiting && e.kind == evDropped:
		if i.Stage = Skipped; i.Try > 0 {
			i.Stage = Failed
		}
		i.Reason, i.NotBefore, i.Ended = e.why, 0, e.now
	case i.Stage == Begun && e.kind == evArrived:
		i.Stage, i.Reason, i.Fee, i.Hash, i.Proof, i.Ended = Paid, "", e.fee, e.hash, e.proof, e.now
		if back := mulDiv(e.fee, uint64(i.HubFee), 100); back > 0 {
			i.Stage, i.ReturnID, i.Returned = Returning, e.id, back
		}
	case i.Stage == Begun && e.kind == evFailed:
		i.Stage, i.Reason, i.Ended = Failed, e.why, e.now
		if i.Try < e.tries && !e.ended && i.retryable(e.why) {
			i.Stage, i.NotBefore, i.Ended = Waiting, e.now+firstRetry<<(i.Try-1), 0
		}
	case i.Stage == Returning && e.kind == evReissued:
		i.ReturnID = e.id
	case i.Stage == Returning && e.kind == evReturned:
		i.Stage, i.Reason = Paid, e.why
		if e.why != "" {
			i.Returned = 0
		}
	}
	return i
}

// final are the reasons for which it makes no sense to try again within a run. What is not here may be other tomorrow: no route, no
// liquidity, a node or a server that does not answer.
var final = map[Reason]bool{
	"insufficient_funds": true, "unknown_account": true, "not_allowed": true, "paid_before": true, "wrong_network": true, "dust": true,
	"unknown_target": true, "bad_amount": true, "no_rail": true, "incorrect_details": true, "invoice_expired": true, "not_sent_in_time": true,
}

// retryable says whether another try makes sense. One to a lightning address or an LNURL gets another invoice.
func (i *Item) retryable(why Reason) bool {
	if why == "incorrect_details" || why == "invoice_expired" {
		return i.To.Way == ToLightningAddress || i.To.Way == ToLNURL
	}
	return !final[why]
}

// payoutID names the payout of one try of an item.
func payoutID(run channels.ID, number uint32, try uint8) (id channels.ID) {
	text := binary.BigEndian.AppendUint32(append([]byte("millrace settlement\x00"), run[:]...), number)
	sum := sha256.Sum256(append(text, try))
	copy(id[:], sum[:])
	return id
}

// origin is how payouts of runs are told from others: see channels.Request.
func origin(run channels.ID, number uint32, try uint8) string {
	return fmt.Sprintf("settlement %s %d %d", run, number, try)
}

func parseOrigin(text string) (run channels.ID, number uint32, try uint8, ok bool) {
	var name string
	if _, err := fmt.Sscanf(text, "settlement %36s %d %d", &name, &number, &try); err != nil {
		return run, 0, 0, false
	}
	return run, number, try, run.UnmarshalText([]byte(name)) == nil
}

// request is what the rails are asked for: the same each time.
func (i *Item) request(run channels.ID, number uint32) channels.Request {
	memo := i.Reference
	if i.Given != "" && memo != "" {
		memo = i.Given + ": " + memo
	}
	return channels.Request{
		Key: channels.Key{Account: i.Account, ID: payoutID(run, number, i.Try)}, To: i.To.Text,
		Amount: i.Amount, FeeLimit: i.FeeLimit, Memo: memo, Origin: origin(run, number, i.Try),
	}
}
