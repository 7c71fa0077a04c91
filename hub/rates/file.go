package rates

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/hub/currency"
)

// ReadFile reads what units of currencies cost in msat, for a million each, from a file as a source has it: for the codes that it is asked
// about, all of them, or of a file of lines, without codes, for all that it names.
func ReadFile(file string, gives Direction, codes ...currency.Code) (map[currency.Code]uint64, error) {
	s := Source{File: file, Gives: gives, Currencies: codes, Path: placeholder}
	found, err := s.readFile(context.Background())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	all := make(map[currency.Code]uint64)
	for _, r := range found {
		all[r.currency] = nearest(r.msat)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: there is no rate in it", file)
	}
	return all, nil
}

// readFile reads a file of JSON or of lines. Its time is when it was last changed, unless it says one: so what nobody writes any more
// becomes stale, and is no second word for itself.
func (s *Source) readFile(context.Context) ([]reading, error) {
	if info, err := os.Stat(s.File); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() { // opening a pipe waits for who writes to it
		return nil, errors.New("it is no regular file")
	}
	f, err := os.Open(s.File)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b, err := all(f)
	if err != nil {
		return nil, err
	}
	if start := bytes.TrimSpace(b); len(start) > 0 && (start[0] == '{' || start[0] == '[') {
		return s.readJSON(b, info.ModTime(), s.Currencies)
	}
	return s.readLines(string(b), info.ModTime())
}

// all reads to the end, up to MaxAnswer.
func all(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxAnswer+1))
	if err == nil && len(b) > MaxAnswer {
		err = fmt.Errorf("more than %d bytes", MaxAnswer)
	}
	return b, err
}

// readLines reads a currency, a number and maybe a time from each line; empty ones and those that start with # are skipped. What is wrong
// with a line is no other line's business.
func (s *Source) readLines(text string, changed time.Time) (found []reading, err error) {
	var errs []error
	lines := make(map[currency.Code]reading)
	number := 0
	for line := range strings.Lines(text) {
		number++
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		r, err := s.readLine(fields, changed)
		if err == nil && lines[r.currency].msat != nil {
			err = fmt.Errorf("%v a second time", r.currency)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("line %d: %w", number, err))
			continue
		}
		lines[r.currency] = r
	}
	codes := s.Currencies
	if len(codes) == 0 {
		codes = slices.Collect(maps.Keys(lines))
	}
	for _, code := range codes {
		if r := lines[code]; r.msat != nil {
			found = append(found, r)
		} else if len(errs) == 0 {
			errs = append(errs, fmt.Errorf("no line for %v", code))
		}
	}
	return found, first(errs)
}

func (s *Source) readLine(fields []string, changed time.Time) (r reading, err error) {
	if len(fields) < 2 || len(fields) > 3 {
		return r, errors.New(`want a currency, a number and maybe a time, such as "EUR 65000.12"`)
	}
	r.at = changed
	if r.currency, err = currency.Parse(fields[0]); err != nil {
		return r, err
	}
	if len(fields) == 3 {
		if r.at, err = parseTime(fields[2]); err != nil {
			return r, err
		}
	}
	r.msat, err = s.Gives.rate(fields[1])
	return r, err
}

// readJSON takes the currencies' numbers out of a text, and its time, where it has one.
func (s *Source) readJSON(b []byte, when time.Time, codes []currency.Code) (found []reading, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, errors.New("it is no JSON")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON")
	}
	var errs []error
	for _, code := range codes {
		r, err := s.pick(value, when, code)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found = append(found, r)
	}
	return found, first(errs)
}

func (s *Source) pick(value any, when time.Time, code currency.Code) (r reading, err error) {
	r = reading{currency: code, at: when}
	text, err := at(value, s.fill(s.Path, code))
	if err != nil {
		return r, err
	}
	if r.msat, err = s.Gives.rate(text); err != nil || s.TimePath == "" {
		return r, err
	}
	if text, err = at(value, s.fill(s.TimePath, code)); err != nil {
		return r, err
	}
	r.at, err = parseTime(text)
	return r, err
}

// first is one error, with how many there are besides.
func first(errs []error) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return fmt.Errorf("%w (and %d more)", errs[0], len(errs)-1)
}
