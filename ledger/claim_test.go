package ledger_test

import (
	"bytes"
	"testing"

	"github.com/millrace/millrace/ledger"
)

// TestLargestClaim: as many contents and payees as a claim can have. Its end is one entry of MaxLegs legs, in which everybody
// stands once whom it concerns; one payee more is refused.
func TestLargestClaim(t *testing.T) {
	for _, version := range []uint32{ledger.ForClaimant, ledger.AgainstClaimant} {
		w := newWorkbench(t, ledger.Params{FeePPM: 10_000, IDWindow: 60_000})
		seller, claimant, buyer := w.account(0), w.account(0), w.account(1_000_000)
		var payees []ledger.Payee
		for range ledger.MaxClaimPayees {
			payees = append(payees, ledger.Payee{Account: w.account(0), Share: 1})
		}
		var ids []ledger.ContentID
		for i := range ledger.MaxClaimContents + 1 {
			id := ledger.ContentID{byte(1 + i)}
			some := payees[i%4*ledger.MaxPayees:][:ledger.MaxPayees]
			if i == ledger.MaxClaimContents {
				some = []ledger.Payee{{Account: w.account(0), Share: 1}}
			}
			w.must(ledger.Op{Kind: ledger.OpRegister, Actor: seller, Amount: 1000, ID: id}, registration(byte(1+i), some...))
			ids = append(ids, id)
		}
		last := len(ids) - 1
		full := bytes.Repeat([]byte{'x'}, ledger.MaxStatement)
		if n := len(claimOf(string(full), ids[:last]...)); n != ledger.MaxDetail {
			t.Errorf("a detail of %d bytes, MaxDetail is %d", n, ledger.MaxDetail)
		}
		for _, c := range []struct {
			ids  []ledger.ContentID
			want ledger.Result
		}{{ids, ledger.OpMalformed}, {ids[1:], ledger.ClaimInvalid}, {nil, ledger.ClaimInvalid}} {
			op := ledger.Op{Kind: ledger.OpClaim, Actor: claimant, Version: answerTime, ID: w.newID(testTime)}
			if got := w.do(testTime, op, claimOf(string(full), c.ids...)).Result(); got != c.want {
				t.Errorf("%d contents: %v, want %v", len(c.ids), got, c.want)
			}
		}
		no := w.must(ledger.Op{Kind: ledger.OpClaim, Actor: claimant, Version: answerTime}, claimOf(string(full), ids[:last]...))
		for _, id := range ids[:last] {
			w.must(ledger.Op{Kind: ledger.OpUnlock, Actor: buyer, Amount: 1000, ID: id}, nil)
		}
		w.must(ledger.Op{Kind: ledger.OpAnswer, Actor: seller, Target: no}, say(string(full)))
		w.must(ledger.Op{Kind: ledger.OpDecide, Target: no, Version: version}, say(string(full)))
		legs := w.state.Last().Legs
		if len(legs) != ledger.MaxLegs {
			t.Errorf("version %d: %d legs, MaxLegs is %d", version, len(legs), ledger.MaxLegs)
		}
		for a := ledger.FirstAccount; a < ledger.FirstAccount+ledger.AccountNo(w.state.Counts().Accounts); a++ {
			n := 0
			for i := range legs {
				if legs[i].Touches(a) {
					n++
				}
			}
			if c, _ := w.state.Content(ids[last]); (n == 1) == (a == buyer || a == c.Payees[0].Account) {
				t.Errorf("version %d: account %v stands in %d legs", version, a, n)
			}
		}
		if a, _ := w.state.Account(claimant); version == ledger.ForClaimant && a.Available != 16*990 {
			t.Errorf("the claimant got %d", a.Available)
		}
		if s, err := ledger.Restore(bytes.NewReader(snapshot(t, w.state.View())), testSeed); err != nil || s.Digest() != w.state.Digest() {
			t.Errorf("restored: %v", err)
		}
	}
}

