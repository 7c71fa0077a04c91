package channels

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/millrace/millrace/ledger"
)

// The keys of the rails' records. Numbers in them are big-endian, so that they sort; times are in milliseconds since 1970, and inverted
// where the newest is to come first. Values are JSON, or empty.
//
//	payout/ account id              Payout
//	open/ account id                a payout that is not over
//	paying/ hash                    the Key of the payout that pays, paid or was to pay an invoice, or a keysend
//	deposit/ hash output            Deposit; output is FFFFFFFF over Lightning
//	arrived/ hash output            a deposit that is to be credited
//	unpaid/ expiry hash             the account of an invoice that nobody has paid
//	expired/ time hash              an invoice that nobody has paid in time, until it is forgotten
//	watch/ hash output              a deposit on-chain that is not buried yet
//	address/ text                   whose an address is
//	own/ account                    the account's newest address
//	list/ account ^time p id        the account's payouts
//	list/ account ^time d hash output    and deposits; those of account 0 are nobody's yet
//	batch/ id                       Batch
//	batching/ id                    a batch that is not closed
//	incident/ kind / subject        Incident
//	closed/ ^time kind / subject    Incident
//	mark/ name                      how far something has come: a number
//	pause                           Pause
const (
	keyPayout   = "payout/"
	keyOpen     = "open/"
	keyPaying   = "paying/"
	keyDeposit  = "deposit/"
	keyArrived  = "arrived/"
	keyUnpaid   = "unpaid/"
	keyExpired  = "expired/"
	keyWatch    = "watch/"
	keyAddress  = "address/"
	keyOwn      = "own/"
	keyList     = "list/"
	keyBatch    = "batch/"
	keyBatching = "batching/"
	keyIncident = "incident/"
	keyClosed   = "closed/"
	keyMark     = "mark/"
)

// rowKey puts a key together.
func rowKey(prefix string, parts ...[]byte) []byte {
	key := []byte(prefix)
	for _, p := range parts {
		key = append(key, p...)
	}
	return key
}

func millis(t time.Time) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(max(0, t.UnixMilli())))
}

// newestFirst is a time in a key whose newest comes first.
func newestFirst(t time.Time) []byte {
	return binary.BigEndian.AppendUint64(nil, ^uint64(max(0, t.UnixMilli())))
}

func accountBytes(no ledger.AccountNo) []byte { return binary.BigEndian.AppendUint32(nil, uint32(no)) }

// rowOf is a record as JSON.
func rowOf(key []byte, value any) (Row, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false) // it makes six bytes of one, and a batch writes the records of all its payouts at once
	if err := e.Encode(value); err != nil {
		return Row{}, fmt.Errorf("writing %q: %w", key, err)
	}
	return Row{Key: key, Value: bytes.TrimSuffix(text.Bytes(), []byte("\n"))}, nil
}

// read reads a record. False: there is none.
func (r *Rails) read(key []byte, into any) (bool, error) {
	text, err := r.records.Get(key)
	if err != nil {
		return false, fmt.Errorf("reading %q: %w", key, err)
	}
	if text == nil {
		return false, nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return false, fmt.Errorf("reading %q: %w", key, err)
	}
	return true, nil
}

// mark reads a number; zero where there is none.
func (r *Rails) mark(name string) (n uint64, err error) {
	_, err = r.read(rowKey(keyMark, []byte(name)), &n)
	return n, err
}

func markRow(name string, n uint64) Row {
	return Row{Key: rowKey(keyMark, []byte(name)), Value: fmt.Append(nil, n)}
}

// keysUnder are the ends of all keys that begin with a prefix: at most so many.
func (r *Rails) keysUnder(prefix string, from []byte, most int) (keys [][]byte, err error) {
	err = r.records.Scan([]byte(prefix), from, func(key, _ []byte) bool {
		keys = append(keys, append([]byte(nil), key[len(prefix):]...))
		return len(keys) < most
	})
	if err != nil {
		return nil, fmt.Errorf("reading what is under %q: %w", prefix, err)
	}
	return keys, nil
}
