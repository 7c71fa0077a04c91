// Package statement writes what happened to an account or a channel in a period: the opening balance, one line for each
// entry, the closing balance; as CSV, JSON, an hledger journal or Parquet. It also writes a whole log as Parquet (see
// [Export]). All of it is written line by line in constant memory.
//
// Amounts are integers of msat everywhere. Times are UTC, in RFC 3339 with milliseconds, and where a program would want
// them also in milliseconds since 1970.
//
// A statement that does not add up is never finished: every line must lead from the balance before it to the balance that
// it says there was after it, and the last one to the closing balance. What was written until then lacks its end, which
// readers of JSON and Parquet find themselves, and those of CSV and of a journal by the missing closing balance.
package statement

import (
	"errors"
	"fmt"
	"io"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/millrace/millrace/ledger"
)

// Sentinels, returned wrapped.
var (
	ErrUnbalanced = errors.New("the statement does not add up")
	ErrOrder      = errors.New("a line out of order or outside of its period")
	ErrHeader     = errors.New("not a valid statement")
)

// Period is the time that a statement is about, and the entries of that time.
type Period struct {
	From, Until uint64 // milliseconds since 1970; From belongs to it, Until does not; both may be the same
	First, Last uint64 // seqs, both belong to it; First is above Last when there are none
}

// Header is what stands at the head of a statement.
type Header struct {
	Hub     string           // origin; at most MaxHub bytes, no control characters
	Account ledger.AccountNo // whose statement it is; zero for a channel's
	Channel ledger.ChannelNo // zero for an account's
	Period
	Opening [2]int64 // msat before the first line, as in ledger.Line.After

	// Contents finds the id of a content by its number in the ledger. A content that it does not find, or any where it is nil,
	// is shown by its number.
	Contents func(no uint32) (ledger.ContentID, bool)
}

// MaxHub bounds Header.Hub in bytes. It is above what an origin can take: a scheme, a DNS name of 253 and a port.
const MaxHub = 300

// maxMillis is the first millisecond of the year 10000, which RFC 3339 cannot write.
const maxMillis = 253_402_300_800_000

// Writer writes one statement. It is not safe for concurrent use. After an error every call returns it again.
type Writer struct {
	form
	header  Header
	balance [2]int64 // after the last line
	seq     uint64   // of the last line, or one less than the first may have
	time    uint64
	err     error
}

// form is how a format writes lines that are known to be right.
type form interface {
	line(*ledger.Line) error
	finish(closing [2]int64) error
}

// New begins a statement. It keeps w until Close, and does not close it.
func New(f Format, w io.Writer, h Header) (*Writer, error) {
	if err := h.validate(); err != nil {
		return nil, err
	}
	s := &Writer{header: h, balance: h.Opening, time: h.From}
	var err error
	switch f {
	case CSV:
		s.form = newCSV(w, &s.header)
	case JSON:
		s.form, err = newJSON(w, &s.header)
	case Hledger:
		s.form = newJournal(w, &s.header)
	case Parquet:
		s.form = newTable(w, &s.header)
	default:
		err = fmt.Errorf("%w: %v", ErrHeader, f)
	}
	return s, err
}

// Line writes the next line, oldest first. ErrUnbalanced: the line does not lead from the balance before it to its own After.
func (s *Writer) Line(l *ledger.Line) error {
	if s.err == nil {
		s.err = s.take(l)
	}
	if s.err == nil {
		if err := s.line(l); err != nil {
			s.err = fmt.Errorf("writing the line of entry %d: %w", l.Seq, err)
		}
	}
	return s.err
}

// Close ends the statement, unless what was written does not lead to the closing balance: ErrUnbalanced.
func (s *Writer) Close(closing [2]int64) error {
	if s.err == nil && s.balance != closing {
		s.err = fmt.Errorf("%w: the lines end at %d, the closing balance is %d msat", ErrUnbalanced, s.balance, closing)
	}
	if s.err != nil {
		return s.err
	}
	if err := s.finish(closing); err != nil {
		s.err = fmt.Errorf("ending the statement: %w", err)
		return s.err
	}
	s.err = errors.New("the statement is closed")
	return nil
}

// take checks a line against the ones before it, and makes it the last one.
func (s *Writer) take(l *ledger.Line) error {
	h := &s.header
	switch {
	case l.Seq < h.First || l.Seq > h.Last || l.Time < h.From || l.Time >= h.Until:
		return fmt.Errorf("%w: entry %d at %d does not belong in it", ErrOrder, l.Seq, l.Time)
	case l.Seq <= s.seq || l.Time < s.time:
		return fmt.Errorf("%w: entry %d at %d after entry %d at %d", ErrOrder, l.Seq, l.Time, s.seq, s.time)
	}
	for i, change := range l.Change {
		// With both in bounds the sum is within 3 times MaxMsat, and an int64 holds 4 of them.
		if !within(change, 2) || !within(l.After[i], 1) || s.balance[i]+change != l.After[i] {
			return fmt.Errorf("%w: entry %d changes %d by %d, and %d msat are said to be there after it", ErrUnbalanced, l.Seq, s.balance,
				l.Change, l.After)
		}
	}
	s.balance, s.seq, s.time = l.After, l.Seq, l.Time
	return nil
}

// within says whether an amount is at most n times all the money there can be.
func within(amount, n int64) bool {
	most := n * int64(ledger.MaxMsat)
	return -most <= amount && amount <= most
}

func (h *Header) validate() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrHeader}, args...)...)
	}
	switch {
	case (h.Account == 0) == (h.Channel == 0):
		return bad("want an account or a channel")
	case h.Until < h.From || h.Until > maxMillis:
		return bad("a period from %d until %d ms", h.From, h.Until)
	case !within(h.Opening[0], 1) || !within(h.Opening[1], 1):
		return bad("an opening balance of %d msat", h.Opening)
	case h.Hub == "" || len(h.Hub) > MaxHub || !utf8.ValidString(h.Hub):
		return bad("the hub's name is %d bytes of text", len(h.Hub))
	}
	for _, r := range h.Hub {
		if !unicode.IsGraphic(r) { // a line break would begin a new line of a journal
			return bad("%U in the hub's name", r)
		}
	}
	return nil
}

// subject is the account's or the channel's word and text.
func (h *Header) subject() (word, text string) {
	if h.Channel != 0 {
		return "channel", h.Channel.String()
	}
	return "account", h.Account.String()
}

// columns are the names of what a line changed, and of what there was after it.
func (h *Header) columns() (change, after [2]string) {
	if h.Channel != 0 {
		return [2]string{"left_change_msat", "paid_change_msat"}, [2]string{"left_msat", "paid_msat"}
	}
	return [2]string{"change_msat", "held_change_msat"}, [2]string{"balance_msat", "held_msat"}
}

// FileName is a name for the statement that tells it from others of its hub.
func (h *Header) FileName(f Format) string {
	day := func(millis uint64) string { return time.UnixMilli(int64(millis)).UTC().Format("20060102T150405Z") }
	_, text := h.subject()
	return fmt.Sprintf("millrace-%s-%s-%s%s", text, day(h.From), day(h.Until), f.Extension())
}
