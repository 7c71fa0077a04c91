package lnurl

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// Invoices are made for accounts, and found again.
type Invoices interface {
	// Invoice makes an invoice, of which what is paid is the account's.
	Invoice(ctx context.Context, account ledger.AccountNo, n channels.NewInvoice) (channels.Item, error)
	// Incoming is the invoice of a payment hash, whoever's it is; channels.ErrNoItem.
	Incoming(ctx context.Context, hash channels.Hash) (channels.Item, error)
}

// The bounds of what strangers can have made: nobody has to be anybody to ask for an invoice, and each is a row in two databases.
// 20,000 in ten minutes are 33 a second, a tenth of what a node makes. Of an account, half of channels.MaxInvoices: strangers must not
// take from it the invoices that it makes itself.
const (
	invoiceExpiry  = 10 * time.Minute
	maxInvoices    = 20_000 // that nobody has paid yet, of all accounts together
	maxPerAccount  = channels.MaxInvoices / 2
	maxComment     = 255 // characters, of up to 2 bytes each in a URL of 2,048
	maxTag         = 32
	verifyMACSize  = 16
	verifyPath     = "/lnurl/verify/"
	payPath        = "/lnurl/pay/"
	callbackSuffix = "/callback"
)

// ErrBusy is what too many invoices at a time are refused with.
var ErrBusy = errors.New("too many invoices are open: try again in some minutes")

// DeskConfig is what a desk is made of.
type DeskConfig struct {
	Base     string // of all URLs, without a slash at its end: https://example.com
	Host     string // of lightning addresses: example.com
	Names    *Names
	Records  channels.Records
	Invoices Invoices
	Node     string      // the node's public key in hex; empty: nobody is told of keysends
	Least    ledger.Msat // that is taken; zero: 1,000, a satoshi, as much as every wallet can send
	Most     ledger.Msat // zero: 100,000 satoshis times 1,000
	Clock    func() time.Time
}

// Desk takes payments to lightning addresses. Its methods may be called by any goroutine.
type Desk struct {
	cfg    DeskConfig
	secret []byte

	mu   sync.Mutex
	open window
}

