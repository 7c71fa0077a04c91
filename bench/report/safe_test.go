package report

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/scenario"
)

// evil is a name that would be markup, a formula, a command to a terminal and an end of many things.
const evil = "=cmd|' /C calc'!A0</title><script>alert(1)</script>\"><img src=x onerror=alert(2)>\x1b[2J\r\n|`*_[x](javascript:1)&\x00]]>"

// hostile is a report in which all text that can be another's is evil.
func hostile(t *testing.T) *Report {
	s := *testScenario(t)
	s.Name, s.About = evil, evil
	one := testResult(&s, evil, 1, 10_000, 1)
	one.Faults[0].Kind, one.Faults[0].Err = scenario.FaultKind(evil), evil
	one.Errors, one.Refusals = map[string]uint64{evil: 3}, map[string]uint64{evil: 4}
	one.Saturated, one.Verdict = []string{evil}, generator.Verdict{Lies: []string{evil}, Unverified: evil}
	one.Held = []generator.Held{{Threshold: evil}}
	two := *one
	m := Machine{Millrace: evil, Commit: evil, Go: evil, OS: evil, Kernel: evil, CPU: evil, Files: evil}
	return New(m, []string{evil, "b" + evil}, []*generator.Result{one, &two})
}

// TestEscaped holds that no text of others becomes markup, in a page or a plot.
func TestEscaped(t *testing.T) {
	dir := t.TempDir()
	if err := hostile(t).WriteFolder(dir); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, PageFile))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(page, []byte("&lt;script&gt;")) {
		t.Error("the name is not in the page")
	}
	plots, err := filepath.Glob(filepath.Join(dir, plotsFolder, "*.svg"))
	if err != nil || len(plots) < 8 {
		t.Fatalf("plots: %q, %v", plots, err)
	}
	for _, path := range append(plots, filepath.Join(dir, PageFile), filepath.Join(dir, MarkdownFile)) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"<script", "<img", "\x1b", "\x00"} {
			if bytes.Contains(text, []byte(bad)) {
				t.Errorf("%s has %q", filepath.Base(path), bad)
			}
		}
		if strings.HasSuffix(path, ".svg") {
			wellFormed(t, path, text)
		}
	}
	var text, changes bytes.Buffer
	r := hostile(t)
	if err := errors.Join(r.WriteText(&text), Compare(r, r).WriteText(&changes)); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{text.String(), changes.String()} {
		if strings.ContainsAny(s, "\x1b\x00\r") {
			t.Errorf("a terminal would be told something: %q", s)
		}
	}
}

func wellFormed(t *testing.T, name string, text []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(text))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Errorf("%s is no XML: %v", name, err)
			return
		}
	}
}

// TestSelfContained holds that a page and its plots ask for nothing from elsewhere, and run nothing.
func TestSelfContained(t *testing.T) {
	reference := regexp.MustCompile(`(?i)(<(script|link|iframe|object|embed|img|image|base|use|a)\b|\b(src|href|srcset|action|poster)\s*=|url\(|@import|\bon\w+\s*=\s*["'])`)
	var page bytes.Buffer
	if err := versus(t).WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	plots, err := versus(t).WritePlots(dir)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{"page": page.String()}
	for _, p := range plots {
		text, err := os.ReadFile(filepath.Join(dir, p.File))
		if err != nil {
			t.Fatal(err)
		}
		texts[p.File] = string(text)
	}
	for name, text := range texts {
		if found := reference.FindAllString(text, 3); found != nil {
			t.Errorf("%s has %q", name, found)
		}
		if rest := strings.ReplaceAll(text, `xmlns="http://www.w3.org/2000/svg"`, ""); strings.Contains(rest, "//") && !strings.HasPrefix(rest, "<!doctype") {
			t.Errorf("%s names another place", name)
		}
	}
	if !strings.Contains(page.String(), `content="default-src 'none'; style-src 'unsafe-inline'"`) {
		t.Error("the page does not forbid what it does not need")
	}
	// Each plot says what it shows to who does not see it, under a name of its own.
	ids := make(map[string]bool)
	for _, id := range regexp.MustCompile(` id="([^"]+)"`).FindAllStringSubmatch(page.String(), -1) {
		if ids[id[1]] {
			t.Errorf("two of id %q", id[1])
		}
		ids[id[1]] = true
	}
	for _, pair := range regexp.MustCompile(`aria-labelledby="(\S+) (\S+)"`).FindAllStringSubmatch(page.String(), -1) {
		if !ids[pair[1]] || !ids[pair[2]] {
			t.Errorf("no labels %q", pair[1:])
		}
	}
}

// TestFormulas holds that a spreadsheet takes no text of others for a formula.
func TestFormulas(t *testing.T) {
	for text, want := range map[string]string{
		"tips": "tips", "=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "\t=1": "'=1", "\r\n=1": "'=1", " =1": "'=1", "a=1": "a=1", "": "",
	} {
		if got := cell(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	r := hostile(t)
	for _, write := range []func(io.Writer) error{r.WriteSummaryCSV, r.WriteIntervalsCSV} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(&b).ReadAll()
		if err != nil || len(rows) < 20 {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		for _, row := range rows[1:] {
			if !strings.HasPrefix(row[0], "'=cmd") || !strings.HasPrefix(row[1], "'=cmd") {
				t.Errorf("%q", row)
			}
		}
	}
}
