package api

import (
	"errors"
	"strconv"
	"strings"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/ledger"
	"github.com/valyala/fasthttp"
)

// problem is an error as the API tells it: RFC 9457 with two members of ours, code and retryable.
type problem struct {
	status    int
	code      string // stable, for programs
	detail    string // for people
	retryable bool
	allow     string // of a 405
	offer     string // JSON: what a 402 would buy; empty: nothing is said of it
}

const problemType = "application/problem+json"

func (p problem) write(ctx *fasthttp.RequestCtx) {
	ctx.Response.Reset()
	ctx.SetStatusCode(p.status)
	ctx.SetContentType(problemType)
	h := &ctx.Response.Header
	switch {
	case p.status == 401:
		h.Set("WWW-Authenticate", "Bearer")
	case p.code == "no_space", p.code == "backup_under_way":
		h.Set("Retry-After", "5") // it takes somebody, or a while
	case p.status == 503, p.code == "too_many_refusals":
		h.Set("Retry-After", "1")
	case p.status == 429:
		h.Set("Retry-After", "60") // the next minute, in which a channel's terms allow something again
	case p.allow != "":
		h.Set("Allow", p.allow)
	}
	b := append(make([]byte, 0, 256), `{"type":"urn:millrace:problem:`...)
	b = append(b, p.code...)
	b = append(b, `","title":`...)
	b = appendString(b, title(p.code))
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(p.status), 10)
	if p.detail != "" {
		b = append(b, `,"detail":`...)
		b = appendString(b, p.detail[:min(len(p.detail), 1000)])
	}
	b = append(b, `,"code":"`...)
	b = append(b, p.code...)
	b = append(b, `","retryable":`...)
	b = strconv.AppendBool(b, p.retryable)
	if p.offer != "" {
		b = append(append(b, `,"offer":`...), p.offer...)
	}
	ctx.Response.SetBody(append(b, '}'))
}

// title is the code as words.
func title(code string) string {
	return strings.ToUpper(code[:1]) + strings.ReplaceAll(code[1:], "_", " ")
}

// refusals is the one table from a refusal to its HTTP status, and to what a person is told.
var refusals = map[ledger.Result]struct {
	status int
	detail string
}{
	ledger.OpMalformed:       {422, "the op has a field that its kind does not allow, or lacks one that it needs"},
	ledger.AmountZero:        {400, "the amount is zero"},
	ledger.AmountTooLarge:    {400, "the amount is above 21 million bitcoin"},
	ledger.IDInvalid:         {400, "the id is not a UUIDv7"},
	ledger.IDExpired:         {422, "the id is older than the window in which the hub recognises repeats: use a new one only if you know that the old one was not applied"},
	ledger.IDAhead:           {422, "the id is ahead of the hub's clock"},
	ledger.IDReused:          {409, "the id was used for another op"},
	ledger.AccountUnknown:    {404, "there is no such account"},
	ledger.PayeeUnknown:      {404, "there is no such account to pay"},
	ledger.SameAccount:       {422, "payer and payee are the same account"},
	ledger.ChannelUnknown:    {404, "there is no such channel"},
	ledger.HoldUnknown:       {404, "there is no such hold"},
	ledger.ContentUnknown:    {404, "there is no such content"},
	ledger.NotPermitted:      {403, "it belongs to another account"},
	ledger.WrongMode:         {409, "not in a channel of this mode, or not by this party of it: a signed channel is moved by vouchers alone, and before its expiry the payee alone closes it; of another the payer or the payee sets the total, as its mode says"},
	ledger.VoucherInvalid:    {422, "the signature is not that of the channel's payer for this hub, this channel and this total"},
	ledger.ContentExists:     {409, "the content id is registered with other terms"},
	ledger.CommitmentTaken:   {409, "the file key is registered under another content"},
	ledger.SplitInvalid:      {422, "want 1 to 16 different payees with shares of 1 to 1,000,000"},
	ledger.ExpiryInvalid:     {422, "the expiry must lie after now, and at most five years ahead; a renewal only puts it off"},
	ledger.ChannelClosed:     {409, "the channel is closed"},
	ledger.ChannelExpired:    {410, "the channel's time has run out"},
	ledger.HoldClosed:        {409, "the hold was captured or voided"},
	ledger.ContentRetired:    {410, "the content is off sale"},
	ledger.TotalBelow:        {409, "the channel's total is higher already"},
	ledger.TotalAbove:        {402, "the total is more than the channel is funded with"},
	ledger.PriceChanged:      {409, "the price version is not the present one: ask for a new quote"},
	ledger.PriceTooHigh:      {402, "the price is above the maximum named"},
	ledger.InsufficientFunds: {402, "the account has not enough at hand"},
	ledger.SupplyExceeded:    {409, "the hub would hold more than 21 million bitcoin"},
	ledger.RateExceeded:      {429, "more than the channel's terms allow in one minute: send the same again in the next, or less now"},
	ledger.UnitUnknown:       {422, "there is no such unit, or the content is not sold by units, or by them alone"},
	ledger.SaleEnded:         {410, "the sale has ended"},
	ledger.SoldOut:           {410, "no copy is left"},
	ledger.RateEarly:         {429, "the currency had too many rates in the last minute"},
	ledger.RateStale:         {503, "the hub has no rate of the currency, or only an old one"},
	ledger.PriceOutOfRange:   {409, "the price is above 21 million bitcoin by the present rate"},
	ledger.TermsInvalid:      {422, "the terms are out of bounds, or contradict each other"},
	ledger.ClaimUnknown:      {404, "there is no such claim"},
	ledger.ClaimInvalid:      {422, "want 1 to 16 different contents of one seller, with at most 64 payees together"},
	ledger.OwnContent:        {409, "the claimant sells it himself"},
	ledger.ContentClaimed:    {409, "a claim on the content is yet to be decided"},
	ledger.ClaimClosed:       {409, "the claim was withdrawn, or decided in another way"},
	ledger.AnswerGiven:       {409, "the claim was answered in other words"},
	ledger.AnswerLate:        {410, "the time to answer has run out"},
	ledger.ClaimPending:      {409, "the seller can still answer: decide it when he has, or after the deadline"},
}

// refusal is the problem of a refused op.
func refusal(r ledger.Result) *problem {
	row := refusals[r]
	return &problem{status: row.status, code: r.String(), detail: row.detail, retryable: r.Retryable()}
}

// cannotNow is the problem of an op of which nothing is known to have been done.
func cannotNow(err error) *problem {
	p := &problem{status: 503, code: "unavailable", retryable: true, detail: "the hub cannot do this now: send the same request again"}
	switch {
	case errors.Is(err, hub.ErrOverload):
		p.code, p.detail = "overloaded", "more payments wait than the hub takes: send the same request again in a moment"
	case errors.Is(err, hub.ErrNoSpace):
		p.code, p.detail = "no_space", "the hub's disk is full: nothing was done, send the same request again when there is room; reads, and opening what is owned, go on"
	case errors.Is(err, hub.ErrClosed):
		p.code, p.detail = "stopping", "the hub is stopping: send the same request again in a moment"
	case errors.Is(err, hub.ErrUnknown):
		p.code, p.detail = "outcome_unknown", "the hub stopped while the op was on its way: send the same request again to learn its outcome"
	}
	return p
}
