package lnurl

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// Payer makes payments.
type Payer interface {
	// Pay makes the payment that an order is, or finds the one that there is under its key, and waits until it is settled or failed or the
	// context ends: then it is pending, and no error. An error may say that there is no payment: channels.NotOrdered.
	Pay(ctx context.Context, account ledger.AccountNo, o channels.Order) (channels.Item, error)
}

// What a withdrawal is refused for.
var (
	ErrNoLink  = errors.New("there is no such link, or it has expired")
	ErrLinks   = errors.New("the account has too many links")
	ErrLink    = errors.New("not a link that can be made")
	ErrUsed    = errors.New("the link was used")
	ErrWrongK1 = errors.New("not the k1 that the link has now")
)

const (
	mostLinks   = 32 // of an account, open or under way
	mostLife    = 90 * 24 * time.Hour
	longestText = 200             // bytes of a description
	patience    = 3 * time.Second // that a wallet is kept waiting for a refusal that may come
	linkPath    = "/lnurl/withdraw/"
	stripes     = 64
)

// Link is an LNURL that money can be withdrawn by, once, by whoever has it (LUD-03).
type Link struct {
	ID          string           `json:"id"`
	Account     ledger.AccountNo `json:"account"`
	K1          string           `json:"k1"`      // what the one callback must name; a new one for each try
	Attempt     int              `json:"attempt"` // from 1: which try the k1 is for
	Min         ledger.Msat      `json:"min"`
	Max         ledger.Msat      `json:"max"`
	Description string           `json:"description"`
	Made        int64            `json:"made"`    // milliseconds since 1970
	Expires     int64            `json:"expires"` // milliseconds since 1970
	State       LinkState        `json:"state"`
	Invoice     string           `json:"invoice,omitempty"` // of the try that took it
}

// Name tells links apart for those who may know of one and must not take it: with its ID alone anybody could.
func (k *Link) Name() string {
	sum := sha256.Sum256([]byte("millrace link\x00" + k.ID))
	return hex.EncodeToString(sum[:8])
}

// LinkState is how far a link has come.
type LinkState string

const (
	LinkOpen  LinkState = "open"
	LinkTaken LinkState = "taken" // its k1 is consumed: the invoice is being paid, or will be
	LinkPaid  LinkState = "paid"
)

// LinksConfig is what links are made of.
type LinksConfig struct {
	Base    string // of all URLs, without a slash at its end: https://example.com
	Records channels.Records
	Payer   Payer
	Decode  func(text string) (channels.Invoice, error) // of our network
	Fee     func(ledger.Msat) ledger.Msat               // the most that a payment of an amount may cost
	Logger  *slog.Logger                                // nil: nowhere
	Clock   func() time.Time                            // nil: the machine's clock
}

// Links are LNURLs for withdrawals. How a link pays once:
//
//	take   under the link's lock its k1 is compared and its record becomes taken, with the invoice: durable before anything is ordered
//	order  the payment is ordered under a key of the link's name and its attempt, so that the same order again is the same payment
//	learn  settled: paid. Failed, or refused before there was a payment: open again, with the next attempt and another k1. Neither: it
//	       stays taken, and Sweep orders it again until somebody knows
//
// A crash after take leaves a taken link, whose order Sweep gives, for the first or for the second time.
type Links struct {
	cfg   LinksConfig
	seed  maphash.Seed
	locks [stripes]sync.Mutex // by id: held from reading a link to writing it, and not while it is paid
	made  sync.Mutex          // of New: from counting an account's links to writing one more
}

// NewLinks makes the links that stand in records. There must be one Links of them.
func NewLinks(cfg LinksConfig) (*Links, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Base == "" || cfg.Records == nil || cfg.Payer == nil || cfg.Decode == nil || cfg.Fee == nil {
		return nil, errors.New("lnurl: links without base, records, payer, Decode or Fee")
	}
	return &Links{cfg: cfg, seed: maphash.MakeSeed()}, nil
}

func linkKey(id string) []byte { return []byte("lnurl/link/" + id) }

func linksKey(a ledger.AccountNo) []byte {
	return binary.BigEndian.AppendUint32([]byte("lnurl/links/"), uint32(a))
}

// LNURL is the link as it is shown in a QR code.
func (l *Links) LNURL(id string) string { return Encode(l.cfg.Base + linkPath + id) }

// URI is the same for wallets that are opened by a link (LUD-17). They call it by https, whatever our own scheme is.
func (l *Links) URI(id string) string { return schemeOf(prefix+"w", l.cfg.Base) + linkPath + id }

