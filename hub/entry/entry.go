// Package entry is how the hub shows entries of the ledger to the world, as JSON: one form for a page of history, for the
// stream of events and for what a webhook delivers.
package entry

import (
	"strconv"

	"github.com/millrace/millrace/ledger"
)

// Contents finds the name of a content by its number in the ledger.
type Contents func(no uint32) (ledger.ContentID, bool)

// MaxLine bounds a line in bytes: five numbers of at most 20 digits, an id, a content and an account, with their names.
const MaxLine = 512

// MaxEntry bounds an entry in bytes: one with as many legs as there can be, of at most 100 bytes.
const MaxEntry = 256 + 128*ledger.MaxLegs

// AppendLine appends a line of an account's history.
func AppendLine(b []byte, l *ledger.Line, contents Contents) []byte {
	b = appendStart(b, l, contents)
	b = appendAmount(b, "change_msat", l.Change[0])
	b = appendAmount(b, "held_change_msat", l.Change[1])
	b = appendAmount(b, "balance_msat", l.After[0])
	return append(appendAmount(b, "held_msat", l.After[1]), '}')
}

// AppendChannelLine appends a line of a channel's history.
func AppendChannelLine(b []byte, l *ledger.Line, contents Contents) []byte {
	b = appendStart(b, l, contents)
	b = appendAmount(b, "left_change_msat", l.Change[0])
	b = appendAmount(b, "paid_change_msat", l.Change[1])
	b = appendAmount(b, "left_msat", l.After[0])
	return append(appendAmount(b, "paid_msat", l.After[1]), '}')
}

// appendStart is what the lines of all histories have. What a line does not have is left out.
func appendStart(b []byte, l *ledger.Line, contents Contents) []byte {
	b = appendHead(b, l.Seq, l.Time, l.Kind, l.Object, contents)
	if l.Other != 0 {
		b = append(l.Other.Append(append(b, `,"other":"`...)), '"')
	}
	return appendID(b, l.ID)
}

// AppendEntry appends an entry as it stands in the ledger, with every account that it touches: for the operator alone.
func AppendEntry(b []byte, e *ledger.Entry, contents Contents) []byte {
	b = appendHead(b, e.Seq, e.Time, e.Kind, e.Legs[0].Object, contents)
	b = appendID(b, e.ID)
	b = append(b, `,"legs":[`...)
	for i := range e.Legs {
		if i > 0 {
			b = append(b, ',')
		}
		l := &e.Legs[i]
		b = append(append(append(b, `{"move":"`...), l.Move.String()...), '"')
		if l.From != 0 {
			b = append(l.From.Append(append(b, `,"from":"`...)), '"')
		}
		if l.To != 0 {
			b = append(l.To.Append(append(b, `,"to":"`...)), '"')
		}
		b = append(strconv.AppendUint(append(b, amounts[l.Move]...), uint64(l.Amount), 10), '}')
	}
	return append(b, "]}"...)
}

// amounts say what the amount of a leg is.
var amounts = [...]string{
	ledger.MoveNone: paid, ledger.MovePaid: paid, ledger.MovePaidHeld: paid, ledger.MoveSetAside: paid, ledger.MoveGiveBack: paid,
	ledger.MoveRate:  `,"rate_msat":`, // for a million units of the currency
	ledger.MoveOwned: `,"unit":`,      // counted from one; zero: the work itself
}

const paid = `,"amount_msat":`

func appendHead(b []byte, seq, time uint64, kind ledger.Kind, object uint32, contents Contents) []byte {
	b = strconv.AppendUint(append(b, `{"seq":`...), seq, 10)
	b = strconv.AppendUint(append(b, `,"time":`...), time, 10)
	b = append(append(append(b, `,"kind":"`...), kind.String()...), '"')
	if object == 0 {
		return b
	}
	switch {
	case kind == ledger.OpOpenAccount:
		b = ledger.AccountNo(object).Append(append(b, `,"object":"`...))
	case kind == ledger.OpHold, kind == ledger.OpCapture, kind == ledger.OpVoid:
		b = append(append(b, `,"object":"`...), ledger.HoldNo(object).String()...)
	case kind == ledger.OpRate:
		if !ledger.CurrencyOf(object).Valid() {
			return b
		}
		b = append(append(b, `,"object":"`...), ledger.CurrencyOf(object).String()...)
	case kind.Claim():
		b = ledger.ClaimNo(object).Append(append(b, `,"object":"`...))
	case kind.Content():
		id, ok := contents(object)
		if !ok {
			return b
		}
		b = id.Append(append(b, `,"object":"`...))
	default:
		b = ledger.ChannelNo(object).Append(append(b, `,"object":"`...))
	}
	return append(b, '"')
}

func appendID(b []byte, id ledger.OpID) []byte {
	if id == (ledger.OpID{}) {
		return b
	}
	return append(id.Append(append(b, `,"id":"`...)), '"')
}

func appendAmount(b []byte, name string, msat int64) []byte {
	return strconv.AppendInt(append(append(append(b, `,"`...), name...), `":`...), msat, 10)
}
