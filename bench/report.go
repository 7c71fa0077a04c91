package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// WriteJSON writes the results as an array.
func WriteJSON(w io.Writer, results []Result) error {
	if results == nil {
		results = []Result{}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(results)
}

// WriteTable writes the ratios first, and then the figures.
func WriteTable(w io.Writer, results []Result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(cells ...string) { fmt.Fprintln(t, strings.Join(cells, "\t")+"\t") }
	row("case", "of its limit", "", "limit/s", "payments/s", "spread")
	rates := slices.DeleteFunc(slices.Clone(results), func(r Result) bool { return len(r.Rounds) == 0 })
	for _, r := range rates {
		if len(r.Limits) == 0 {
			row(r.Name, "", "", "", count(r.Value), percent(r.Spread))
		}
		for i, l := range r.Limits {
			if i == 0 {
				row(r.Name, percent(l.Ratio), l.Name, count(l.Value), count(r.Value), percent(r.Spread))
			} else {
				row("", percent(l.Ratio), l.Name, count(l.Value), "", "")
			}
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	row("case", "one call", "p50 ms", "p99 ms", "p999 ms", "CPU s", "CPU us/op", "allocs/op", "log B/op", "disk B/op", "running", "index B/op")
	for _, r := range rates {
		logged, disk, running, index := "", "", "", ""
		if r.LogBytes > 0 {
			logged, disk, running = fmt.Sprintf("%.1f", r.LogBytes), fmt.Sprintf("%.1f", r.Disk), fmt.Sprintf("%.1f", r.Running)
			index = fmt.Sprintf("%.1f", r.Index)
		}
		row(r.Name, r.Call, fmt.Sprintf("%.2f", r.P50), fmt.Sprintf("%.2f", r.P99), fmt.Sprintf("%.2f", r.P999),
			fmt.Sprintf("%.1f", r.CPU), fmt.Sprintf("%.3g", r.CPUOp), allocs(r.Mallocs), logged, disk, running, index)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if err := writeFigures(w, results); err != nil {
		return err
	}
	_, err := fmt.Fprint(w, "\nMedians over the rounds; a ratio is taken within a round. CPU and allocations are those of hub and load generator\n"+
		"together. Disk is what the ledger's folder has grown by at the next start; running, the lengths of its files before the stop,\n"+
		"with what lies in a table and still in a log counted twice. Index is what the folder of all that is derived from the log has\n"+
		"grown by, checkpoints included.\n")
	return err
}

// writeFigures writes what does not fit into the tables, a line each.
func writeFigures(w io.Writer, results []Result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if slices.ContainsFunc(results, func(r Result) bool { return len(r.Figures) > 0 }) {
		fmt.Fprintln(t)
	}
	for _, r := range results {
		for _, f := range r.Figures {
			digits := "%.3g"
			if f.Value >= 1000 {
				digits = "%.0f"
			}
			fmt.Fprintf(t, "%s\t%s\t%s %s\n", r.Name, f.Name, fmt.Sprintf(digits, f.Value), f.Unit)
		}
	}
	return t.Flush()
}

// count is a number of payments, short enough to be read.
func count(v float64) string {
	switch {
	case v >= 999_500:
		return fmt.Sprintf("%.2f M", v/1e6)
	case v >= 10_000:
		return fmt.Sprintf("%.1f k", v/1e3)
	}
	return fmt.Sprintf("%.0f", v)
}

func percent(v float64) string {
	if v > 0 && v < 0.1 {
		return fmt.Sprintf("%.1f %%", 100*v)
	}
	return fmt.Sprintf("%.0f %%", 100*v)
}

// allocs tells a few for every block from some for every payment.
func allocs(v float64) string {
	if v < 0.00005 {
		return "0"
	}
	return fmt.Sprintf("%.3g", v)
}
