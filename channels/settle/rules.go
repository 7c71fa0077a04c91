package settle

import (
	"errors"
	"fmt"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// Rules are the house's: what the operator allows, and by what a plan chooses. They are stored, and can be changed while the hub runs.
type Rules struct {
	// Caps in msat, of what leaves the hub; zero: no cap. Those of a payout and of an account's day are with the limits of fees, which are the
	// account's to set; that of a run is without them. What is above a cap of a payout is not paid until the operator raises it; what is
	// above one of an account's day waits for the next day (UTC), and of a run for the next run.
	MaxPayout     ledger.Msat `json:"max_payout_msat,omitempty"`
	MaxAccountDay ledger.Msat `json:"max_account_day_msat,omitempty"`
	MaxRun        ledger.Msat `json:"max_run_msat,omitempty"`
	// TwoOperators is what a run may pay without anybody's approval; above it, two operators must approve. Zero: no limit.
	TwoOperators ledger.Msat `json:"two_operators_above_msat,omitempty"`

	// LargeAbove is where, with both rails open and no preference, the chain is taken whatever Lightning costs. Zero: never.
	LargeAbove ledger.Msat `json:"large_above_msat,omitempty"`
	// MaxFee bounds what a payment costs in parts per million of its amount, where the payee's settings do not. Zero: 5 %.
	MaxFee uint32 `json:"max_fee_ppm,omitempty"`
	// LightningBase and LightningFee are the limit on the fee of a Lightning payment: so much, and so many parts per million
	// of its amount. Both zero: 1 sat and 0.5 %.
	LightningBase ledger.Msat `json:"lightning_fee_base_msat,omitempty"`
	LightningFee  uint32      `json:"lightning_fee_ppm,omitempty"`
	// Tries is how often a payment is tried within a run, each time after twice as long as before. Zero: 4.
	Tries uint8 `json:"tries,omitempty"`
}

const (
	maxTries       = 10
	defaultTries   = 4
	defaultMaxFee  = 50_000
	defaultBase    = 1000
	defaultLimit   = 5000
	aloneOverhead  = 124 // virtual bytes of a transaction beside what it is made for: an input, change, the rest
	batchOverhead  = 20  // a payee's share of that, among fewOthers or more; also where some of these come later
	fewOthers      = 4
	chainMargin    = 2 // the limit of an on-chain fee is so many times what it is thought to be: the transaction is made later
	satoshi        = 1000
	leastLightning = satoshi
)

// ErrRules is wrapped by every error about rules.
var ErrRules = errors.New("not rules for payouts")

func (r *Rules) check() error {
	for _, amount := range []ledger.Msat{r.MaxPayout, r.MaxAccountDay, r.MaxRun, r.TwoOperators, r.LargeAbove, r.LightningBase} {
		if amount > ledger.MaxMsat {
			return fmt.Errorf("%w: an amount is at most %d msat", ErrRules, ledger.MaxMsat)
		}
	}
	if r.MaxFee > ledger.PPM || r.LightningFee > ledger.PPM {
		return fmt.Errorf("%w: a part of an amount is at most %d ppm", ErrRules, ledger.PPM)
	}
	if r.Tries > maxTries {
		return fmt.Errorf("%w: tries is at most %d", ErrRules, maxTries)
	}
	return nil
}

func (r *Rules) tries() uint8 {
	if r.Tries == 0 {
		return defaultTries
	}
	return r.Tries
}

// maxFee is the limit for a payee in parts per million.
func (r *Rules) maxFee(own uint32) uint32 {
	switch {
	case own != 0:
		return own
	case r.MaxFee != 0:
		return r.MaxFee
	}
	return defaultMaxFee
}

func (r *Rules) lightning() (base ledger.Msat, ppm uint32) {
	if r.LightningBase == 0 && r.LightningFee == 0 {
		return defaultBase, defaultLimit
	}
	return r.LightningBase, r.LightningFee
}

// Market is what a plan is made against: what can leave now, and what that costs. The zero value lets nothing leave.
type Market struct {
	Lightning     ledger.Msat      `json:"lightning_msat"`         // what our side of the channels can send
	LightningMost ledger.Msat      `json:"lightning_largest_msat"` // in one payment
	Coins         ledger.Msat      `json:"coins_msat"`             // confirmed, and not kept for channels that close
	Rate          channels.FeeRate `json:"rate_sat_per_kvb"`
}

// chainFee is what a payment to an output of a size is thought to cost beside others, in whole satoshis.
func (m *Market) chainFee(vsize uint8, others bool) ledger.Msat {
	size := int64(vsize) + aloneOverhead
	if others {
		size = int64(vsize) + batchOverhead
	}
	return ledger.Msat((int64(m.Rate)*size + 999) / 1000 * satoshi)
}
