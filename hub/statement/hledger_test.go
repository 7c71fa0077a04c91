package statement

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/millrace/millrace/ledger"
)

// hledger runs the independent bookkeeper over a journal. Without it the test is skipped: make deps installs it.
func hledger(t *testing.T, journal []byte, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath("hledger")
	if err != nil {
		t.Skip("hledger is not installed: make deps")
	}
	c := exec.CommandContext(t.Context(), path, append([]string{"-f", "-"}, args...)...)
	c.Env = append(c.Environ(), "LANG=C.UTF-8", "LC_ALL=C.UTF-8")
	c.Stdin = bytes.NewReader(journal)
	out, err := c.CombinedOutput()
	return string(out), err
}

// TestHledger: hledger adds the postings up itself, finds every balance assertion right, and comes to the closing balance.
func TestHledger(t *testing.T) {
	type statement struct {
		h       Header
		lines   []ledger.Line
		closing [2]int64
	}
	var all []statement
	add := func(h Header, lines []ledger.Line, closing [2]int64) { all = append(all, statement{h, lines, closing}) }
	add(story())
	add(channelStory())
	for _, channel := range []bool{false, true} {
		add(sample(rand.New(rand.NewPCG(10, 10)), 800, channel))
		add(sample(rand.New(rand.NewPCG(11, 11)), 0, channel))
	}
	for _, s := range all {
		journal := must(t, Hledger, s.h, s.lines, s.closing)
		out, err := hledger(t, journal, "balance", "--flat", "-N", "-E", "-O", "csv")
		if err != nil {
			t.Fatalf("%v\n%.2000s", err, out)
		}
		records, err := csv.NewReader(strings.NewReader(out)).ReadAll()
		if err != nil {
			t.Fatalf("%v\n%.2000s", err, out)
		}
		balances := map[string]string{}
		for _, r := range records {
			balances[r[0]] = r[1]
		}
		for i, name := range newJournal(nil, &s.h).names {
			want := fmt.Sprintf("%d msat", s.closing[i])
			if s.closing[i] == 0 {
				want = "0"
			}
			if balances[name] != want {
				t.Errorf("%s is %q in the end, want %q", name, balances[name], want)
			}
		}
	}
}

// TestHledgerObjects: what is changed in a journal by hand is found, so the assertions are really checked.
func TestHledgerObjects(t *testing.T) {
	h, lines, closing := story()
	journal := must(t, Hledger, h, lines, closing)
	if out, err := hledger(t, journal, "check"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	paid := regexp.MustCompile(`(?m)-700 msat = (\d+) msat\n(.*)  700 msat`)
	for name, tampered := range map[string][]byte{
		"a payment":         paid.ReplaceAll(journal, []byte("-701 msat = $1 msat\n$2  701 msat")),
		"a balance":         bytes.Replace(journal, []byte("= 2001500 msat"), []byte("= 2001501 msat"), 1),
		"closing balance":   bytes.Replace(journal, []byte("  0 msat = 250 msat"), []byte("  0 msat = 251 msat"), 1),
		"only one posting":  bytes.Replace(journal, []byte("  700 msat"), []byte("  699 msat"), 1),
		"an entry is added": append(bytes.Clone(journal), "\n2026-11-02 x\n    assets:millrace:"+h.Account.String()+":available  -1 msat\n    b\n"...),
	} {
		if bytes.Equal(tampered, journal) {
			t.Fatalf("%s: nothing was changed in\n%s", name, journal)
		}
		if out, err := hledger(t, tampered, "check"); err == nil {
			t.Errorf("%s: hledger found nothing: %s", name, out)
		}
	}
}
