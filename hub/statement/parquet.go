package statement

import (
	"fmt"
	"io"
	"strconv"

	"github.com/millrace/millrace/ledger"
	"github.com/parquet-go/parquet-go"
)

// A row is a line in Parquet. The two kinds of rows differ in the names of their columns alone. What an entry has none of is
// null.
type (
	accountRow struct {
		Seq           int64    `parquet:"seq,delta"`
		Time          int64    `parquet:"time,delta,timestamp(millisecond)"`
		Kind          string   `parquet:"kind,dict"`
		Object        string   `parquet:"object,optional"`
		Other         string   `parquet:"other,optional,dict"`
		ID            [16]byte `parquet:"id,optional,uuid"`
		BalanceChange int64    `parquet:"change_msat"`
		HeldChange    int64    `parquet:"held_change_msat"`
		Balance       int64    `parquet:"balance_msat"`
		Held          int64    `parquet:"held_msat"`
	}
	channelRow struct {
		Seq           int64    `parquet:"seq,delta"`
		Time          int64    `parquet:"time,delta,timestamp(millisecond)"`
		Kind          string   `parquet:"kind,dict"`
		Object        string   `parquet:"object,optional"`
		Other         string   `parquet:"other,optional,dict"`
		ID            [16]byte `parquet:"id,optional,uuid"`
		BalanceChange int64    `parquet:"left_change_msat"`
		HeldChange    int64    `parquet:"paid_change_msat"`
		Balance       int64    `parquet:"left_msat"`
		Held          int64    `parquet:"paid_msat"`
	}
)

// Bounds of a statement's memory: a row group is gathered before it is written, some 8 MB at most.
const (
	groupRows = 64 << 10
	batchRows = 64 // handed to the library at once, which takes no more at a time
)

// table is a statement as Parquet.
type table[R accountRow | channelRow] struct {
	w      *parquet.GenericWriter[R]
	header *Header
	rows   []R
}

func newTable(w io.Writer, h *Header) form {
	if h.Channel != 0 {
		return newRows[channelRow](w, h)
	}
	return newRows[accountRow](w, h)
}

func newRows[R accountRow | channelRow](w io.Writer, h *Header) *table[R] {
	t := &table[R]{header: h, rows: make([]R, 0, batchRows)}
	t.w = parquet.NewGenericWriter[R](w, parquet.MaxRowsPerRowGroup(groupRows), parquet.Compression(&parquet.Snappy))
	word, name := h.subject()
	for _, m := range [...]struct {
		name, value string
	}{
		{"hub", h.Hub}, {word, name}, {"from", string(appendTime(nil, h.From))}, {"until", string(appendTime(nil, h.Until))},
		{"first_seq", strconv.FormatUint(h.First, 10)}, {"last_seq", strconv.FormatUint(h.Last, 10)},
	} {
		t.w.SetKeyValueMetadata("millrace."+m.name, m.value)
	}
	t.balance("opening", h.Opening)
	return t
}

// balance puts a balance into the file's metadata as millrace.opening_balance_msat and so on.
func (t *table[R]) balance(which string, balance [2]int64) {
	_, names := t.header.columns()
	for i, amount := range balance {
		t.w.SetKeyValueMetadata(fmt.Sprintf("millrace.%s_%s", which, names[i]), strconv.FormatInt(amount, 10))
	}
}

func (t *table[R]) line(l *ledger.Line) error {
	var b [36]byte
	row := accountRow{Seq: int64(l.Seq), Time: int64(l.Time), Kind: l.Kind.String(), ID: l.ID, Object: string(t.header.appendObject(b[:0], l)),
		BalanceChange: l.Change[0], HeldChange: l.Change[1], Balance: l.After[0], Held: l.After[1]}
	if l.Other != 0 {
		row.Other = string(l.Other.Append(b[:0]))
	}
	if t.rows = append(t.rows, R(row)); len(t.rows) < batchRows {
		return nil
	}
	return t.pass()
}

func (t *table[R]) pass() error {
	_, err := t.w.Write(t.rows)
	t.rows = t.rows[:0]
	return err
}

func (t *table[R]) finish(closing [2]int64) error {
	if err := t.pass(); err != nil {
		return err
	}
	t.balance("closing", closing)
	return t.w.Close()
}