// TestClaimsInViews: a view has the claims as they were, however they go on.
func TestClaimsInViews(t *testing.T) {
	s := newScene(t, ledger.DefaultParams())
	v := s.state.View()
	before := snapshot(t, v)
	s.must(ledger.Op{Kind: ledger.OpAnswer, Actor: s.mallory, Target: 1}, say("no"))
	s.must(ledger.Op{Kind: ledger.OpDecide, Target: 1, Version: ledger.ForClaimant, Amount: 5}, say("yes"))
	if !bytes.Equal(before, snapshot(t, v)) {
		t.Error("the view changed")
	}
	old, err := ledger.Restore(bytes.NewReader(before), testSeed)
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := old.Claim(1); !ok || c.Status != ledger.ClaimOpen || c.Contents[0].Price != 100 {
		t.Errorf("%+v", c)
	}
	if c, _ := old.Content(taken); c.Claim != 1 || c.Seller != s.mallory {
		t.Errorf("%+v", c)
	}
	if c, _ := s.state.Content(taken); c.Claim != 0 || c.Seller != s.alice || c.Price != 5 || c.PriceVersion != 2 {
		t.Errorf("%+v", c)
	}
}

func TestClaimNumbers(t *testing.T) {
	for _, n := range []ledger.ClaimNo{1, 31, 1 << 20, 1<<32 - 1} {
		if back, err := ledger.ParseClaimNo(n.String()); err != nil || back != n || n.String()[0] != 'd' {
			t.Errorf("%d: %s, %v", n, n, err)
		}
	}
	if _, err := ledger.ParseClaimNo(ledger.ChannelNo(5).String()); err == nil {
		t.Error("a channel is a claim")
	}
	if ledger.ClaimStatus(99).String() != "" || ledger.ClaimRejected.String() != "rejected" {
		t.Error("names of statuses")
	}
}

// TestOrderOfClaimChecks: as TestOrderOfChecks.
func TestOrderOfClaimChecks(t *testing.T) {
	s := newScene(t, ledger.DefaultParams())
	now := s.state.Now()
	good, none := s.newID(now), ledger.ContentID{99}
	claim := ledger.Op{Kind: ledger.OpClaim, Actor: s.alice, Version: answerTime, ID: good}
	by := func(a ledger.AccountNo) ledger.Op { op := claim; op.Actor = a; return op }
	bare := claim
	bare.ID = [16]byte{}
	for _, c := range []struct {
		first, second ledger.Result
		op            ledger.Op
		detail        []byte
	}{
		{ledger.OpMalformed, ledger.IDInvalid, bare, []byte("short")},
		{ledger.IDInvalid, ledger.ContentUnknown, bare, claimOf("", none)},
		{ledger.AccountUnknown, ledger.ContentUnknown, by(s.mallory + 1), claimOf("", none)},
		{ledger.ContentUnknown, ledger.ClaimInvalid, claim, claimOf("", s.song, fine, none)},
		{ledger.ClaimInvalid, ledger.OwnContent, by(s.mallory), claimOf("", fine, s.song)},
		{ledger.ClaimInvalid, ledger.ContentClaimed, claim, claimOf("", taken, taken)},
		{ledger.OwnContent, ledger.ContentClaimed, by(s.mallory), claimOf("", taken)},
		{ledger.NotPermitted, ledger.ClaimClosed, ledger.Op{Kind: ledger.OpAnswer, Actor: s.bob, Target: 3}, say("x")},
		{ledger.ClaimClosed, ledger.AnswerGiven, ledger.Op{Kind: ledger.OpAnswer, Actor: s.mallory, Target: 3}, say("x")},
		{ledger.NotPermitted, ledger.AnswerGiven, ledger.Op{Kind: ledger.OpAnswer, Actor: s.bob, Target: 2}, say("x")},
		{ledger.NotPermitted, ledger.ClaimClosed, ledger.Op{Kind: ledger.OpWithdrawClaim, Actor: s.mallory, Target: 3}, nil},
		{ledger.AmountTooLarge, ledger.ClaimUnknown, ledger.Op{Kind: ledger.OpDecide, Target: 9, Version: 1, Amount: ledger.MaxMsat + 1}, say("x")},
		{ledger.OpMalformed, ledger.AmountTooLarge, ledger.Op{Kind: ledger.OpDecide, Target: 9, Version: 2, Amount: ledger.MaxMsat + 1}, say("x")},
		{ledger.NotPermitted, ledger.ContentClaimed, ledger.Op{Kind: ledger.OpSplit, Actor: s.bob, ID: taken}, ledger.AppendPayees(nil, []ledger.Payee{{Account: s.bob, Share: 1}})},
	} {
		if c.first >= c.second {
			t.Fatalf("the table has %v before %v", c.first, c.second)
		}
		if got := s.state.Check(&c.op, c.detail, now).Result(); got != c.first {
			t.Errorf("%v with %v and %v: got %v", c.op.Kind, c.first, c.second, got)
		}
	}
}
