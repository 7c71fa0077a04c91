package lightning

import (
	"maps"
	"slices"
	"testing"

	"github.com/lightningnetwork/lnd/lnrpc"
)

func TestReplaced(t *testing.T) {
	tx := func(id string, fee int64, coins ...string) *lnrpc.Transaction {
		t := &lnrpc.Transaction{TxHash: id, TotalFees: fee}
		for _, coin := range coins {
			t.PreviousOutpoints = append(t.PreviousOutpoints, &lnrpc.PreviousOutPoint{Outpoint: coin})
		}
		return t
	}
	for _, tt := range []struct {
		name    string
		waiting []*lnrpc.Transaction
		want    []string
	}{
		{"none", nil, nil},
		{"nothing in common", []*lnrpc.Transaction{tx("a", 5, "1"), tx("b", 6, "2"), tx("c", 0, "3")}, nil},
		{"twice", []*lnrpc.Transaction{tx("a", 5, "1", "2"), tx("b", 7, "1", "2"), tx("c", 6, "2", "1")}, []string{"a", "c"}},
		{"one coin in common", []*lnrpc.Transaction{tx("a", 5, "1", "2"), tx("b", 7, "2", "3")}, []string{"a"}},
		{"of others", []*lnrpc.Transaction{tx("a", 0, "1"), tx("b", 0, "1")}, nil},
		{"the same fee", []*lnrpc.Transaction{tx("a", 5, "1"), tx("b", 5, "1")}, nil},
	} {
		for range 2 {
			if got := slices.Sorted(maps.Keys(replaced(tt.waiting))); !slices.Equal(got, tt.want) {
				t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
			}
			slices.Reverse(tt.waiting)
		}
	}
}
