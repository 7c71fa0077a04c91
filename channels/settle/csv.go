package settle

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strings"
)

// columns are those of a file of payments, by name in lower case. One of the amounts must be there.
var columns = map[string]func(l *Line, text string){
	"to":          func(l *Line, text string) { l.To = text },
	"amount_msat": func(l *Line, text string) { l.amount("amount_msat", text, inMsat) },
	"amount_sat":  func(l *Line, text string) { l.amount("amount_sat", text, inSat) },
	"amount_btc":  func(l *Line, text string) { l.amount("amount_btc", text, inBTC) },
	"id":          func(l *Line, text string) { l.Given = text },
	"reference":   func(l *Line, text string) { l.Reference = text },
}

// parseCSV reads RFC 4180, with commas, semicolons or tabs, whichever the first line has. That line names the columns: to, amount_msat or
// amount_sat or amount_btc, and where they are wanted id and reference. Fields are trimmed; lines without any are skipped.
func parseCSV(text []byte) (s Sheet) {
	r := csv.NewReader(bytes.NewReader(text))
	r.Comma, r.FieldsPerRecord, r.ReuseRecord = comma(text), -1, true
	header, err := r.Read()
	if err != nil {
		s.wrong("the first line, which names the columns: %s", csvError(err))
		return s
	}
	set, ok := s.header(header)
	if !ok {
		return s
	}
	for len(s.Lines) <= MaxLines {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			s.wrong("%s", csvError(err))
			break
		}
		at, _ := r.FieldPos(0)
		l := Line{Line: uint32(at)}
		empty, size := true, 0
		for i, field := range record {
			size += len(field)
			field = strings.TrimSpace(field)
			empty = empty && field == ""
			if i < len(set) {
				set[i](&l, field)
			}
		}
		if empty {
			continue
		}
		if len(record) != len(set) {
			l.wrong("%d fields, and the first line has %d", len(record), len(set))
		}
		if size > maxLine {
			l.wrong("longer than %d bytes", maxLine)
		}
		s.Lines = append(s.Lines, l)
	}
	return s
}

// comma is what separates the fields of the first line.
func comma(text []byte) rune {
	first, _, _ := bytes.Cut(text, []byte("\n"))
	for _, c := range ",;\t" {
		if bytes.ContainsRune(first, c) {
			return c
		}
	}
	return ','
}

// header finds out what the columns are.
func (s *Sheet) header(names []string) (set []func(*Line, string), ok bool) {
	seen := make(map[string]bool)
	amounts := 0
	for _, name := range names {
		name = strings.ToLower(strings.TrimSpace(name))
		f := columns[name]
		switch {
		case f == nil:
			s.wrong("line 1: no column is called %.40q: there are to, amount_msat, amount_sat, amount_btc, id and reference", name)
		case seen[name]:
			s.wrong("line 1: the column %s twice", name)
		}
		if strings.HasPrefix(name, "amount_") {
			amounts++
		}
		seen[name] = true
		set = append(set, f)
	}
	if !seen["to"] {
		s.wrong("line 1: no column to")
	}
	if amounts != 1 {
		s.wrong("line 1: want one of amount_msat, amount_sat and amount_btc")
	}
	return set, len(s.Problems) == 0
}

func csvError(err error) string {
	if errors.Is(err, io.EOF) {
		return "there is none"
	}
	return strings.TrimPrefix(err.Error(), "record on ")
}
