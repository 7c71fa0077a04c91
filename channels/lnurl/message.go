package lnurl

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/millrace/millrace/ledger"
)

const (
	tagPay      = "payRequest"
	tagWithdraw = "withdrawRequest"

	statusOK    = "OK"
	statusError = "ERROR"
)

// PayRequest is what can be paid at an LNURL (LUD-06).
type PayRequest struct {
	Tag            string          `json:"tag"`
	Callback       string          `json:"callback"`
	MinSendable    Amount          `json:"minSendable"`
	MaxSendable    Amount          `json:"maxSendable"`
	Metadata       string          `json:"metadata"` // as it was sent: its hash is in the invoice
	CommentAllowed int             `json:"commentAllowed,omitempty"`
	PayerData      json.RawMessage `json:"payerData,omitempty"` // LUD-18: what they want to know of the payer
}

// PayAnswer is the invoice of a callback (LUD-06), and where to ask whether it was paid (LUD-21).
type PayAnswer struct {
	Invoice string         `json:"pr"`
	Routes  []struct{}     `json:"routes"` // always empty, never null
	Success *SuccessAction `json:"successAction,omitempty"`
	Verify  string         `json:"verify,omitempty"`
}

// SuccessAction is what to show after a payment (LUD-09, LUD-10).
type SuccessAction struct {
	Tag         string `json:"tag"` // message, url or aes
	Message     string `json:"message,omitempty"`
	Description string `json:"description,omitempty"`
	URL         string `json:"url,omitempty"`
	Ciphertext  string `json:"ciphertext,omitempty"`
	IV          string `json:"iv,omitempty"`
}

// VerifyAnswer says whether an invoice was paid (LUD-21).
type VerifyAnswer struct {
	Status   string  `json:"status"`
	Settled  bool    `json:"settled"`
	Preimage *string `json:"preimage"` // hex
	Invoice  string  `json:"pr"`
}

// WithdrawRequest is what can be withdrawn at an LNURL (LUD-03).
type WithdrawRequest struct {
	Tag                string `json:"tag"`
	Callback           string `json:"callback"`
	K1                 string `json:"k1"`
	DefaultDescription string `json:"defaultDescription"`
	MinWithdrawable    Amount `json:"minWithdrawable"`
	MaxWithdrawable    Amount `json:"maxWithdrawable"`
}

// KeysendAnswer is how an account can be paid without an invoice, as podcast players look it up: /.well-known/keysend.
type KeysendAnswer struct {
	Status string         `json:"status"`
	Tag    string         `json:"tag"` // keysend
	Key    string         `json:"pubkey"`
	Data   []KeysendValue `json:"customData"`
}

// KeysendValue is a TLV record that names the account.
type KeysendValue struct {
	Key   string `json:"customKey"` // the record's type
	Value string `json:"customValue"`
}

// Status is the answer that has nothing else to say.
type Status struct {
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"`
}

// OK is the Status of what went well.
func OK() Status { return Status{Status: statusOK} }

// Failed is the Status of what did not.
func Failed(reason string) Status { return Status{Status: statusError, Reason: reason} }

// Refusal is what a service said instead of an answer. Its text is a stranger's.
type Refusal struct{ Reason string }

func (r *Refusal) Error() string { return fmt.Sprintf("the service refused: %q", r.Reason) }

// readRefusal finds out whether an answer is one.
func readRefusal(body []byte) error {
	var s struct {
		Status any `json:"status"`
		Reason any `json:"reason"`
	}
	if err := json.Unmarshal(body, &s); err != nil {
		return errors.New("the service did not answer in JSON")
	}
	if status, _ := s.Status.(string); !strings.EqualFold(status, statusError) {
		return nil
	}
	reason, _ := s.Reason.(string)
	return &Refusal{Reason: shorten(reason, 200)}
}

// shorten makes a stranger's text safe to show and to log.
func shorten(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd"))
	for i := range text {
		if i > most {
			return text[:i]
		}
	}
	return text
}

// Amount is in msat. Some services write whole numbers as floats.
type Amount ledger.Msat

// UnmarshalJSON reads a whole number up to all the bitcoin there can be.
func (a *Amount) UnmarshalJSON(text []byte) error {
	if n, err := strconv.ParseUint(string(text), 10, 64); err == nil && n <= uint64(ledger.MaxMsat) {
		*a = Amount(n)
		return nil
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil || f != math.Trunc(f) || f < 0 || f >= 1<<53 {
		return fmt.Errorf("%.32q is not a number of msat", text)
	}
	*a = Amount(f)
	return nil
}
