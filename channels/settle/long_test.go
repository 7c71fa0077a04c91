package settle

import (
	"errors"
	"strings"
	"testing"

	"github.com/millrace/millrace/channels"
)

// TestLongLines: lines that are passed over are written down as well, and one that is as long as the file may be, or many that are as long
// as a line may be, are no write that records refuse.
func TestLongLines(t *testing.T) {
	skip := func(u *Upload) { u.SkipInvalid = true }
	long := strings.Repeat("<", 6_000_000)
	many := strings.Repeat(`"`+strings.Repeat("<", 3000)+`",5,x`+strings.Repeat("<", 200)+","+strings.Repeat("<", 3000)+"\n", 3000)
	pain := strings.Replace(string(painOf(3)), "<CdtrAcct><Id><Othr><Id>", "<CdtrAcct><Id><Othr><Id>"+strings.Repeat("&lt;", 1_000_000), 1)
	for name, c := range map[string]struct {
		format  Format
		text    string
		invalid uint32
	}{
		"one":      {CSV, "to,amount_msat\na@b.c,5000\n" + long + ",5\n", 1},
		"many":     {CSV, "to,amount_msat,id,reference\na@b.c,5000,,\n" + many, 3000},
		"pain.001": {Pain, pain, 1},
	} {
		r := exchangeRig(t)
		in, err := r.send(c.format, c.text, skip)
		must(t, err)
		if !in.Accepted || in.File.Invalid != c.invalid {
			t.Fatalf("%s: accepted %v, %d invalid, %d problems", name, in.Accepted, in.File.Invalid, len(in.Problems))
		}
		if run := r.closed(in.Run.ID); run.Report.Skipped.Count != int(c.invalid) || run.Report.Paid.Count == 0 {
			t.Errorf("%s: %+v", name, run.Report)
		}
		if r.disk.largest > 2<<20 {
			t.Errorf("%s: a write of %d bytes", name, r.disk.largest)
		}
	}
}

// TestTooLargeAWrite: what certainly was not written ends nothing.
func TestTooLargeAWrite(t *testing.T) {
	r := startRig(t)
	if err := r.write(channels.Row{Key: []byte("settle/x"), Value: make([]byte, maxWrite)}); !errors.Is(err, errSize) {
		t.Errorf("%v", err)
	}
	must(t, r.SetRules(Rules{MaxRun: 5}))
}
