package ledger

import "fmt"

// Result is the outcome of an op. The numbers are part of the binary API and never change; their order is the order of the
// checks, so an op with several faults is always refused for the same one.
type Result uint8

const (
	// Undecided is the zero value. It never leaves the hub.
	Undecided Result = 0

	Done     Result = 1 // the op was applied
	Repeated Result = 2 // the same op was applied before: this is its outcome, and nothing changed now

	// The op by itself.
	OpMalformed    Result = 10 // unknown kind, or a field that its kind does not allow
	AmountZero     Result = 11
	AmountTooLarge Result = 12 // above MaxMsat

	// The op's id.
	IDInvalid Result = 20 // not a UUIDv7
	IDExpired Result = 21 // older than the window within which repeats are recognised
	IDAhead   Result = 22 // further ahead of the ledger's clock than allowed
	IDReused  Result = 23 // applied before with another body; 24 was another's in an earlier format

	// What the op names.
	AccountUnknown Result = 30
	PayeeUnknown   Result = 31
	SameAccount    Result = 32 // payer and payee are one
	ChannelUnknown Result = 33
	HoldUnknown    Result = 34
	ContentUnknown Result = 35
	NotPermitted   Result = 36 // somebody else's channel, hold or content
	WrongMode      Result = 37 // not in a channel of this mode, or not by this party of it
	VoucherInvalid Result = 38 // no signature of the payer for this channel and total

	// The state of what it names.
	ContentExists   Result = 40 // the content id is taken by another registration
	CommitmentTaken Result = 41 // the file key is registered under another content
	SplitInvalid    Result = 42 // no payees or too many, a share out of bounds, or a payee twice
	ExpiryInvalid   Result = 43 // not later than now, or later than MaxChannelLife from now; of an expiry: not reached yet; of a renewal: sooner
	ChannelClosed   Result = 44
	ChannelExpired  Result = 45
	HoldClosed      Result = 46 // captured or voided before, in another way
	ContentRetired  Result = 47
	SaleEnded       Result = 48 // the end date of its terms has passed
	SoldOut         Result = 49 // as many copies as its terms allow are sold

	// Money.
	TotalBelow        Result = 50 // a channel's total only grows
	TotalAbove        Result = 51 // more than the channel was funded with, or than was held
	PriceChanged      Result = 52 // the price version named is not the present one
	PriceTooHigh      Result = 53 // above the maximum named, or in a currency and no maximum was named
	InsufficientFunds Result = 54
	SupplyExceeded    Result = 55 // an external account would owe, or be owed, more than MaxMsat
	UnitUnknown       Result = 56 // no such unit, or a work that is not sold by units, or one that is by them alone
	RateExceeded      Result = 60 // more than the channel's terms allow in one minute

	// Terms and rates. Without a price nothing can be said of money, so the order is that of the checks all the same.
	RateEarly       Result = 70 // it would push out a rate that still counts
	RateStale       Result = 71 // the content's currency has no rate, or only one that is too old
	PriceOutOfRange Result = 72 // above MaxMsat by the rate
	TermsInvalid    Result = 73 // out of bounds, or contradicting each other

	// Claims.
	ClaimUnknown   Result = 85
	ClaimInvalid   Result = 86 // no contents, one twice, of more than one seller, or with more than MaxClaimPayees payees
	OwnContent     Result = 87 // the claimant sells it himself
	ContentClaimed Result = 88 // a claim on it is yet to be decided: nobody else claims it, and its split stays
	ClaimClosed    Result = 89 // withdrawn, or decided in another way
	AnswerGiven    Result = 90 // in other words
	AnswerLate     Result = 91 // the deadline has passed
	ClaimPending   Result = 92 // neither answered nor past its deadline
)

var resultNames = map[Result]string{
	Done: "applied", Repeated: "repeated",
	OpMalformed: "op_malformed", AmountZero: "amount_zero", AmountTooLarge: "amount_too_large",
	IDInvalid: "id_invalid", IDExpired: "id_expired", IDAhead: "id_ahead", IDReused: "id_reused",
	AccountUnknown: "account_unknown", PayeeUnknown: "payee_unknown", SameAccount: "same_account",
	ChannelUnknown: "channel_unknown", HoldUnknown: "hold_unknown", ContentUnknown: "content_unknown",
	NotPermitted: "not_permitted", WrongMode: "wrong_mode", VoucherInvalid: "voucher_invalid", ContentExists: "content_exists", CommitmentTaken: "commitment_taken",
	SplitInvalid: "split_invalid", ExpiryInvalid: "expiry_invalid", ChannelClosed: "channel_closed",
	ChannelExpired: "channel_expired", HoldClosed: "hold_closed", ContentRetired: "content_retired",
	TotalBelow: "total_below", TotalAbove: "total_above", PriceChanged: "price_changed", PriceTooHigh: "price_too_high",
	InsufficientFunds: "insufficient_funds", SupplyExceeded: "supply_exceeded", RateExceeded: "rate_exceeded",
	SaleEnded: "sale_ended", SoldOut: "sold_out", RateEarly: "rate_early", RateStale: "rate_stale",
	PriceOutOfRange: "price_out_of_range", TermsInvalid: "terms_invalid", UnitUnknown: "unit_unknown",
	ClaimUnknown: "claim_unknown", ClaimInvalid: "claim_invalid", OwnContent: "own_content", ContentClaimed: "content_claimed",
	ClaimClosed: "claim_closed", AnswerGiven: "answer_given", AnswerLate: "answer_late", ClaimPending: "claim_pending",
}

// Results lists every result that can leave the hub, in the order of the checks.
func Results() []Result {
	var all []Result
	for r := range Result(255) {
		if _, ok := resultNames[r]; ok {
			all = append(all, r)
		}
	}
	return all
}

func (r Result) String() string {
	if name, ok := resultNames[r]; ok {
		return name
	}
	return fmt.Sprintf("result(%d)", uint8(r))
}

// OK says whether what the op asks for is so: it was applied, now or before.
func (r Result) OK() bool { return r == Done || r == Repeated }

// Refused says whether the op changed nothing because a rule rejects it.
func (r Result) Refused() bool { return r > Repeated }

// Retryable says whether the same op, byte for byte, can be applied later without a change to what it asks: the clock
// moves on, room returns, or money comes in.
func (r Result) Retryable() bool {
	switch r {
	case IDAhead, TotalAbove, InsufficientFunds, SupplyExceeded, RateExceeded, SoldOut, RateEarly, RateStale, PriceOutOfRange,
		ContentClaimed, ClaimPending:
		return true
	case Undecided, Done, Repeated,
		OpMalformed, AmountZero, AmountTooLarge,
		IDInvalid, IDExpired, IDReused,
		AccountUnknown, PayeeUnknown, SameAccount, ChannelUnknown, HoldUnknown, ContentUnknown, NotPermitted, WrongMode, VoucherInvalid,
		ContentExists, CommitmentTaken, SplitInvalid, ExpiryInvalid, ChannelClosed, ChannelExpired, HoldClosed,
		ContentRetired, SaleEnded, TermsInvalid, UnitUnknown, TotalBelow, PriceChanged, PriceTooHigh,
		ClaimUnknown, ClaimInvalid, OwnContent, ClaimClosed, AnswerGiven, AnswerLate:
		return false
	}
	return false
}
