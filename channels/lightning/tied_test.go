package lightning

import (
	"testing"

	"github.com/lightningnetwork/lnd/lnrpc"

	"github.com/millrace/millrace/channels"
)

// TestTied: the fee of BOLT 3's weights, whatever rounding and dust add to what lnd reports.
func TestTied(t *testing.T) {
	for _, tt := range []struct {
		name           string
		kind           lnrpc.CommitmentType
		rate, reported int64
		htlcs          int
		want           channels.Sat
	}{
		{"anchors", lnrpc.CommitmentType_ANCHORS, 2500, 2810, 0, 2810 + 660},
		{"and parts of a satoshi", lnrpc.CommitmentType_ANCHORS, 2500, 2811, 0, 2810 + 660},
		{"and a balance that is dust", lnrpc.CommitmentType_ANCHORS, 2500, 3110, 0, 2810 + 660},
		{"a payment under way", lnrpc.CommitmentType_ANCHORS, 2500, 3240, 1, 3240 + 660},
		{"three, one of them dust", lnrpc.CommitmentType_ANCHORS, 2500, 3670 + 200, 3, 3670 + 660},
		{"the least rate", lnrpc.CommitmentType_ANCHORS, 253, 285, 0, 284 + 660},
		{"a lease", lnrpc.CommitmentType_SCRIPT_ENFORCED_LEASE, 2500, 2810, 0, 2810 + 660},
		{"taproot", lnrpc.CommitmentType_TAPROOT, 2500, 2420, 0, 2420 + 660},
		{"without anchors", lnrpc.CommitmentType_STATIC_REMOTE_KEY, 2500, 1810, 0, 1810},
		{"the oldest", lnrpc.CommitmentType_LEGACY, 12_500, 9050, 0, 9050},
	} {
		if got := tied(tt.kind, tt.rate, tt.reported, tt.htlcs); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}
