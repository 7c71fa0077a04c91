package settle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// parseNDJSON reads a JSON object a line, with the names that the columns of CSV have. Amounts are numbers without an exponent, or strings.
// A name that is not known, or that comes twice, is wrong: it could be an amount.
func parseNDJSON(text []byte) (s Sheet) {
	for number := uint32(1); len(text) > 0 && len(s.Lines) <= MaxLines; number++ {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte("\n"))
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		l := Line{Line: number}
		if len(line) > maxLine {
			l.wrong("longer than %d bytes", maxLine)
		} else if err := l.object(line); err != nil {
			l.wrong("%v", err)
		}
		s.Lines = append(s.Lines, l)
	}
	return s
}

// object reads the object of a line.
func (l *Line) object(text []byte) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return errors.New("not a JSON object")
	}
	seen := make(map[string]bool)
	amounts := 0
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return notJSON(err)
		}
		name, _ := t.(string)
		f := columns[name]
		if f == nil || seen[name] {
			return fmt.Errorf("%.40q is not known, or comes twice: there are to, amount_msat, amount_sat, amount_btc, id and reference", name)
		}
		seen[name] = true
		value, err := dec.Token()
		if err != nil {
			return notJSON(err)
		}
		isAmount := strings.HasPrefix(name, "amount_")
		if isAmount {
			amounts++
		}
		switch v := value.(type) {
		case string:
			f(l, strings.TrimSpace(v))
		case json.Number:
			if !isAmount {
				return fmt.Errorf("%s: want a string", name)
			}
			f(l, v.String())
		default:
			return fmt.Errorf("%s: want a string", name)
		}
	}
	if _, err := dec.Token(); err != nil {
		return notJSON(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something behind the object")
	}
	if amounts != 1 {
		return errors.New("want one of amount_msat, amount_sat and amount_btc")
	}
	return nil
}

func notJSON(err error) error { return fmt.Errorf("not a JSON object: %w", err) }
