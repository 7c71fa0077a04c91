package client

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"fmt"
	"strconv"
	"time"

	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

// UnitPurchase asks to unlock one unit of a work that is sold by units. It must name a price version, a maximum, or both.
type UnitPurchase struct {
	Content      ledger.ContentID
	Unit         uint32      // from 0
	PriceVersion uint32      // as quoted; 0: any
	MaxMsat      ledger.Msat // the most to pay; 0: the price of the version named
	Recipient    []byte      // X25519 public key to seal the unit's key to; nil: it comes in the clear
}

// UnlockedUnit is a purchase as the hub answers it: the key is in one of the two forms.
type UnlockedUnit struct {
	Result   string      `json:"result"`
	Seq      uint64      `json:"seq"`
	Content  string      `json:"content"`
	Unit     uint32      `json:"unit"`
	PaidMsat ledger.Msat `json:"paid_msat"` // now or when it was bought
	Key      []byte      `json:"unit_key,omitempty"`
	Sealed   *struct {
		Enc        []byte `json:"enc"`
		Ciphertext []byte `json:"ciphertext"`
	} `json:"sealed_unit_key,omitempty"`
}

// BoughtUnit is a purchase with its key.
type BoughtUnit struct {
	Result   string
	Seq      uint64
	PaidMsat ledger.Msat
	Key      seal.UnitKey
}

// UnitOffer is what a refused unit costs, and where it is paid for.
type UnitOffer struct {
	Content      string      `json:"content"`
	Unit         uint32      `json:"unit"`
	PriceMsat    ledger.Msat `json:"price_msat"`
	PriceVersion uint32      `json:"price_version"`
	Units        uint32      `json:"units"`
	FreeUnits    uint32      `json:"free_units"`
	Unlock       string      `json:"unlock"`
	Session      string      `json:"session"`
	Accounts     string      `json:"accounts"`
}

// NewSession asks for a player's token.
type NewSession struct {
	Content      ledger.ContentID
	MaxTotalMsat ledger.Msat   // the most that it may cost in all
	FromUnit     uint32        // the first unit
	Life         time.Duration // in whole seconds; 0: the hub's default, six hours
}

// Session is a player's token and what it is bound to.
type Session struct {
	Token         string      `json:"token"`
	Content       string      `json:"content"`
	FromUnit      uint32      `json:"from_unit"`
	Units         uint32      `json:"units"` // from that one on
	UnitPriceMsat ledger.Msat `json:"unit_price_msat"`
	MaxTotalMsat  ledger.Msat `json:"max_total_msat"`
	Expires       int64       `json:"expires"` // milliseconds since 1970
}

func unitPath(id ledger.ContentID, unit uint32) string {
	return contentPath(id) + "/units/" + strconv.FormatUint(uint64(unit), 10)
}

// UnitKey asks for the key of a unit as a player does: the token must have a cap on each call. A unit that was bought, or is
// free, costs nothing.
func (c *Client) UnitKey(ctx context.Context, id ledger.ContentID, unit uint32) (seal.UnitKey, error) {
	var raw anything
	op := call{method: "GET", path: unitPath(id, unit) + "/key"}
	if err := c.do(ctx, op, &raw); err != nil {
		return seal.UnitKey{}, err
	}
	if len(raw) != len(seal.UnitKey{}) {
		return seal.UnitKey{}, fmt.Errorf("%s %s: %w: %d bytes", op.method, op.path, ErrAnswer, len(raw))
	}
	return seal.UnitKey(raw), nil
}

// UnlockUnit buys a unit, or asks again for the key of one that was bought, which is free.
func (c *Client) UnlockUnit(ctx context.Context, p UnitPurchase) (UnlockedUnit, error) {
	body := struct {
		Version   uint32      `json:"price_version,omitempty"`
		Max       ledger.Msat `json:"max_msat,omitempty"`
		Recipient []byte      `json:"recipient,omitempty"`
	}{p.PriceVersion, p.MaxMsat, p.Recipient}
	return ask(ctx, c, call{method: "POST", path: unitPath(p.Content, p.Unit) + "/unlock", body: body}, func(a UnlockedUnit) checks {
		return checks{"result": isDone(a.Result), "content": a.Content == p.Content.String(), "unit": a.Unit == p.Unit,
			"unit_key":        p.Recipient != nil || len(a.Key) == len(seal.UnitKey{}),
			"sealed_unit_key": p.Recipient == nil || a.Sealed != nil}
	})
}

// BuyUnit is UnlockUnit with the key sealed to one that lives only during the call, so that it crosses no wire, proxy or log in
// the clear. It sets p.Recipient itself.
func (c *Client) BuyUnit(ctx context.Context, p UnitPurchase) (BoughtUnit, error) {
	priv, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return BoughtUnit{}, fmt.Errorf("making a key for the delivery: %w", err)
	}
	p.Recipient = priv.PublicKey().Bytes()
	a, err := c.UnlockUnit(ctx, p)
	if err != nil {
		return BoughtUnit{}, err
	}
	b := BoughtUnit{Result: a.Result, Seq: a.Seq, PaidMsat: a.PaidMsat}
	if b.Key, err = seal.OpenUnitDelivery(priv.Bytes(), a.Sealed.Enc, a.Sealed.Ciphertext, p.Content, p.Unit); err != nil {
		return b, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return b, nil
}

// CreateSession makes a token that a player may have: it only unlocks units of one work, and its cap over all is fixed.
func (c *Client) CreateSession(ctx context.Context, s NewSession) (Session, error) {
	body := struct {
		Max  ledger.Msat `json:"max_total_msat"`
		From uint32      `json:"from_unit,omitempty"`
		Life int64       `json:"expires_in_s,omitempty"`
	}{s.MaxTotalMsat, s.FromUnit, int64(s.Life / time.Second)}
	return ask(ctx, c, call{method: "POST", path: contentPath(s.Content) + "/sessions", body: body}, func(a Session) checks {
		return checks{"token": isToken(a.Token), "content": a.Content == s.Content.String(), "from_unit": a.FromUnit == s.FromUnit, "units": a.Units > 0,
			"max_total_msat": a.MaxTotalMsat <= s.MaxTotalMsat}
	})
}
