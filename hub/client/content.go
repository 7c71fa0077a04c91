package client

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"fmt"

	"github.com/millrace/millrace/hub/currency"
	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

// Payee is one of those who share a price.
type Payee struct {
	Account string `json:"account"`
	Share   uint32 `json:"share"` // relative to the sum of all shares
}

// Offer is a sealed work to sell.
type Offer struct {
	Header     []byte   // the sealed file's age header, as seal.Seal returns it
	Commitment [32]byte // to the file key, as seal.Seal returns it
	Title      string
	PriceMsat  ledger.Msat
	Price      currency.Price // in a currency, instead of PriceMsat; the zero value: PriceMsat it is
	Size       uint64         // of the sealed file
	SHA256     [32]byte       // of the sealed file
	Payees     []Payee        // empty: the seller alone
	FreeUnits  uint32         // of a work that is sold by units, each for the price: the first ones, free for everybody
}

// Registered is a content on sale.
type Registered struct {
	Result       string `json:"result"`
	Seq          uint64 `json:"seq"`
	Content      string `json:"content"`
	PriceVersion uint32 `json:"price_version"`
}

// Content is a work's public quote. One whose price is in a currency has no price in msat while the hub has no rate.
type Content struct {
	Content      string      `json:"content"`
	Hub          string      `json:"hub"` // the hub's origin
	Title        string      `json:"title"`
	Seller       string      `json:"seller"`
	PriceMsat    ledger.Msat `json:"price_msat,omitempty"`
	PriceVersion uint32      `json:"price_version"`
	Currency     string      `json:"currency,omitempty"`     // of the seller's own price; empty: it is PriceMsat
	PriceMicros  uint64      `json:"price_micros,omitempty"` // in it
	Size         uint64      `json:"size"`
	SHA256       string      `json:"sha256"`
	HeaderSHA256 string      `json:"header_sha256"`
	FeePPM       uint32      `json:"fee_ppm"`
	Payees       []Payee     `json:"payees"`
	Status       string      `json:"status"`          // on_sale or retired
	Units        uint32      `json:"units,omitempty"` // of a work that is sold by units, each for the price
	FreeUnits    uint32      `json:"free_units,omitempty"`
}

// Repriced is a content's new price.
type Repriced struct {
	Result       string      `json:"result"`
	Seq          uint64      `json:"seq"`
	Content      string      `json:"content"`
	PriceMsat    ledger.Msat `json:"price_msat,omitempty"`
	PriceVersion uint32      `json:"price_version"`
	Currency     string      `json:"currency,omitempty"`
	PriceMicros  uint64      `json:"price_micros,omitempty"`
}

// Retired is a content that is off sale.
type Retired struct {
	Result  string `json:"result"`
	Seq     uint64 `json:"seq"`
	Content string `json:"content"`
}

// Purchase asks to unlock a content. It must name a price version, a maximum, or both.
type Purchase struct {
	Content      ledger.ContentID
	PriceVersion uint32      // as quoted; 0: any
	MaxMsat      ledger.Msat // the most to pay; 0: the price of the version named
	HeaderSHA256 *[32]byte   // of the buyer's copy of the header: a wrong one is refused before money moves; nil: not checked
	Recipient    []byte      // X25519 public key to seal the file key to; nil: it comes in the clear
}

// Unlocked is a purchase as the hub answers it: the file key is in one of the two forms.
type Unlocked struct {
	Result   string      `json:"result"`
	Seq      uint64      `json:"seq"`
	Content  string      `json:"content"`
	PaidMsat ledger.Msat `json:"paid_msat"` // in all, now or when it was bought
	FileKey  []byte      `json:"file_key,omitempty"`
	Sealed   *struct {
		Enc        []byte `json:"enc"`
		Ciphertext []byte `json:"ciphertext"`
	} `json:"sealed_file_key,omitempty"`
}

// Bought is a purchase with its file key.
type Bought struct {
	Result   string
	Seq      uint64
	PaidMsat ledger.Msat
	Key      seal.FileKey
}

func contentPath(id ledger.ContentID) string { return "/v1/contents/" + id.String() }

// Register puts a sealed work on sale.
func (c *Client) Register(ctx context.Context, o Offer) (Registered, error) {
	body := struct {
		Header     []byte `json:"header"`
		Commitment string `json:"commitment"`
		Title      string `json:"title"`
		priceBody
		Size   uint64  `json:"size"`
		SHA256 string  `json:"sha256"`
		Payees []Payee `json:"payees,omitempty"`
		Free   uint32  `json:"free_units,omitempty"`
	}{o.Header, hex.EncodeToString(o.Commitment[:]), o.Title, newPrice(o.PriceMsat, o.Price), o.Size, hex.EncodeToString(o.SHA256[:]), o.Payees, o.FreeUnits}
	return ask(ctx, c, call{method: "POST", path: "/v1/contents", body: body}, func(a Registered) checks {
		id, err := ledger.ParseContentID(a.Content)
		h, unread := seal.ParseHeader(o.Header)
		return checks{"result": isDone(a.Result), "content": err == nil && (unread != nil || id == h.Content), "price_version": a.PriceVersion > 0}
	})
}

