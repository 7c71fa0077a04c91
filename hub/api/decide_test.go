package api

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/channels/audit"
)

// forgetful are records that are always empty: an auditor has what it wrote in memory.
type forgetful struct{}

func (forgetful) Get([]byte) ([]byte, error)                             { return nil, nil }
func (forgetful) Scan(_, _ []byte, _ func(key, value []byte) bool) error { return nil }
func (forgetful) Write(...channels.Row) error                            { return nil }

// TestBorne: nobody decides that an account paid what the operator has borne, and the refusal says what to do.
func TestBorne(t *testing.T) {
	a, err := audit.New(audit.Config{Store: forgetful{}, Ledger: struct{ audit.Ledger }{}, Node: struct{ audit.Node }{}, History: struct{ audit.History }{},
		Records: struct{ audit.Records }{}, Archive: struct{ audit.Archive }{}})
	if err != nil {
		t.Fatal(err)
	}
	w := channels.Payout{Rail: channels.Lightning, Hash: channels.Hash{1}}
	if p := borne(a, &w); p != nil {
		t.Errorf("%+v", p)
	}
	if _, err := a.Adjust(audit.Adjustment{ID: "mine", Amount: -5, Ref: w.Hash.String(), Reason: "paid after the backup"}); err != nil {
		t.Fatal(err)
	}
	if p := borne(a, &w); p == nil || p.status != 409 || !strings.Contains(p.detail, `"mine"`) {
		t.Errorf("%+v", p)
	}
	if p := borne(nil, &w); p != nil {
		t.Errorf("without a node: %+v", p)
	}
}