// NewDesk makes a desk. Its secret is made with the first.
func NewDesk(cfg DeskConfig) (*Desk, error) {
	if cfg.Least == 0 {
		cfg.Least = 1000
	}
	if cfg.Most == 0 {
		cfg.Most = 100_000_000_000
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Names == nil || cfg.Records == nil || cfg.Invoices == nil || cfg.Base == "" || cfg.Host == "" || cfg.Most < cfg.Least {
		return nil, errors.New("lnurl: a desk without names, records, invoices, base or host, or that takes nothing")
	}
	secret, err := deskSecret(cfg.Records)
	if err != nil {
		return nil, err
	}
	return &Desk{cfg: cfg, secret: secret, open: newWindow(maxInvoices, maxPerAccount)}, nil
}

func deskSecret(records channels.Records) ([]byte, error) {
	key := []byte("lnurl/secret")
	secret, err := records.Get(key)
	if err != nil {
		return nil, fmt.Errorf("lnurl: reading a record: %w", err)
	}
	if len(secret) == 32 {
		return secret, nil
	}
	secret = make([]byte, 32)
	rand.Read(secret) // never fails: crypto/rand ends the process instead
	return secret, wrote(records.Write(channels.Row{Key: key, Value: secret}))
}

// Address is an account's lightning address; empty: it has no name.
func (d *Desk) Address(account ledger.AccountNo) (string, error) {
	name, err := d.cfg.Names.Name(account)
	if err != nil || name == "" {
		return "", err
	}
	return name + "@" + d.cfg.Host, nil
}

// LNURL is the same for wallets that scan it: what an address is looked up by.
func (d *Desk) LNURL(name string) string { return Encode(d.cfg.Base + addressPath + name) }

// URI is the same for wallets that are opened by a link (LUD-17). They call it by https, whatever our own scheme is.
func (d *Desk) URI(name string) string { return schemeOf(prefix+"p", d.cfg.Base) + addressPath + name }

// schemeOf is a URL with another scheme.
func schemeOf(scheme, url string) string {
	_, rest, _ := strings.Cut(url, "://")
	return scheme + "://" + rest
}

// Offer answers /.well-known/lnurlp/<name>. A name may have a tag behind a plus, which its owner is told (LUD-16).
func (d *Desk) Offer(named string) (PayRequest, error) {
	if _, err := d.account(named); err != nil {
		return PayRequest{}, err
	}
	return PayRequest{
		Tag: tagPay, Callback: d.cfg.Base + payPath + named + callbackSuffix, MinSendable: Amount(d.cfg.Least), MaxSendable: Amount(d.cfg.Most),
		Metadata: d.metadata(named), CommentAllowed: maxComment,
	}, nil
}

// Keysend answers /.well-known/keysend/<name>.
func (d *Desk) Keysend(named string) (KeysendAnswer, error) {
	account, err := d.account(named)
	if err == nil && d.cfg.Node == "" {
		err = ErrNoName
	}
	if err != nil {
		return KeysendAnswer{}, err
	}
	return KeysendAnswer{
		Status: statusOK, Tag: "keysend", Key: d.cfg.Node,
		Data: []KeysendValue{{Key: strconv.Itoa(channels.AccountRecord), Value: account.String()}},
	}, nil
}

func (d *Desk) account(named string) (ledger.AccountNo, error) {
	name, tag, _ := strings.Cut(named, "+")
	if len(tag) > maxTag || strings.Trim(tag, nameCharacters) != "" {
		return 0, ErrNoName
	}
	return d.cfg.Names.Account(name)
}

// metadata is the same text at every call, byte for byte: its hash is what ties an invoice to it.
func (d *Desk) metadata(named string) string {
	name, tag, _ := strings.Cut(named, "+")
	entries := [][2]string{{"text/plain", "To " + name + "@" + d.cfg.Host}, {"text/identifier", name + "@" + d.cfg.Host}}
	if tag != "" {
		entries = append(entries, [2]string{"text/tag", tag})
	}
	text, err := json.Marshal(entries)
	if err != nil {
		panic("lnurl: metadata that is no JSON: " + err.Error()) // strings always are
	}
	return string(text)
}

// Answer answers the callback with an invoice of an amount. What is written into the comment is the account's alone to read.
func (d *Desk) Answer(ctx context.Context, named string, amount ledger.Msat, comment string) (PayAnswer, error) {
	account, err := d.account(named)
	if err != nil {
		return PayAnswer{}, err
	}
	switch {
	case amount < d.cfg.Least || amount > d.cfg.Most:
		return PayAnswer{}, fmt.Errorf("%w: want %d to %d msat", ErrAmount, d.cfg.Least, d.cfg.Most)
	case utf8.RuneCountInString(comment) > maxComment || !utf8.ValidString(comment):
		return PayAnswer{}, fmt.Errorf("%w: %d characters", ErrComment, maxComment)
	case !d.admit(account):
		return PayAnswer{}, ErrBusy
	}
	made := channels.Hash{}
	defer func() { d.made(account, made) }()
	hash := sha256.Sum256([]byte(d.metadata(named)))
	item, err := d.cfg.Invoices.Invoice(ctx, account, channels.NewInvoice{
		Amount: amount, Memo: memo(named, comment), DescHash: hash[:], Expiry: invoiceExpiry,
	})
	if err != nil {
		return PayAnswer{}, fmt.Errorf("lnurl: making an invoice: %w", err)
	}
	made = item.Hash
	return PayAnswer{Invoice: item.Invoice, Routes: []struct{}{}, Verify: d.cfg.Base + verifyPath + d.token(item.Hash)}, nil
}

// memo is what the account's own list has. It is cut to what an invoice's memo can have.
func memo(named, comment string) string {
	const most = 639 // bytes: BOLT11
	text := shorten(comment, most)
	if _, tag, _ := strings.Cut(named, "+"); tag != "" {
		text = strings.TrimSpace("+" + tag + " " + text)
	}
	for len(text) > most {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return text
}

// admit takes a place among the open invoices. made must follow.
func (d *Desk) admit(account ledger.AccountNo) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open.admit(account, d.cfg.Clock())
}

func (d *Desk) made(account ledger.AccountNo, hash channels.Hash) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open.made(account, hash, d.cfg.Clock().Add(invoiceExpiry))
}

// Paid makes room for another invoice. It is quick, and may be told of any hash.
func (d *Desk) Paid(hash channels.Hash) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open.leave(hash)
}

// token names an invoice in a LUD-21 URL. The hash alone would do, but every node on a payment's way knows it; a preimage proves who
// paid, so that it is told to none but those who were given the URL.
func (d *Desk) token(hash channels.Hash) string {
	mac := hmac.New(sha256.New, d.secret)
	mac.Write(hash[:])
	return hash.String() + hex.EncodeToString(mac.Sum(nil)[:verifyMACSize])
}

// Verify answers /lnurl/verify/<token>.
func (d *Desk) Verify(ctx context.Context, token string) (VerifyAnswer, error) {
	var hash channels.Hash
	if len(token) != 2*(len(hash)+verifyMACSize) || hash.UnmarshalText([]byte(token[:2*len(hash)])) != nil ||
		!hmac.Equal([]byte(token), []byte(d.token(hash))) {
		return VerifyAnswer{}, channels.ErrNoItem
	}
	item, err := d.cfg.Invoices.Incoming(ctx, hash)
	if err != nil {
		return VerifyAnswer{}, err
	}
	a := VerifyAnswer{Status: statusOK, Settled: item.State == channels.Settled, Invoice: item.Invoice}
	if a.Settled && item.Preimage != (channels.Hash{}) {
		text := item.Preimage.String()
		a.Preimage = &text
	}
	return a, nil
}
