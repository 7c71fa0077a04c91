package lightning

import (
	"github.com/lightningnetwork/lnd/input"
	"github.com/lightningnetwork/lnd/lnrpc"

	"github.com/millrace/millrace/channels"
)

// anchorsAmount is what the two anchor outputs of a commitment transaction have together (BOLT 3).
const anchorsAmount channels.Sat = 2 * 330

// tied is what the initiator of a channel has set aside for its commitment transaction: the fee by the channel's rate, in satoshis per
// 1,000 units of weight, and the anchors. reported is what lnd calls the fee: all that the outputs do not have. It can be more by the parts
// of satoshis that balances have, and by outputs that are dust; these are in the balances already. Only so many of the HTLCs have outputs
// as that fee has room for.
func tied(kind lnrpc.CommitmentType, rate, reported int64, htlcs int) channels.Sat {
	weight, anchors := int64(input.CommitWeight), channels.Sat(0)
	switch kind {
	case lnrpc.CommitmentType_ANCHORS, lnrpc.CommitmentType_SCRIPT_ENFORCED_LEASE:
		weight, anchors = input.AnchorCommitWeight, anchorsAmount
	case lnrpc.CommitmentType_TAPROOT, lnrpc.CommitmentType_SIMPLE_TAPROOT, lnrpc.CommitmentType_SIMPLE_TAPROOT_OVERLAY:
		weight, anchors = input.TaprootCommitWeight, anchorsAmount
	}
	fee := rate * weight / 1000
	for n := int64(1); n <= int64(htlcs); n++ {
		if more := rate * (weight + n*input.HTLCWeight) / 1000; more <= reported {
			fee = more
		}
	}
	return channels.Sat(fee) + anchors
}
