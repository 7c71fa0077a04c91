package ledger_test

import (
	"github.com/millrace/millrace/ledger"
)

// A scene has contents "taken", "doubted" and "fine" of mallory. Alice has claimed the first, which waits for an answer, and
// bob the second, which is answered; his claim on the third was rejected.
var taken, doubted, fine = ledger.ContentID{11}, ledger.ContentID{12}, ledger.ContentID{13}

const answerTime = 24 * 60 * 60

func (s *scene) claimed() {
	for i, id := range []ledger.ContentID{taken, doubted, fine} {
		s.must(ledger.Op{Kind: ledger.OpRegister, Actor: s.mallory, Amount: 100, ID: id}, registration(byte(11+i), ledger.Payee{Account: s.mallory, Share: 1}))
	}
	s.must(ledger.Op{Kind: ledger.OpClaim, Actor: s.alice, Version: answerTime}, claimOf("taken from me", taken))
	s.must(ledger.Op{Kind: ledger.OpClaim, Actor: s.bob, Version: answerTime}, claimOf("mine", doubted))
	s.must(ledger.Op{Kind: ledger.OpAnswer, Actor: s.mallory, Target: 2}, say("it is mine"))
	s.must(ledger.Op{Kind: ledger.OpClaim, Actor: s.bob, Version: answerTime}, claimOf("mine", fine))
	s.must(ledger.Op{Kind: ledger.OpAnswer, Actor: s.mallory, Target: 3}, say("it is mine"))
	s.must(ledger.Op{Kind: ledger.OpDecide, Target: 3, Version: ledger.AgainstClaimant}, say("it was never his"))
}

func say(text string) []byte {
	return ledger.AppendStatement(nil, &ledger.Statement{SHA256: [32]byte{1}, Text: text})
}

func claimOf(text string, contents ...ledger.ContentID) []byte {
	return ledger.AppendClaim(nil, contents, &ledger.Statement{SHA256: [32]byte{1}, Text: text})
}

// claimCases adds those of claims.
func (s *scene) claimCases(all map[ledger.Result]func() (ledger.Op, []byte)) map[ledger.Result]func() (ledger.Op, []byte) {
	claim := func(actor ledger.AccountNo, contents ...ledger.ContentID) func() (ledger.Op, []byte) {
		return func() (ledger.Op, []byte) {
			return ledger.Op{Kind: ledger.OpClaim, Actor: actor, Version: answerTime, ID: s.newID(s.state.Now())}, claimOf("mine", contents...)
		}
	}
	with := func(op ledger.Op) func() (ledger.Op, []byte) {
		return func() (ledger.Op, []byte) { return op, say("so it is") }
	}
	all[ledger.ClaimUnknown] = with(ledger.Op{Kind: ledger.OpDecide, Target: 4, Version: ledger.ForClaimant})
	all[ledger.ClaimInvalid] = claim(s.alice, fine, fine)
	all[ledger.OwnContent] = claim(s.bob, s.song)
	all[ledger.ContentClaimed] = claim(s.bob, taken)
	all[ledger.ClaimClosed] = with(ledger.Op{Kind: ledger.OpDecide, Target: 3, Version: ledger.ForClaimant})
	all[ledger.AnswerGiven] = with(ledger.Op{Kind: ledger.OpAnswer, Actor: s.mallory, Target: 2})
	all[ledger.AnswerLate] = func() (ledger.Op, []byte) {
		s.do(s.state.Now()+answerTime*1000, ledger.Op{Kind: ledger.OpVoid, Actor: s.alice, Target: 99}, nil) // the clock runs
		return with(ledger.Op{Kind: ledger.OpAnswer, Actor: s.mallory, Target: 1})()
	}
	all[ledger.ClaimPending] = with(ledger.Op{Kind: ledger.OpDecide, Target: 1, Version: ledger.ForClaimant})
	return all
}