// Content asks for a work's quote. It needs no token, and sends none.
func (c *Client) Content(ctx context.Context, id ledger.ContentID) (Content, error) {
	return ask(ctx, c, call{method: "GET", path: contentPath(id), anonymous: true}, func(a Content) checks {
		return checks{"content": a.Content == id.String(), "hub": isOrigin(a.Hub), "seller": isAccount(a.Seller), "price_msat": isPrice(a.PriceMsat) || a.Currency != "" && a.PriceMsat == 0,
			"currency": (a.Currency == "") == (a.PriceMicros == 0) && (a.Currency == "" || isCurrency(a.Currency)), "price_version": a.PriceVersion > 0, "sha256": isDigest(a.SHA256), "header_sha256": isDigest(a.HeaderSHA256), "status": a.Status != ""}
	})
}

// Reprice replaces the price of a version, in whatever money it was, by one in msat or in a currency.
func (c *Client) Reprice(ctx context.Context, id ledger.ContentID, price currency.Price, version uint32) (Repriced, error) {
	body := struct {
		priceBody
		Version uint32 `json:"price_version"`
	}{newPrice(0, price), version}
	return ask(ctx, c, call{method: "POST", path: contentPath(id) + "/reprice", body: body}, func(a Repriced) checks {
		return checks{"result": isDone(a.Result), "content": a.Content == id.String(), "price_msat": a.PriceMsat == body.Msat,
			"currency": a.Currency == body.Currency && a.PriceMicros == body.Micros, "price_version": a.PriceVersion > 0}
	})
}

// priceBody is a price in a request: in msat, or in a currency.
type priceBody struct {
	Msat     ledger.Msat `json:"price_msat,omitempty"`
	Currency string      `json:"currency,omitempty"`
	Micros   uint64      `json:"price_micros,omitempty"`
}

// newPrice is a price as it is asked for: in msat, if it is in no currency.
func newPrice(msat ledger.Msat, p currency.Price) priceBody {
	switch {
	case p == (currency.Price{}):
		return priceBody{Msat: msat}
	case p.Currency == (currency.Code{}):
		return priceBody{Msat: ledger.Msat(p.Amount)}
	}
	return priceBody{Currency: p.Currency.String(), Micros: p.Amount}
}

// Retire takes a work off sale. Who bought it keeps it.
func (c *Client) Retire(ctx context.Context, id ledger.ContentID) (Retired, error) {
	return ask(ctx, c, call{method: "POST", path: contentPath(id) + "/retire"}, func(a Retired) checks {
		return checks{"result": isDone(a.Result), "content": a.Content == id.String()}
	})
}

// Unlock buys a work, or asks again for the key of one that was bought, which is free.
func (c *Client) Unlock(ctx context.Context, p Purchase) (Unlocked, error) {
	body := struct {
		Version   uint32      `json:"price_version,omitempty"`
		Max       ledger.Msat `json:"max_msat,omitempty"`
		Header    string      `json:"header_sha256,omitempty"`
		Recipient []byte      `json:"recipient,omitempty"`
	}{Version: p.PriceVersion, Max: p.MaxMsat, Recipient: p.Recipient}
	if p.HeaderSHA256 != nil {
		body.Header = hex.EncodeToString(p.HeaderSHA256[:])
	}
	return ask(ctx, c, call{method: "POST", path: contentPath(p.Content) + "/unlock", body: body}, func(a Unlocked) checks {
		return checks{"result": isDone(a.Result), "content": a.Content == p.Content.String(),
			"file_key":        p.Recipient != nil || len(a.FileKey) == len(seal.FileKey{}),
			"sealed_file_key": p.Recipient == nil || a.Sealed != nil}
	})
}

// Buy is Unlock with the file key sealed to a key that lives only during the call, so that it crosses no wire, proxy or log
// in the clear. It sets p.Recipient itself.
func (c *Client) Buy(ctx context.Context, p Purchase) (Bought, error) {
	priv, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return Bought{}, fmt.Errorf("making a key for the delivery: %w", err)
	}
	p.Recipient = priv.PublicKey().Bytes()
	a, err := c.Unlock(ctx, p)
	if err != nil {
		return Bought{}, err
	}
	b := Bought{Result: a.Result, Seq: a.Seq, PaidMsat: a.PaidMsat}
	if b.Key, err = seal.OpenDelivery(priv.Bytes(), a.Sealed.Enc, a.Sealed.Ciphertext, p.Content); err != nil {
		return b, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return b, nil
}
