package hub

import (
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/millrace/millrace/hub/currency"
	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

// ErrOffer is returned, wrapped, for an offer that cannot be registered: its header was not sealed to this hub, was moved
// or bent, or was sealed by somebody else.
var ErrOffer = errors.New("offer refused")

// Offer is a sealed work that a creator wants to sell.
type Offer struct {
	Seller     ledger.AccountNo
	Header     []byte   // the sealed file's age header
	Commitment [32]byte // to the file key: see seal.Commitment
	Title      string
	Price      ledger.Msat    // msat, or millionths of a unit of Currency
	Currency   currency.Code  // none: msat
	Size       uint64         // bytes of the sealed file
	FileSHA256 [32]byte       // of the sealed file
	Payees     []ledger.Payee // empty: all to the seller
	FreeUnits  uint32         // of a work that is sold by units: the first ones, which are free for everybody
}

// Register puts a sealed work on sale under the content id in its header. The hub opens the header's stanza once, to see
// that it can, and keeps the file key wrapped for itself alone: it keeps no file and no plain key. A copied header is not
// enough: only who sealed the file, or was given its key, knows the commitment. If the header names a number of units, the
// price is that of each.
func (h *Hub) Register(o Offer) (ledger.ContentID, ledger.Applied, error) {
	header, err := seal.ParseHeader(o.Header)
	if err != nil {
		return ledger.ContentID{}, ledger.Applied{}, fmt.Errorf("%w: %w", ErrOffer, err)
	}
	if header.Origin != h.cfg.Origin {
		return header.Content, ledger.Applied{}, fmt.Errorf("%w: sealed for %s, this hub is %s", ErrOffer, header.Origin, h.cfg.Origin)
	}
	key, err := h.cfg.Ring.OpenHeader(header)
	if err != nil {
		return header.Content, ledger.Applied{}, fmt.Errorf("%w: %w", ErrOffer, err)
	}
	commitment := seal.Commitment(key)
	if subtle.ConstantTimeCompare(commitment[:], o.Commitment[:]) != 1 {
		return header.Content, ledger.Applied{}, fmt.Errorf("%w: it was not sealed by who registers it: the commitment is not the file key's", ErrOffer)
	}
	wrapped, err := h.cfg.Ring.Wrap(header.Content, key)
	if err != nil {
		return header.Content, ledger.Applied{}, fmt.Errorf("wrapping the file key: %w", err)
	}
	r := ledger.Registration{
		Commitment: commitment, HeaderSHA256: header.SHA256(), FileSHA256: o.FileSHA256,
		Wrapped: wrapped, Size: o.Size, Payees: o.Payees, Title: o.Title,
	}
	if len(r.Payees) == 0 {
		r.Payees = []ledger.Payee{{Account: o.Seller, Share: 1}}
	}
	if len(r.Payees) > ledger.MaxPayees || !ledger.TitleOK(r.Title) {
		return header.Content, ledger.Applied{}, fmt.Errorf("%w: at most %d payees, and a title of 1 to %d bytes of UTF-8 without control characters",
			ErrOffer, ledger.MaxPayees, ledger.MaxTitle)
	}
	if refused := h.priceable(currency.Price{Currency: o.Currency, Amount: uint64(o.Price)}); refused != ledger.Undecided {
		return header.Content, ledger.Applied{}, &Unsold{refused}
	}
	op := ledger.Op{Kind: ledger.OpRegister, Actor: o.Seller, ID: header.Content, Amount: o.Price}
	if t := (ledger.Terms{Currency: ledger.Currency(o.Currency), Units: header.Units.Count, FreeUnits: o.FreeUnits}); t != (ledger.Terms{}) {
		a, err := h.registerTerms(op, &r, t)
		return header.Content, a, err
	}
	a, err := h.submit(op, ledger.AppendRegistration(nil, &r))
	return header.Content, a, err
}

// Unsold is the error of an offer at a price that nothing can be sold at.
type Unsold struct{ Result ledger.Result }

func (u *Unsold) Error() string { return "nothing can be sold at this price: " + u.Result.String() }

// Content reads a content: what it costs, and whose it is.
func (h *Hub) Content(id ledger.ContentID) (ledger.Content, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.state.Content(id)
}

// Origin is the hub's name in stanzas.
func (h *Hub) Origin() string { return h.cfg.Origin }

// Params are the ledger's rules.
func (h *Hub) Params() ledger.Params { return h.cfg.Params }

// Dev says whether an operator may make money.
func (h *Hub) Dev() bool { return h.cfg.Dev }

// SealingKeys are the hub's public keys, the one to seal to first.
func (h *Hub) SealingKeys() []seal.PublicKey { return h.cfg.Ring.Publics() }
