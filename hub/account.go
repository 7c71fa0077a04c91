package hub

import (
	"time"

	"github.com/millrace/millrace/hub/token"
	"github.com/millrace/millrace/ledger"
)

// OpenAccount makes an account that nobody is named for, and the token that moves it.
func (h *Hub) OpenAccount() (ledger.Applied, string, error) {
	a, err := h.submit(ledger.Op{Kind: ledger.OpOpenAccount, ID: h.newID()}, nil)
	if err != nil || !a.Result().OK() {
		return a, "", err
	}
	text, err := h.mint.Issue(ledger.AccountNo(a.Object()), token.Limits{})
	return a, text, err
}

// Account reads an account: every msat in it is durable.
func (h *Hub) Account(no ledger.AccountNo) (ledger.Account, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.state.Account(no)
}

// IssueToken makes another token for an account.
func (h *Hub) IssueToken(no ledger.AccountNo, limits token.Limits) (string, error) {
	return h.mint.Issue(no, limits)
}

// OperatorTokenLife is for how long an operator's token is good where nobody says otherwise.
const OperatorTokenLife = 30 * 24 * time.Hour

// OperatorToken makes a token that runs the hub.
func (h *Hub) OperatorToken() (string, error) {
	return h.mint.IssueOperator(token.Limits{Expires: time.UnixMilli(int64(h.clock())).Add(OperatorTokenLife)})
}

// Verify says what a token allows now.
func (h *Hub) Verify(text []byte) (token.Grant, error) {
	return h.mint.Verify(text, time.UnixMilli(int64(h.clock())))
}
