package lnurl

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// What a name is refused for.
var (
	ErrName      = errors.New("not a name for a lightning address")
	ErrReserved  = errors.New("it is reserved") // beside ErrName
	ErrNameTaken = errors.New("the name is somebody's, or was")
	ErrNames     = errors.New("the account has had as many names as it can")
	ErrNoName    = errors.New("nobody has this name")
)

const (
	leastName = 2
	mostName  = 32
	mostNames = 4 // of an account, given up ones and all

	nameCharacters = "abcdefghijklmnopqrstuvwxyz0123456789-_."
)

// reserved are names that would pass for the hub's own (RFC 2142 and custom), or for what is no person.
var reserved = [...]string{
	"abuse", "account", "accounts", "admin", "administrator", "api", "bank", "billing", "bitcoin", "contact", "creator", "deposit", "dev",
	"everyone", "fee", "fees", "finance", "help", "helpdesk", "host", "hostmaster", "hub", "info", "invoice", "legal", "lightning", "ln",
	"lndhub", "lnurl", "mail", "mailer-daemon", "me", "millrace", "money", "news", "nobody", "noc", "no-reply", "noreply", "null",
	"official", "operator", "owner", "pay", "payment", "payments", "payout", "payouts", "postmaster", "privacy", "receipts", "root",
	"sales", "security", "service", "settlement", "shop", "staff", "status", "store", "support", "sysadmin", "system", "team", "test",
	"treasury", "undefined", "user", "wallet", "webmaster", "withdraw", "withdrawal", "www",
}

// Names are what accounts are called in lightning addresses (LUD-16): one at a time each. A name that was given up stays its last
// owner's: what is sent to an address that somebody printed must not reach another.
type Names struct {
	records channels.Records
	clock   func() time.Time
	mu      sync.Mutex // of a change, from reading to writing
}

// NewNames makes the names that stand in records. There must be one Names of them.
func NewNames(records channels.Records, clock func() time.Time) *Names {
	if clock == nil {
		clock = time.Now
	}
	return &Names{records: records, clock: clock}
}

// nameRow is a name's record.
type nameRow struct {
	Account ledger.AccountNo `json:"account"`
	Since   int64            `json:"since"`           // milliseconds since 1970
	Until   int64            `json:"until,omitempty"` // when it was given up; zero: it is in use
}

func nameKey(name string) []byte { return []byte("lnurl/name/" + name) }

func namesKey(a ledger.AccountNo) []byte {
	return binary.BigEndian.AppendUint32([]byte("lnurl/names/"), uint32(a))
}

// CheckName says what is wrong with a name that an account wants.
func CheckName(name string) error {
	switch {
	case len(name) < leastName || len(name) > mostName:
		return fmt.Errorf("%w: want %d to %d characters", ErrName, leastName, mostName)
	case strings.Trim(name, nameCharacters) != "":
		return fmt.Errorf("%w: want a-z, 0-9, dots, - and _", ErrName)
	case strings.ContainsAny(name[:1]+name[len(name)-1:], "-_.") || strings.Contains(name, ".."):
		return fmt.Errorf("%w: it begins or ends with a mark, or has two dots together", ErrName)
	case slices.Contains(reserved[:], strings.NewReplacer("-", "", "_", "", ".", "").Replace(name)), slices.Contains(reserved[:], name):
		return fmt.Errorf("%w: %w", ErrName, ErrReserved)
	}
	return nil
}

// Claim makes a name an account's own, and gives up the one that it had. To claim what one has changes nothing.
func (n *Names) Claim(account ledger.AccountNo, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	row, known, err := n.row(name)
	if err != nil {
		return err
	}
	if known && row.Account != account {
		return ErrNameTaken
	}
	had, err := n.of(account)
	if err != nil {
		return err
	}
	if known && row.Until == 0 {
		return nil
	}
	if !known && len(had) >= mostNames {
		return fmt.Errorf("%w: %d", ErrNames, mostNames)
	}
	now := n.clock().UnixMilli()
	rows, err := n.giveUp(had, now)
	if err != nil {
		return err
	}
	had = append([]string{name}, slices.DeleteFunc(had, func(s string) bool { return s == name })...)
	rows = append(rows, jsonRow(nameKey(name), nameRow{Account: account, Since: now}), jsonRow(namesKey(account), had))
	return wrote(n.records.Write(rows...))
}

// GiveUp leaves an account without a name. Its names stay its own.
func (n *Names) GiveUp(account ledger.AccountNo) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	had, err := n.of(account)
	if err != nil {
		return err
	}
	rows, err := n.giveUp(had, n.clock().UnixMilli())
	if err != nil || len(rows) == 0 {
		return err
	}
	return wrote(n.records.Write(rows...))
}

// giveUp is the rows by which the name in use, the first if any, is so no more.
func (n *Names) giveUp(had []string, now int64) ([]channels.Row, error) {
	if len(had) == 0 {
		return nil, nil
	}
	row, known, err := n.row(had[0])
	if err != nil || !known || row.Until != 0 {
		return nil, err
	}
	row.Until = now
	return []channels.Row{jsonRow(nameKey(had[0]), row)}, nil
}

// Account is whose name it is.
func (n *Names) Account(name string) (ledger.AccountNo, error) {
	if len(name) > mostName {
		return 0, ErrNoName
	}
	row, known, err := n.row(name)
	if err != nil {
		return 0, err
	}
	if !known || row.Until != 0 {
		return 0, ErrNoName
	}
	return row.Account, nil
}

// Name is what an account is called; empty: it has no name.
func (n *Names) Name(account ledger.AccountNo) (string, error) {
	had, err := n.of(account)
	if err != nil || len(had) == 0 {
		return "", err
	}
	row, known, err := n.row(had[0])
	if err != nil || !known || row.Until != 0 {
		return "", err
	}
	return had[0], nil
}

// Former are the names that an account has given up, the newest first: it alone can claim them again.
func (n *Names) Former(account ledger.AccountNo) ([]string, error) {
	had, err := n.of(account)
	if err != nil || len(had) == 0 {
		return nil, err
	}
	row, known, err := n.row(had[0])
	if err == nil && known && row.Until == 0 {
		had = had[1:]
	}
	return had, err
}

func (n *Names) row(name string) (row nameRow, known bool, err error) {
	known, err = readJSON(n.records, nameKey(name), &row)
	return row, known, err
}

func (n *Names) of(account ledger.AccountNo) (had []string, err error) {
	_, err = readJSON(n.records, namesKey(account), &had)
	return had, err
}

// jsonRow encodes what always can be.
func jsonRow(key []byte, value any) channels.Row {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false) // it makes six bytes of one
	if err := e.Encode(value); err != nil {
		panic("lnurl: a record that is no JSON: " + err.Error()) // a mistake in its type, found by the first test that writes one
	}
	return channels.Row{Key: key, Value: bytes.TrimSuffix(text.Bytes(), []byte("\n"))}
}

func readJSON(records channels.Records, key []byte, into any) (known bool, err error) {
	text, err := records.Get(key)
	if err != nil {
		return false, fmt.Errorf("lnurl: reading a record: %w", err)
	}
	if text == nil {
		return false, nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return false, fmt.Errorf("lnurl: the record %q: %w", key, err)
	}
	return true, nil
}

func wrote(err error) error {
	if err != nil {
		return fmt.Errorf("lnurl: writing a record: %w", err)
	}
	return nil
}
