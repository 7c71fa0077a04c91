package rates

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestFile(t *testing.T) {
	clock := newDial()
	s := Source{File: inTemp(t, "rates"), Currencies: list(t, "EUR", "USD"), Path: placeholder}
	for _, c := range []struct{ name, text, found, err string }{
		{"lines", "# of the desk\n\nEUR 65000.12\nUSD\t70000 # rounded\nJPY 1", "EUR USD", ""},
		{"with a time", "EUR 65000 2026-11-18T11:06:40Z\nUSD 70000 1795000000\n", "EUR USD", ""},
		{"one missing", "EUR 65000", "EUR", "no line for USD"},
		{"one bad", "EUR 65000\nUSD seven", "EUR", "line 2: "},
		{"two bad", "EUR\nUSD seven", "", "line 1: want a currency, a number and maybe a time, such as \"EUR 65000.12\" (and 1 more)"},
		{"twice", "EUR 65000\nEUR 6500\nUSD 1", "EUR USD", "line 2: EUR a second time"},
		{"no currency", "EURO 65000\nUSD 1", "USD", "line 1: not a currency"},
		{"bad time", "EUR 65000 now\nUSD 1", "USD", "line 1: \"now\" is no time"},
		{"JSON", ` {"EUR":65000.12,"USD":"70000"}`, "EUR USD", ""},
		{"JSON, one missing", `{"EUR":65000.12}`, "EUR", `nothing is at "USD"`},
		{"empty", "", "", "no line for EUR"},
		{"large", "EUR 1\n" + strings.Repeat("#\n", MaxAnswer), "", "more than 256000 bytes"},
		{"no text", "\x00\xff", "", "line 1: "},
	} {
		clock.file(t, s.File, c.text)
		found, err := s.readFile(context.Background())
		var got []string
		for _, r := range found {
			got = append(got, r.currency.String())
			if !r.at.Equal(clock.now()) {
				t.Errorf("%s: %v of %v", c.name, r.currency, r.at)
			}
		}
		if strings.Join(got, " ") != c.found || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
	s.File = inTemp(t, "none")
	if _, err := s.readFile(context.Background()); !os.IsNotExist(err) {
		t.Error(err)
	}
	s.File = t.TempDir()
	if _, err := s.readFile(context.Background()); err == nil {
		t.Error("a folder was read")
	}
}

// TestFileThatIsNone: a pipe that nobody writes to must not hold up the others.
func TestFileThatIsNone(t *testing.T) {
	s := Source{File: inTemp(t, "pipe"), Currencies: list(t, "EUR")}
	if err := syscall.Mkfifo(s.File, 0o600); err != nil {
		t.Skip(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := s.readFile(context.Background())
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil {
			t.Error("a pipe was read")
		}
	case <-time.After(time.Minute):
		t.Fatal("reading a pipe waits")
	}
}

func TestReadFile(t *testing.T) {
	clock, file := newDial(), inTemp(t, "rates")
	clock.file(t, file, "EUR 65000\nJPY 10000000 # yen\n")
	found, err := ReadFile(file, PerBitcoin)
	if err != nil || len(found) != 2 || found[list(t, "EUR")[0]] != priced(65000) || found[list(t, "JPY")[0]] != priced(10_000_000) {
		t.Errorf("%v, %v", found, err)
	}
	for _, c := range []struct{ text, err string }{
		{"EUR 65000\nJPY many", "line 2"}, {"", "there is no rate in it"}, {`{"EUR":65000}`, "there is no rate in it"},
	} {
		clock.file(t, file, c.text)
		if found, err := ReadFile(file, PerBitcoin); err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: %v, %v", c.text, found, err)
		}
	}
	clock.file(t, file, `{"EUR":65000,"USD":1}`)
	if found, err = ReadFile(file, PerBitcoin, list(t, "EUR")...); err != nil || len(found) != 1 || found[list(t, "EUR")[0]] != priced(65000) {
		t.Errorf("%v, %v", found, err)
	}
	if text := PricePerBitcoin(priced(65000)); text != "65000.00" {
		t.Error(text)
	}
	if msat, err := Parse("65000", PerBitcoin); err != nil || msat != priced(65000) {
		t.Errorf("%d, %v", msat, err)
	}
}
