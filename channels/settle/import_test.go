package settle

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/millrace/millrace/ledger"
)

const exchange = ledger.AccountNo(20)

// exchangeRig is a desk with an exchange that has money.
func exchangeRig(t testing.TB) *rig {
	r := newRig(t)
	must(t, r.open())
	r.world.credit(t, exchange, 1_000_000_000)
	return r
}

func (r *rig) send(format Format, text string, change ...func(*Upload)) (Import, error) {
	u := Upload{Account: exchange, Format: format, Body: strings.NewReader(text), By: "token 7"}
	for _, f := range change {
		f(&u)
	}
	return r.Import(r.t.Context(), u)
}

const soundCSV = `to,amount_msat,id,reference
alice@example.com,5000000,p1,Royalties
test1abc,100000000,p2,"=HYPERLINK(""http://x"",""y"")"
a1h1h,700,p3,inside
bad@example.com,1000000,p4,+1 never arrives
`

func TestImport(t *testing.T) {
	r := exchangeRig(t)
	inside := ledger.AccountNo(50).String()
	text := strings.Replace(soundCSV, "a1h1h", inside, 1)
	r.world.say("bad@example.com", "incorrect_details", "incorrect_details", "incorrect_details", "incorrect_details")

	dry, err := r.send(CSV, text, func(u *Upload) { u.DryRun = true })
	must(t, err)
	if !dry.Accepted || dry.Run != nil || dry.Total != 106_000_700 || len(dry.Problems) != 0 || r.count(runKey) != 0 {
		t.Fatalf("dry run: %+v", dry)
	}
	in, err := r.send(CSV, text)
	must(t, err)
	if !in.Accepted || in.Repeated || in.Run == nil || in.Run.Planned != in.Total || in.File.Lines != 4 || !strings.HasPrefix(in.File.ID, "sha256:") {
		t.Fatalf("%+v", in)
	}
	again, err := r.send(CSV, text)
	must(t, err)
	if !again.Accepted || !again.Repeated || again.Run.ID != in.Run.ID {
		t.Errorf("sent again: %+v", again)
	}
	run := r.closed(in.Run.ID)
	if run.Report.Paid.Count != 3 || run.Report.Failed.Count != 1 || r.world.got("alice@example.com") != 5_000_000 || r.world.got(inside) != 700 {
		t.Errorf("%+v", run.Report)
	}
	if got, want := r.world.at(exchange), int64(1_000_000_000-105_000_700-run.Report.Fees); got != want {
		t.Errorf("the exchange has %d left, want %d", got, want)
	}
	r.Close()
	must(t, r.open())
	if again, err = r.send(CSV, text); err != nil || !again.Repeated || again.Run.State != Closed || again.Run.Report.Paid.Count != 3 {
		t.Errorf("sent again after all: %+v, %v", again, err)
	}
	if list, err := r.Imports(exchange, "", 0); err != nil || len(list) != 1 || list[0].ID != run.ID {
		t.Errorf("imports: %+v, %v", list, err)
	}
	checkGolden(t, "result.csv", func(w io.Writer) error { return r.ResultCSV(w, run.ID) })
	checkGolden(t, "status.xml", func(w io.Writer) error { return r.Status(w, run.ID) })
	checkGolden(t, "bookings.xml", func(w io.Writer) error { return r.Bookings(w, run.ID) })
}

// What differs from run to run in results.
var (
	changingID   = regexp.MustCompile(`\b(ST|RJ|BK|N|)[0-9a-f]{32}\b`)
	changingTime = regexp.MustCompile(`20\d\d-\d\d-\d\dT[0-9:.]+Z`)
)