// Costs is the most that a link of an amount takes from its account: the amount, and the fee that paying it may cost.
func (l *Links) Costs(amount ledger.Msat) ledger.Msat { return amount + l.cfg.Fee(amount) }

// Over says whether nobody can withdraw by a link any more that nobody has taken: it has expired, or was cancelled.
func (l *Links) Over(k *Link) bool { return k.State == LinkOpen && l.expired(k) }

// New makes a link of an account. The money stays the account's until somebody takes it.
func (l *Links) New(account ledger.AccountNo, least, most ledger.Msat, description string, life time.Duration) (Link, error) {
	if least < 1000 || most < least || most > ledger.MaxMsat || len(description) > longestText || life < time.Second || life > mostLife {
		return Link{}, fmt.Errorf("%w: want at least 1000 msat, a description of at most %d bytes, and at most %v", ErrLink, longestText, mostLife)
	}
	l.made.Lock()
	defer l.made.Unlock()
	links, err := l.List(account)
	if err != nil {
		return Link{}, err
	}
	live := 0
	for i := range links {
		if links[i].State == LinkTaken || links[i].State == LinkOpen && !l.expired(&links[i]) {
			live++
		}
	}
	if live >= mostLinks {
		return Link{}, fmt.Errorf("%w: %d", ErrLinks, mostLinks)
	}
	now := l.cfg.Clock()
	link := Link{
		ID: random(16), Account: account, K1: random(32), Attempt: 1, Min: least, Max: most, Description: shorten(description, longestText),
		Made: now.UnixMilli(), Expires: now.Add(life).UnixMilli(), State: LinkOpen,
	}
	rows := append(l.forget(links), jsonRow(linkKey(link.ID), link), channels.Row{Key: append(linksKey(account), link.ID...), Value: []byte("1")})
	return link, wrote(l.cfg.Records.Write(rows...))
}

// forget is the rows by which the oldest links that are over are no more, where there are more of them than are kept.
func (l *Links) forget(links []Link) (rows []channels.Row) {
	over := 0
	for i := range links { // newest first
		if links[i].State == LinkPaid || links[i].State == LinkOpen && l.expired(&links[i]) {
			if over++; over > mostLinks {
				rows = append(rows, channels.Row{Key: linkKey(links[i].ID)}, channels.Row{Key: append(linksKey(links[i].Account), links[i].ID...)})
			}
		}
	}
	return rows
}

func (l *Links) expired(k *Link) bool { return l.cfg.Clock().UnixMilli() >= k.Expires }

// List is an account's links, the newest first: at most mostLinks that are live, and as many that are over.
func (l *Links) List(account ledger.AccountNo) (links []Link, err error) {
	var ids []string
	prefix := linksKey(account)
	err = l.cfg.Records.Scan(prefix, nil, func(key, _ []byte) bool {
		ids = append(ids, string(bytes.TrimPrefix(key, prefix)))
		return len(ids) < 4*mostLinks
	})
	if err != nil {
		return nil, fmt.Errorf("lnurl: reading records: %w", err)
	}
	for _, id := range ids {
		k, known, err := l.load(id)
		if err != nil {
			return nil, err
		}
		if known {
			links = append(links, k)
		}
	}
	slices.SortStableFunc(links, func(a, b Link) int { return cmp.Compare(b.Made, a.Made) })
	return links, nil
}

// Cancel ends an account's link that nobody has taken.
func (l *Links) Cancel(account ledger.AccountNo, id string) error {
	defer l.lock(id)()
	k, known, err := l.load(id)
	switch {
	case err != nil:
		return err
	case !known || k.Account != account:
		return ErrNoLink
	case k.State != LinkOpen:
		return ErrUsed
	}
	k.Expires = min(k.Expires, l.cfg.Clock().UnixMilli())
	return wrote(l.cfg.Records.Write(jsonRow(linkKey(id), k)))
}

func (l *Links) load(id string) (k Link, known bool, err error) {
	if len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" {
		return k, false, nil
	}
	known, err = readJSON(l.cfg.Records, linkKey(id), &k)
	return k, known, err
}

func (l *Links) lock(id string) (unlock func()) {
	m := &l.locks[maphash.String(l.seed, id)%stripes]
	m.Lock()
	return m.Unlock
}

func random(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b) // never fails: crypto/rand ends the process instead
	return hex.EncodeToString(b)
}
