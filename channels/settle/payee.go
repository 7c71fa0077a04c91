package settle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// Preference is which rail a payee wants where there are two.
type Preference string

const (
	PreferCheapest  Preference = "cheapest" // also where nothing is said
	PreferLightning Preference = "lightning"
	PreferChain     Preference = "chain"
)

// Payee is how an account is settled. An internal destination stands alone; beside a Lightning one there may be an address,
// and then each payment takes the rail that is preferred, if that can carry it, or else the other.
type Payee struct {
	Lightning string     `json:"lightning,omitempty"` // a node's public key, a lightning address, or an LNURL
	Address   string     `json:"address,omitempty"`   // on-chain
	Internal  string     `json:"internal,omitempty"`  // an account of the hub: at once and free
	Prefer    Preference `json:"prefer,omitempty"`

	Threshold ledger.Msat `json:"threshold_msat,omitempty"` // nothing is paid before so much is due
	Reserve   ledger.Msat `json:"reserve_msat,omitempty"`   // stays on the account
	Schedule  Schedule    `json:"schedule,omitzero"`

	// MaxFee is what a payment may cost, in parts per million of its amount; zero: the house's limit. A payment that would cost
	// more waits until there is more to pay, or fees are lower.
	MaxFee uint32 `json:"max_fee_ppm,omitempty"`
	// HubFeePercent is the hub's part of the fee, which is given back to the account once a payment is done. The operator alone sets it.
	HubFeePercent uint8 `json:"hub_fee_percent,omitempty"`
	Paused        bool  `json:"paused,omitempty"`

	Version uint32 `json:"version"` // counts changes. Desk sets it
	Changed uint64 `json:"changed"` // milliseconds since 1970. Desk sets it
	Output  Output `json:"output"`  // of Address. Desk sets it
}

// ErrPayee is wrapped, with ErrTarget or ErrSchedule where it is about those, by every error about settings.
var ErrPayee = errors.New("not settings of a payee")

// check checks settings as a whole, and puts what can be written in several ways into one form.
func (p *Payee) check(no ledger.AccountNo, net Network) error {
	fail := func(field, format string, a ...any) error {
		return fmt.Errorf("%w: %s: %w", ErrPayee, field, fmt.Errorf(format, a...))
	}
	p.Output = Output{}
	if p.Internal != "" {
		if p.Lightning != "" || p.Address != "" {
			return fail("internal", "it stands alone: money inside the hub moves at once and free")
		}
		to, err := ledger.ParseAccountNo(p.Internal)
		if err != nil || to == no || to.External() {
			return fail("internal", "%w: want another account of this hub", ErrTarget)
		}
	}
	if p.Lightning != "" {
		t, _, err := ParseTarget(p.Lightning, net)
		if err != nil {
			return fail("lightning", "%w", err)
		}
		if t.Way == ToInvoice {
			return fail("lightning", "%w: an invoice is paid once: want a node's public key, a lightning address or an LNURL", ErrTarget)
		}
		if t.Way.Rail() != channels.Lightning {
			return fail("lightning", "%w: want a node's public key, a lightning address or an LNURL", ErrTarget)
		}
		p.Lightning = t.Text
	}
	if p.Address != "" {
		t, out, err := ParseTarget(p.Address, net)
		if err != nil {
			return fail("address", "%w", err)
		}
		if t.Way != ToAddress {
			return fail("address", "%w: want an on-chain address", ErrTarget)
		}
		p.Address, p.Output = t.Text, out
	}
	switch p.Prefer {
	case "":
		p.Prefer = PreferCheapest
	case PreferCheapest, PreferLightning, PreferChain:
	default:
		return fail("prefer", "want cheapest, lightning or chain")
	}
	if p.Threshold > ledger.MaxMsat {
		return fail("threshold_msat", "at most %d", ledger.MaxMsat)
	}
	if p.Reserve > ledger.MaxMsat {
		return fail("reserve_msat", "at most %d", ledger.MaxMsat)
	}
	if p.MaxFee > ledger.PPM {
		return fail("max_fee_ppm", "at most %d", ledger.PPM)
	}
	if p.HubFeePercent > 100 {
		return fail("hub_fee_percent", "at most 100")
	}
	if _, err := p.Schedule.parse(); err != nil {
		return fail("schedule", "%w", err)
	}
	return nil
}

// target is where a payment over a rail goes.
func (p *Payee) target(rail channels.Rail) Target {
	switch rail {
	case channels.Internal:
		return Target{ToAccount, p.Internal}
	case channels.Chain:
		return Target{ToAddress, p.Address}
	}
	t := Target{ToLNURL, p.Lightning}
	if isNode(p.Lightning) {
		t.Way = ToNode
	} else if bytes.IndexByte([]byte(p.Lightning), '@') >= 0 {
		t.Way = ToLightningAddress
	}
	return t
}

// row is what a plan needs of a payee: a million of them are in memory.
type row struct {
	threshold, reserve ledger.Msat
	beat               beat
	account            ledger.AccountNo
	changed            uint32 // minutes since 1970
	retry              uint32 // minutes since 1970: not by itself before, after failures
	version            uint32
	maxFee             uint32
	dust               uint16
	vsize              uint8
	hubPercent         uint8
	failures           uint8 // in a row
	ways               ways
	busy               bool // a payment of it is planned or on its way
	owed               bool // its time has come, and it could not be paid for want of liquidity: see owedEvery
}

// ways are the rails that lead to a payee, and which of them it prefers.
type ways uint8

const (
	hasInternal ways = 1 << iota
	hasLightning
	hasChain
	wantsLightning
	wantsChain
	isPaused
)

func (p *Payee) row(no ledger.AccountNo) row {
	r := row{threshold: p.Threshold, reserve: p.Reserve, account: no, changed: uint32(p.Changed / 60_000), version: p.Version,
		maxFee: p.MaxFee, dust: p.Output.Dust, vsize: p.Output.VSize, hubPercent: p.HubFeePercent}
	r.beat, _ = p.Schedule.parse() // checked before
	for _, w := range []struct {
		has bool
		way ways
	}{
		{p.Internal != "", hasInternal}, {p.Lightning != "", hasLightning}, {p.Address != "", hasChain},
		{p.Prefer == PreferLightning, wantsLightning}, {p.Prefer == PreferChain, wantsChain}, {p.Paused, isPaused},
	} {
		if w.has {
			r.ways |= w.way
		}
	}
	return r
}

// decode reads JSON that was written by this package: a field that is not known is damage, or a newer version's.
func decode(text []byte, to any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	return dec.Decode(to)
}
