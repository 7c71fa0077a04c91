package report

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"
)

// cell is text of others in a CSV file. A spreadsheet takes what begins so for a formula: with an apostrophe before it, it is text.
func cell(text string) string {
	text = strings.TrimSpace(plain(text))
	if text != "" && strings.ContainsRune("=+-@", rune(text[0])) {
		return "'" + text
	}
	return text
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 8, 64) }

// WriteSummaryCSV writes a line for each measure of each round of each target.
func (r *Report) WriteSummaryCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	_ = c.Write([]string{"scenario", "target", "round", "passed", "measure", "unit", "value"}) // Flush keeps the error
	for _, t := range r.Targets {
		for n, one := range t.Rounds {
			if one == nil {
				continue
			}
			for i := range measures {
				m := &measures[i]
				if v, known := m.of(one); known && finite(v) {
					_ = c.Write([]string{cell(one.Scenario.Name), cell(t.Name), strconv.Itoa(n + 1), strconv.FormatBool(one.Passed()), m.key, m.unit, number(v)})
				}
			}
		}
	}
	c.Flush()
	return c.Error()
}

// WriteIntervalsCSV writes a line for each interval of each round of each target. Those that end at 0 s or before are of the
// warm-up, whose payments are not counted.
func (r *Report) WriteIntervalsCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	_ = c.Write([]string{"scenario", "target", "round", "at_s", "seconds", "ops", "refused", "errors", "dropped", "p50_ms", "p99_ms", "max_ms",
		"generator_cores", "target_cores", "target_memory_bytes", "target_disk_bytes"}) // Flush keeps the error
	for _, t := range r.Targets {
		for n, one := range t.Rounds {
			if one == nil {
				continue
			}
			for _, i := range one.Intervals {
				count := func(v uint64) string { return strconv.FormatUint(v, 10) }
				_ = c.Write([]string{cell(one.Scenario.Name), cell(t.Name), strconv.Itoa(n + 1), number(i.At), number(i.Seconds),
					count(i.Ops), count(i.Refused), count(i.Errors), count(i.Dropped), number(i.P50), number(i.P99), number(i.Max),
					number(i.CPU), number(i.System), strconv.FormatInt(i.Memory, 10), strconv.FormatInt(i.Disk, 10)})
			}
		}
	}
	c.Flush()
	return c.Error()
}
