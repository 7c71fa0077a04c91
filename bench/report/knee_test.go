package report

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/millrace/millrace/bench/generator"
)

// TestKnee holds what a search leaves in a folder, text of others in it included, and that it is not taken for a run.
func TestKnee(t *testing.T) {
	s := testScenario(t)
	last := testResult(s, "millrace", 1, 9000, 2)
	k := &Knee{
		Machine: testMachine(), Scenario: s, Target: "=<b>shop", Objectives: []string{"p99 < 20ms"}, Found: "p99 < 20ms holds up to 400\n",
		Knee: &generator.Knee{Rate: 400, Above: 600, Last: last, Tried: []generator.Tried{
			{Asked: 200, Got: 200, Wait: last.Wait, Holds: true, Result: last},
			{Asked: 400, Got: 399, Wait: last.Wait, Holds: true, Result: last},
			{Asked: 800, Wait: generator.Quantiles{}, Why: []string{"of 9 requests <i>0</i> were answered"}, Result: last},
			{Asked: 600, Got: 599, Wait: last.Wait, Why: []string{"p99 < 20ms: 31ms"}, Result: last},
		}},
	}
	dir := filepath.Join(t.TempDir(), "new")
	if err := k.WriteFolder(dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		DocumentFile:                           {`"asked_per_second": 600`, `"format": 1`, `"requests_per_second": 400`},
		StepsFile:                              {"tips,'=<b>shop,200,200,", ",false,of 9 requests"},
		MarkdownFile:                           {"| 400 | 399 |", "&lt;i&gt;0&lt;/i&gt;", "![p99", "p99 &lt; 20ms holds up to 400.", "plots/knee.svg"},
		filepath.Join(plotsFolder, "knee.svg"): {"<svg", "p999", ">knee<"},
	} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
		}
		for _, w := range want {
			if !bytes.Contains(text, []byte(w)) {
				t.Errorf("%s has no %q:\n%s", name, w, text)
			}
		}
	}
	f, err := os.Open(filepath.Join(dir, DocumentFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := Read(f); !errors.Is(err, ErrDocument) {
		t.Errorf("read as a run: %v", err)
	}
}
