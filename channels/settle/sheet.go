package settle

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/millrace/millrace/ledger"
)

// Format is that of a file of payments.
type Format string

const (
	CSV    Format = "csv"
	NDJSON Format = "ndjson"
	Pain   Format = "pain.001" // ISO 20022, CustomerCreditTransferInitiation
)

// The bounds of a file.
const (
	MaxFile     = 32 << 20 // bytes
	MaxLines    = 50_000   // payments
	maxLine     = 16 << 10 // bytes, of NDJSON, and of the fields of CSV
	maxText     = 500      // bytes, of a reference
	maxGiven    = 64       // bytes, of an id of a payment, or of the file
	maxProblem  = 500      // bytes, of what is wrong
	maxProblems = 1000     // that an answer names
)

// Sheet is what a file says, before anybody looked whether it can be paid.
type Sheet struct {
	ID       string // that is in it; empty: none
	Message  string // of pain.001, which version: pain.001.001.09
	From     string // the account that is to pay, where it says so
	Latest   string // of pain.001: the latest day for which it asks, as 2027-01-15; empty: none
	Lines    []Line
	Problems []string // of the file as a whole: nothing of it can be paid
}

// Line is one payment of a file.
type Line struct {
	Line      uint32 // where it begins in the file, from 1
	To        string
	Amount    ledger.Msat
	Given     string // its id; empty: none
	Group     string // of pain.001: its payment information
	Reference string
	Problems  []string
}

func (s *Sheet) wrong(format string, a ...any) {
	if len(s.Problems) < maxProblems {
		s.Problems = append(s.Problems, cut(fmt.Sprintf(format, a...), maxProblem))
	}
}

func (l *Line) wrong(format string, a ...any) {
	const most = 10
	if len(l.Problems) < most {
		l.Problems = append(l.Problems, cut(fmt.Sprintf(format, a...), maxProblem)) // what is wrong may quote what stands there
	}
}

// cut is a text of at most so many bytes. It keeps nothing of a longer one in memory.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(strings.Clone(text[:most]), "")
}

// parseSheet reads a file. What is wrong with it is in the sheet.
func parseSheet(format Format, text []byte) (s Sheet, err error) {
	if len(text) > MaxFile {
		s.wrong("larger than %d bytes", MaxFile)
		return s, nil
	}
	text = []byte(strings.TrimPrefix(string(text), "\ufeff"))
	if !utf8.Valid(text) && format != Pain {
		s.wrong("not UTF-8")
		return s, nil
	}
	switch format {
	case CSV:
		s = parseCSV(text)
	case NDJSON:
		s = parseNDJSON(text)
	case Pain:
		s = parsePain(text)
	default:
		return s, fmt.Errorf("%w: want csv, ndjson or pain.001", ErrFormat)
	}
	if len(s.Lines) > MaxLines {
		s.Lines = s.Lines[:MaxLines]
		s.wrong("more than %d payments", MaxLines)
	}
	if len(s.Lines) == 0 && len(s.Problems) == 0 {
		s.wrong("no payments in it")
	}
	seen := make(map[string]uint32)
	for i := range s.Lines {
		s.Lines[i].check(seen)
	}
	return s, nil
}

// ErrFormat means that a file is of a format that is not known.
var ErrFormat = errors.New("not a format of payment files")

// check checks what can be known of a line by itself, and that its id is its own. What is too long is cut: a line that is passed over is
// written down as well.
func (l *Line) check(seen map[string]uint32) {
	whole := len(l.Given) <= maxGiven
	for _, f := range []struct {
		name string
		text *string
		most int
	}{{"to", &l.To, maxTarget}, {"reference", &l.Reference, maxText}, {"id", &l.Given, maxGiven}} {
		if len(*f.text) > f.most {
			l.wrong("%s: longer than %d bytes", f.name, f.most)
			*f.text = cut(*f.text, f.most)
		}
		if !plain(*f.text) {
			l.wrong("%s: a line break or another control character", f.name)
		}
	}
	if l.Given == "" || !whole {
		return
	}
	if first, again := seen[l.Given]; again {
		l.wrong("id: the same as that of line %d", first)
	} else {
		seen[l.Given] = l.Line
	}
}

// plain says whether a text can be shown on one line.
func plain(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(c rune) bool { return unicode.IsControl(c) || c == '\u2028' || c == '\u2029' })
}

// amount sets a line's amount.
func (l *Line) amount(name, text string, u unit) {
	var err error
	if l.Amount, err = parseAmount(text, u); err != nil {
		l.wrong("%s: %v", name, err)
	}
}
