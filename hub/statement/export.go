package statement

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/millrace/millrace/ledger"
	"github.com/parquet-go/parquet-go"
)

// Leg is a row of an export: one movement of an entry. Accounts are by number, as objects are, since a log has billions of
// them; the text form of each is its letter, the number in base 32 and a checksum (see package ledger).
type Leg struct {
	Seq    int64    `parquet:"seq,delta"`
	Time   int64    `parquet:"time,delta,timestamp(millisecond)"`
	Block  int64    `parquet:"block,delta"`
	Kind   string   `parquet:"kind,dict"`
	Move   string   `parquet:"move,dict"` // none, paid, paid_held, set_aside, give_back: see ledger.Move
	From   uint32   `parquet:"from"`
	To     uint32   `parquet:"to,optional"`     // null: nobody is paid
	Object uint32   `parquet:"object,optional"` // null: the entry is about none
	Amount int64    `parquet:"amount_msat"`
	ID     [16]byte `parquet:"id,optional,uuid"` // null: the op carried none
}

// Bounds of an export's memory: a row group of a million rows is gathered in pages, compressed, some 50 MB at most.
const (
	exportGroupRows = 1 << 20
	exportBatchRows = 64
)

// Export writes a log, or a part of it without gaps, as Parquet: one row for each leg of each entry, in the log's order. It is
// not safe for concurrent use. After an error every call returns it again.
type Export struct {
	w           *parquet.GenericWriter[Leg]
	rows        []Leg
	first, last uint64
	err         error
}

// NewExport begins an export. It keeps w until Close, and does not close it.
func NewExport(w io.Writer) *Export {
	return &Export{
		w:    parquet.NewGenericWriter[Leg](w, parquet.MaxRowsPerRowGroup(exportGroupRows), parquet.Compression(&parquet.Snappy)),
		rows: make([]Leg, 0, exportBatchRows),
	}
}

// Entry writes the next entry. ErrOrder: it does not follow the one before it.
func (x *Export) Entry(e *ledger.Entry) error {
	if x.err != nil {
		return x.err
	}
	if e.Seq == 0 || x.last != 0 && e.Seq != x.last+1 {
		x.err = fmt.Errorf("%w: entry %d after entry %d", ErrOrder, e.Seq, x.last)
		return x.err
	}
	if len(e.Legs) == 0 { // it would be missing without a trace
		x.err = fmt.Errorf("entry %d has no legs", e.Seq)
		return x.err
	}
	if x.first == 0 {
		x.first = e.Seq
	}
	x.last = e.Seq
	for i := range e.Legs {
		l := &e.Legs[i]
		if !l.Move.Known() {
			x.err = fmt.Errorf("entry %d: a %v is not known", e.Seq, l.Move)
			return x.err
		}
		x.rows = append(x.rows, Leg{Seq: int64(e.Seq), Time: int64(e.Time), Block: int64(e.Index), Kind: e.Kind.String(),
			Move: l.Move.String(), From: uint32(l.From), To: uint32(l.To), Object: l.Object, Amount: int64(l.Amount), ID: e.ID})
		if len(x.rows) == exportBatchRows {
			x.pass()
		}
	}
	return x.err
}

func (x *Export) pass() {
	if _, err := x.w.Write(x.rows); err != nil && x.err == nil {
		x.err = fmt.Errorf("writing up to entry %d: %w", x.last, err)
	}
	x.rows = x.rows[:0]
}

// Close ends the export. The file's metadata says which entries it has: millrace.first_seq and millrace.last_seq, both zero
// where there are none.
func (x *Export) Close() error {
	if x.pass(); x.err != nil {
		return x.err
	}
	x.w.SetKeyValueMetadata("millrace.first_seq", strconv.FormatUint(x.first, 10))
	x.w.SetKeyValueMetadata("millrace.last_seq", strconv.FormatUint(x.last, 10))
	if err := x.w.Close(); err != nil {
		x.err = fmt.Errorf("ending the export: %w", err)
		return x.err
	}
	x.err = errors.New("the export is closed")
	return nil
}
