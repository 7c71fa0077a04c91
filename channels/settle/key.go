package settle

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// The keys of this package's records. Numbers in them are big-endian, so that they are in order; values are JSON but where it says otherwise.
const (
	payeeKey    = "settle/payee/"    // + account: Payee
	statusKey   = "settle/status/"   // + account: Status, of those that were paid, or tried, at least once
	rulesKey    = "settle/rules"     // Rules
	tickKey     = "settle/tick"      // uint32 in binary: the last minute that the schedules were looked at for
	runKey      = "settle/run/"      // + run, newest first: Run
	openKey     = "settle/open/"     // + run: empty. The runs that are not closed
	makingKey   = "settle/making/"   // + run: empty. Written before the first item of a run, deleted with the write of its Run: what a crash leaves was never a run
	itemKey     = "settle/item/"     // + run + number: Item
	ofKey       = "settle/of/"       // + account + run, newest first + number: empty. The payments to an account
	fileKey     = "settle/file/"     // + account + SHA-256 of the file's id: file
	dayKey      = "settle/day/"      // + day since 1970 + account + payout: uint64 in binary, msat that a payout took on that day
	approvalKey = "settle/approval/" // + account + payout: the list of Approval of a payout that is not a run's
	leaveKey    = "settle/leave/"    // + account + payout: leave, the same by payout
)

func accountKey(prefix string, no ledger.AccountNo) []byte {
	return binary.BigEndian.AppendUint32([]byte(prefix), uint32(no))
}

func idKey(prefix string, id channels.ID) []byte { return append([]byte(prefix), id[:]...) }

func itemsOf(run channels.ID) []byte { return idKey(itemKey, run) }

func numberKey(run channels.ID, number uint32) []byte {
	return binary.BigEndian.AppendUint32(itemsOf(run), number)
}

// downwards makes a later id the lesser one: ids of runs begin with their time.
func downwards(id channels.ID) channels.ID {
	for i := range id {
		id[i] = ^id[i]
	}
	return id
}

func ofAccountKey(no ledger.AccountNo, run channels.ID, number uint32) []byte {
	run = downwards(run)
	return binary.BigEndian.AppendUint32(append(accountKey(ofKey, no), run[:]...), number)
}

// last4 is the number at the end of a key.
func last4(key []byte) uint32 { return binary.BigEndian.Uint32(key[len(key)-4:]) }

// put is the row of a value. What this package stores can always be written as JSON.
func put(key []byte, v any) channels.Row {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false) // it makes six bytes of one, and texts are others'
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("settle: %T as JSON: %v", v, err))
	}
	return channels.Row{Key: key, Value: bytes.TrimSuffix(text.Bytes(), []byte("\n"))}
}

// get reads a value, and says whether there is one.
func get(rec channels.Records, key []byte, to any) (bool, error) {
	text, err := rec.Get(key)
	if err != nil {
		return false, err
	}
	if text == nil {
		return false, nil
	}
	if err := decode(text, to); err != nil {
		return false, fmt.Errorf("the record %q: %w", key, err)
	}
	return true, nil
}