// checkGolden compares a result with the file of testdata/results. MILLRACE_REWRITE=1 writes it.
func checkGolden(t *testing.T, name string, write func(io.Writer) error) {
	t.Helper()
	var b bytes.Buffer
	must(t, write(&b))
	checkForm(t, name, b.Bytes())
	got := changingTime.ReplaceAllString(changingID.ReplaceAllString(b.String(), "${1}ID"), "TIME")
	path := filepath.Join("testdata/results", name)
	if os.Getenv("MILLRACE_REWRITE") != "" {
		must(t, os.MkdirAll("testdata/results", 0o755))
		must(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if got != string(want) {
		t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
	}
}

// checkForm checks that a result is what it says it is, by xmllint, too, if there is one.
func checkForm(t *testing.T, name string, text []byte) {
	t.Helper()
	if strings.HasSuffix(name, ".csv") {
		rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
		must(t, err)
		for _, row := range rows {
			for _, field := range row {
				if field != "" && strings.ContainsRune("=+-@", rune(field[0])) {
					t.Errorf("a formula: %q", field)
				}
			}
		}
		return
	}
	dec := xml.NewDecoder(bytes.NewReader(text))
	for {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	lint, err := exec.LookPath("xmllint")
	if err != nil {
		t.Logf("%s: not shown to xmllint: there is none (package libxml2-utils)", name)
		return
	}
	cmd := exec.Command(lint, "--nonet", "--noout", "-")
	cmd.Stdin = bytes.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v: %s", name, err, out)
	}
}

func TestImportRefusedAsAWhole(t *testing.T) {
	r := exchangeRig(t)
	text := "to,amount_sat,id\nalice@example.com,5,p1\nnobody,5,p2\nbc1qx,5,p3\ntest1abc,1,p4\ntest1abc,300.5,p4b\n" + exchange.String() + ",5,p5\n" +
		"alice@example.com,5,p1\nlntest5000,6,p6\nlntest5000,5,p7\nlntest5000,5,p8\n" + ledger.AccountNo(9999).String() + ",1,p9\n"
	in, err := r.send(CSV, text)
	must(t, err)
	if in.Accepted || in.Run != nil || in.File.Invalid != 9 || r.count(runKey)+r.count(itemKey)+r.count(fileKey)+r.count(makingKey) != 0 {
		t.Errorf("%+v", in)
	}
	checkGolden(t, "rejection.xml", func(w io.Writer) error { return r.Rejection(w, &in) })

	in, err = r.send(CSV, text, func(u *Upload) { u.SkipInvalid = true })
	must(t, err)
	if !in.Accepted || in.File.Invalid != 9 || in.Total != 10_000 {
		t.Fatalf("%+v", in)
	}
	run := r.closed(in.Run.ID)
	if run.Report.Paid.Count != 2 || run.Report.Skipped.Count != 9 || run.Report.Reasons[InvalidLine].Count != 9 || r.world.got("lntest5000") != 5000 {
		t.Errorf("%+v", run.Report)
	}
	checkGolden(t, "skipped.csv", func(w io.Writer) error { return r.ResultCSV(w, run.ID) })
	checkGolden(t, "skipped.xml", func(w io.Writer) error { return r.Status(w, run.ID) })
}

func TestImportOfTheWholeRefused(t *testing.T) {
	line, inside := "to,amount_msat\na@b.c,", ledger.AccountNo(50).String()
	for _, c := range []struct {
		what  string
		rules Rules
		text  string
		want  string
	}{
		{"money", Rules{}, line + "999999999", "has 1000000000 msat"},
		{"a cap of a payout", Rules{MaxPayout: 9}, line + "10", "above the cap of 9 msat for a payout"},
		{"a cap of a run", Rules{MaxRun: 9}, line + "10", "above the cap of 9 for a run"},
		{"a cap of a day", Rules{MaxAccountDay: 9}, line + "10", "cap for the account's day"},
		{"more than there is", Rules{}, "to,amount_msat\n" + inside + ",2100000000000000000\n" + inside + ",1\n", "more money than there is"},
		{"nothing", Rules{}, "to,amount_msat\n", "no payments in it"},
	} {
		r := exchangeRig(t)
		must(t, r.SetRules(c.rules))
		in, err := r.send(CSV, c.text, func(u *Upload) { u.SkipInvalid = c.rules.MaxPayout == 0 })
		must(t, err)
		found := false
		for _, p := range in.Problems {
			found = found || strings.Contains(p.Text, c.want)
		}
		if in.Accepted || !found || r.count("settle/")-r.count(rulesKey) != 0 {
			t.Errorf("%s: %+v", c.what, in)
		}
	}
	r := exchangeRig(t)
	pain := strings.Replace(string(painOf(3)), "<PmtInf>", "<PmtInf><ReqdExctnDt><Dt>2030-01-01</Dt></ReqdExctnDt><DbtrAcct><Id><Othr><Id>ag0g</Id></Othr></Id></DbtrAcct>", 1)
	in, err := r.send(Pain, pain)
	must(t, err)
	if in.Accepted || len(in.Problems) != 2 {
		t.Errorf("in the future, and of another account: %+v", in)
	}
}

func TestImportByID(t *testing.T) {
	r := exchangeRig(t)
	first, err := r.send(Pain, string(painOf(3)))
	must(t, err)
	if !first.Accepted || first.File.ID != "M3" {
		t.Fatalf("%+v", first)
	}
	if again, err := r.send(Pain, string(painOf(3)), func(u *Upload) { u.ID = "M3" }); err != nil || !again.Repeated {
		t.Errorf("%+v, %v", again, err)
	}
	if _, err := r.send(Pain, string(painOf(3)), func(u *Upload) { u.ID = "other" }); !errors.Is(err, ErrUpload) {
		t.Errorf("two ids: %v", err)
	}
	if _, err := r.send(Pain, string(painOf(3))+" "); !errors.Is(err, ErrFileID) {
		t.Errorf("another file of the same id: %v", err)
	}
	other, err := r.send(CSV, "to,amount_msat\na@b.c,5000\n", func(u *Upload) { u.ID = "october" })
	must(t, err)
	if again, err := r.send(CSV, "to,amount_msat\na@b.c,6000\n", func(u *Upload) { u.ID = "october" }); !errors.Is(err, ErrFileID) {
		t.Errorf("another file of the same id: %+v, %v", again, err)
	}
	r.closed(first.Run.ID)
	r.closed(other.Run.ID)
	if list, err := r.Imports(exchange, "", 0); err != nil || len(list) != 2 {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := r.Import(t.Context(), Upload{Account: 9999, Format: CSV, Body: strings.NewReader("")}); !errors.Is(err, ErrAccount) {
		t.Errorf("no account: %v", err)
	}
}

func TestImportWaitsForOperators(t *testing.T) {
	r := exchangeRig(t)
	must(t, r.SetRules(Rules{TwoOperators: 4999}))
	in, err := r.send(CSV, "to,amount_msat\na@b.c,5000\n")
	must(t, err)
	if in.Run.State != Created || in.Run.Needs != 2 {
		t.Fatalf("%+v", in.Run)
	}
	for _, by := range []string{"alice", "bob"} {
		_, err = r.Approve(in.Run.ID, by)
		must(t, err)
	}
	if run := r.closed(in.Run.ID); run.Report.Paid.Count != 1 {
		t.Errorf("%+v", run.Report)
	}
}

// TestImportCrash ends the process at every write of an import. Whoever got no answer sends the file again.
func TestImportCrash(t *testing.T) {
	text := "to,amount_msat,id\nalice@example.com,5000000,p1\nbob@example.com,7000000,p2\nnobody,1,p3\n"
	skip := func(u *Upload) { u.SkipInvalid = true }
	for at := 1; ; at++ {
		done := false
		for _, after := range []bool{false, true} {
			r := exchangeRig(t)
			r.world.say("bob@example.com", "no_route")
			r.disk.crash, r.disk.after = at, after
			in, err := r.send(CSV, text, skip)
			r.until("the process ends, or the import", func() bool {
				r.world.clock.Add(10_000)
				if r.disk.crashed() {
					return true
				}
				run, err := r.Run(in.Run.ID)
				done = err == nil && run.State == Closed
				return done
			})
			r.Close()
			r.disk.restart()
			must(t, r.open())
			again, err2 := r.send(CSV, text, skip)
			must(t, err2)
			if err == nil && !again.Repeated {
				t.Fatalf("write %d: an import that was acknowledged is not known", at)
			}
			run := r.closed(again.Run.ID)
			if run.Report.Paid.Count != 2 || run.Report.Skipped.Count != 1 || r.world.got("alice@example.com") != 5_000_000 || r.world.got("bob@example.com") != 7_000_000 {
				t.Errorf("write %d, %v: %+v", at, after, run.Report)
			}
			if got, want := r.world.at(exchange), int64(1_000_000_000-12_000_000-2*testFee); got != want {
				t.Errorf("write %d, %v: %d left, want %d", at, after, got, want)
			}
		}
		if done {
			if at < 6 {
				t.Errorf("an import is %d writes", at-1)
			}
			return
		}
	}
}

func TestLargeImport(t *testing.T) {
	r := exchangeRig(t)
	var b strings.Builder
	b.WriteString("to,amount_msat,id\n")
	const n = 3000
	for i := range n {
		fmt.Fprintf(&b, "u%d@example.com,%d,p%d\n", i, 1000+i, i)
	}
	in, err := r.send(CSV, b.String())
	must(t, err)
	run := r.closed(in.Run.ID)
	if run.Report.Paid.Count != n || run.Report.Tries != n {
		t.Errorf("%+v", run.Report)
	}
	for i := range n {
		if got := r.world.got(fmt.Sprintf("u%d@example.com", i)); got != ledger.Msat(1000+i) {
			t.Fatalf("line %d got %d", i, got)
		}
	}
}
