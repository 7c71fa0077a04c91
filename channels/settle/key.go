package settle

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// The keys of this package's records. Numbers in them are big-endian, so that they are in order; values are JSON but where it says otherwise.
const (
	payeeKey  = "settle/payee/"  // + account: Payee
	statusKey = "settle/status/" // + account: Status, of those that were paid, or tried, at least once
	rulesKey  = "settle/rules"   // Rules
	tickKey   = "settle/tick"    // uint32 in binary: the last minute that the schedules were looked at for
	runKey    = "settle/run/"    // + run: Run. It is written last, so items without one belong to a run that never was
	itemKey   = "settle/item/"   // + run + number: Item
	ofKey     = "settle/of/"     // + account + run + number: empty. The payments to an account, by time
	fileKey   = "settle/file/"   // + account + SHA-256 of the file's id: file
	dayKey    = "settle/day/"    // + day since 1970 + account + payout: uint64 in binary, msat that a payout took on that day
	leaveKey  = "settle/leave/"  // + account + payout: leave, the same by payout
)

func accountKey(prefix string, no ledger.AccountNo) []byte {
	return binary.BigEndian.AppendUint32([]byte(prefix), uint32(no))
}

func idKey(prefix string, id ledger.OpID) []byte { return append([]byte(prefix), id[:]...) }

func itemsOf(run ledger.OpID) []byte { return idKey(itemKey, run) }

func numberKey(run ledger.OpID, number uint32) []byte {
	return binary.BigEndian.AppendUint32(itemsOf(run), number)
}

func ofAccountKey(no ledger.AccountNo, run ledger.OpID, number uint32) []byte {
	return binary.BigEndian.AppendUint32(append(accountKey(ofKey, no), run[:]...), number)
}

// last4 is the number at the end of a key.
func last4(key []byte) uint32 { return binary.BigEndian.Uint32(key[len(key)-4:]) }

// put is the row of a value. What this package stores can always be written as JSON.
func put(key []byte, v any) channels.Row {
	text, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("settle: %T as JSON: %v", v, err))
	}
	return channels.Row{Key: key, Value: text}
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
