package settle

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/ledger"
)

// text is a sheet as the files of testdata/sheets have it: first what is said of the whole, then a line for each payment.
func (s *Sheet) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "id %q %s from %q until %q\n", s.ID, s.Message, s.From, s.Latest)
	for _, p := range s.Problems {
		fmt.Fprintf(&b, "wrong: %s\n", p)
	}
	for _, l := range s.Lines {
		fmt.Fprintf(&b, "%d: %d to %q id %q group %q reference %q\n", l.Line, l.Amount, l.To, l.Given, l.Group, l.Reference)
		for _, p := range l.Problems {
			fmt.Fprintf(&b, "   wrong: %s\n", p)
		}
	}
	return b.String()
}

var formats = map[string]Format{".csv": CSV, ".ndjson": NDJSON, ".xml": Pain}

// TestSheets reads the files of testdata/sheets, and compares with the .txt beside each. MILLRACE_REWRITE=1 writes those.
func TestSheets(t *testing.T) {
	files, err := filepath.Glob("testdata/sheets/*.*")
	must(t, err)
	n := 0
	for _, name := range files {
		format, ok := formats[filepath.Ext(name)]
		if !ok {
			continue
		}
		n++
		text, err := os.ReadFile(name)
		must(t, err)
		s, err := parseSheet(format, text)
		must(t, err)
		golden := name + ".txt"
		if os.Getenv("MILLRACE_REWRITE") != "" {
			must(t, os.WriteFile(golden, []byte(s.text()), 0o644))
		}
		want, err := os.ReadFile(golden)
		must(t, err)
		if s.text() != string(want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, s.text(), want)
		}
	}
	if n < 6 {
		t.Errorf("%d files", n)
	}
}

func TestAmounts(t *testing.T) {
	for _, c := range []struct {
		text string
		u    unit
		want ledger.Msat
	}{
		{"1", inMsat, 1}, {"1.000", inMsat, 1}, {"1", inSat, 1000}, {"0.001", inSat, 1}, {"0.0010", inSat, 1}, {"1.5", inSat, 1500},
		{"1", inBTC, 100_000_000_000}, {"0.00000000001", inBTC, 1}, {"21000000", inBTC, ledger.MaxMsat}, {"007", inMsat, 7},
		{"21000000.00000000000000", inBTC, ledger.MaxMsat},
	} {
		if got, err := parseAmount(c.text, c.u); err != nil || got != c.want {
			t.Errorf("%s: %d, %v; want %d", c.text, got, err, c.want)
		}
	}
	for _, text := range []string{"", "0", "0.000", "-1", "+1", "1e3", "1,000", "1 000", ".5", "5.", "0x10", "1.0001", "1..5", "1.5.5", "٣", "2100000000000001", "99999999999999999999999", strings.Repeat("0", 41), "NaN", " 1"} {
		if got, err := parseAmount(text, inSat); err == nil {
			t.Errorf("%q: %d", text, got)
		}
	}
	for amount, want := range map[ledger.Msat]string{0: "0", 1: "0.001", 1000: "1", 1500: "1.5", 123_456_789: "123456.789", ledger.MaxMsat: "2100000000000000"} {
		if got := inSats(amount); got != want {
			t.Errorf("%d: %s, want %s", amount, got, want)
		}
	}
}

func TestSheetsAreBounded(t *testing.T) {
	line := "a@b.c,1\n"
	s, err := parseSheet(CSV, []byte("to,amount_msat\n"+strings.Repeat(line, MaxLines+1)))
	if err != nil || len(s.Lines) != MaxLines || len(s.Problems) != 1 {
		t.Errorf("%d lines, %q", len(s.Lines), s.Problems)
	}
	s, err = parseSheet(CSV, make([]byte, MaxFile+1))
	if err != nil || len(s.Problems) != 1 {
		t.Errorf("%q", s.Problems)
	}
	deep := `<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"><CstmrCdtTrfInitn><GrpHdr>` + strings.Repeat("<a>", 1_000_000)
	if s, err = parseSheet(Pain, []byte(deep)); err != nil || len(s.Problems) != 1 || !strings.Contains(s.Problems[0], "deep") {
		t.Errorf("%q", s.Problems)
	}
	entities := `<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><Document>&b;</Document>`
	if s, err = parseSheet(Pain, []byte(entities)); err != nil || len(s.Problems) != 1 || !strings.Contains(s.Problems[0], "document type") {
		t.Errorf("%q", s.Problems)
	}
	if _, err := parseSheet("xls", nil); err == nil {
		t.Error("a format that there is not")
	}
}

// painOf is a file of some payments.
func painOf(n int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"><CstmrCdtTrfInitn><GrpHdr><MsgId>M%d</MsgId><NbOfTxs>%d</NbOfTxs></GrpHdr><PmtInf>`, n, n)
	for i := range n {
		fmt.Fprintf(&b, "\n<CdtTrfTxInf><PmtId><EndToEndId>E%d</EndToEndId></PmtId><Amt><InstdAmt Ccy=\"SAT\">%d</InstdAmt></Amt><CdtrAcct><Id><Othr><Id>u%d@b.c</Id></Othr></Id></CdtrAcct></CdtTrfTxInf>", i, i+1, i)
	}
	b.WriteString("\n</PmtInf></CstmrCdtTrfInitn></Document>")
	return b.Bytes()
}

func TestLargePain(t *testing.T) {
	began := time.Now()
	s, err := parseSheet(Pain, painOf(20_000))
	must(t, err)
	if len(s.Problems) > 0 || len(s.Lines) != 20_000 || s.Lines[19_999].Line != 20_001 || s.Lines[7].Amount != 8000 {
		t.Errorf("%d lines, %q", len(s.Lines), s.Problems)
	}
	t.Logf("20,000 payments in %v", time.Since(began))
}

func fuzzSheets(f *testing.F, format Format, ext string) {
	files, err := filepath.Glob("testdata/sheets/*" + ext)
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parseSheet(format, text)
		must(t, err)
		if len(s.Lines) > MaxLines || len(s.Problems) > maxProblems {
			t.Fatalf("%d lines, %d problems", len(s.Lines), len(s.Problems))
		}
		if len(s.Lines) == 0 && len(s.Problems) == 0 {
			t.Fatal("nothing in it, and nothing wrong with it")
		}
		seen := make(map[string]bool)
		for _, l := range s.Lines {
			if len(l.Problems) > 0 {
				continue
			}
			if l.Line == 0 || l.Amount == 0 || l.Amount > ledger.MaxMsat || !plain(l.To+l.Given+l.Reference+l.Group) || l.Given != "" && seen[l.Given] {
				t.Fatalf("a sound line: %+v", l)
			}
			seen[l.Given] = true
		}
	})
}

func FuzzCSV(f *testing.F)    { fuzzSheets(f, CSV, ".csv") }
func FuzzNDJSON(f *testing.F) { fuzzSheets(f, NDJSON, ".ndjson") }
func FuzzPain(f *testing.F)   { fuzzSheets(f, Pain, ".xml") }
