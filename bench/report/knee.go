package report

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/scenario"
)

// StepsFile is what Knee.WriteFolder makes beside the document, the Markdown and the plot.
const StepsFile = "steps.csv"

// Knee is a search for the highest rate at which objectives hold. It is a JSON document, too, and no document of a run.
type Knee struct {
	Format     int                `json:"format"`
	Machine    Machine            `json:"machine"`
	Scenario   *scenario.Scenario `json:"scenario"`
	Target     string             `json:"target"`
	Objectives []string           `json:"objectives"`
	Found      string             `json:"found"` // in words
	Knee       *generator.Knee    `json:"knee"`
}

// Write writes the document.
func (k *Knee) Write(w io.Writer) error {
	k.Format = Format
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(k)
}

// WriteFolder writes a search in every form into a folder, which is made if it is not there. Files of the same names are replaced.
func (k *Knee) WriteFolder(dir string) error {
	plots, err := writePlots(filepath.Join(dir, plotsFolder), []*chart{k.curve()})
	if err != nil {
		return err
	}
	for i := range plots {
		plots[i].File = plotsFolder + "/" + plots[i].File
	}
	for _, f := range []struct {
		name  string
		write func(io.Writer) error
	}{{DocumentFile, k.Write}, {StepsFile, k.WriteCSV}, {MarkdownFile, func(w io.Writer) error { return k.WriteMarkdown(w, plots...) }}} {
		if err := writeFile(filepath.Join(dir, f.name), f.write); err != nil {
			return err
		}
	}
	return nil
}

// curve is the latency at each rate; of one that was tried twice, at the second time.
func (k *Knee) curve() *chart {
	last := make(map[float64]generator.Tried)
	for _, t := range k.Knee.Tried {
		last[t.Asked] = t
	}
	steps := make([]generator.Tried, 0, len(last))
	for _, t := range last {
		steps = append(steps, t)
	}
	slices.SortFunc(steps, func(a, b generator.Tried) int { return cmp.Compare(a.Asked, b.Asked) })
	all := []series{{name: "p50", style: 0}, {name: "p99", style: 1}, {name: "p999", style: 2}, {name: "max", style: 3}}
	low, high := math.Inf(1), 0.0
	for _, t := range steps {
		low, high = min(low, t.Asked), max(high, t.Asked)
		for i, v := range [...]float64{t.Wait.P50, t.Wait.P99, t.Wait.P999, t.Wait.Max} {
			all[i].x, all[i].y = append(all[i].x, t.Asked), append(all[i].y, positive(v))
		}
	}
	about, _, _ := strings.Cut(k.Found, "\n")
	c := &chart{
		id: "knee", title: "Latency by rate", about: plain(about), series: all,
		x: logarithmic("requests a second that were asked for", low, high), y: logarithmic("milliseconds, logarithmic", least(all), most(all)),
	}
	if k.Knee.Rate > 0 && k.Knee.Above > 0 {
		c.bands = []band{{from: k.Knee.Rate, to: k.Knee.Above, name: "knee"}}
	}
	return c
}

// WriteCSV writes a line for each rate, in the order in which they were tried.
func (k *Knee) WriteCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	_ = c.Write([]string{"scenario", "target", "asked_per_second", "got_per_second", "p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms", "requests", "holds", "why"}) // Flush keeps the error
	for _, t := range k.Knee.Tried {
		q := t.Wait
		_ = c.Write([]string{cell(k.Scenario.Name), cell(k.Target), number(t.Asked), number(t.Got), number(q.P50), number(q.P90), number(q.P99), number(q.P999), number(q.Max),
			strconv.FormatUint(q.N, 10), strconv.FormatBool(t.Holds), cell(strings.Join(t.Why, "; "))})
	}
	c.Flush()
	return c.Error()
}

// WriteMarkdown writes a table for a README.
func (k *Knee) WriteMarkdown(w io.Writer, plots ...Plot) error {
	fmt.Fprintf(w, "### %s\n\n", markdown("The knee of "+k.Scenario.Name))
	for line := range strings.Lines(strings.TrimSpace(k.Found)) {
		fmt.Fprintf(w, "%s.\n", markdown(strings.TrimSpace(line)))
	}
	fmt.Fprintln(w)
	fmt.Fprint(w, "| requests/s asked | answered | p50, ms | p99, ms | p999, ms | max, ms | |\n|---:|---:|---:|---:|---:|---:|---|\n")
	for _, t := range k.Knee.Tried {
		word := "holds"
		if !t.Holds {
			word = strings.Join(t.Why, "; ")
		}
		fmt.Fprintf(w, "| %.0f | %.0f | %.2f | %.2f | %.2f | %.2f | %s |\n", t.Asked, t.Got, t.Wait.P50, t.Wait.P99, t.Wait.P999, t.Wait.Max, markdown(word))
	}
	fmt.Fprintln(w)
	for _, p := range plots {
		fmt.Fprintf(w, "![%s](%s)\n\n", markdown(p.Title), p.File)
	}
	last := k.Knee.Last
	for _, f := range last.Verdict.Lies {
		fmt.Fprintf(w, "- **Failed**: %s\n\n", markdown(f))
	}
	if last.Verdict.Unverified != "" {
		fmt.Fprintf(w, "- **Failed**: the books could not be verified: %s\n\n", markdown(last.Verdict.Unverified))
	}
	_, err := fmt.Fprintf(w, "%s, %s.\n", last.Began.UTC().Format(time.DateOnly), markdown(k.Machine.line()))
	return err
}
