package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/scenario"
)

// plain is text of others on one line, without what a terminal would take for commands.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return '\uFFFD'
		}
		return r
	}, text)
}

// scenarioText is a scenario as TOML, with all its keys.
func scenarioText(s *scenario.Scenario) string {
	text, err := s.TOML()
	if err != nil {
		return "# it cannot be written: " + plain(err.Error()) + "\n"
	}
	return string(text)
}

// WriteText writes what a person wants to know when a run is over.
func (r *Report) WriteText(w io.Writer) error {
	if len(r.Targets) == 1 && len(r.Targets[0].results()) == 1 {
		return writeResult(w, &r.Targets[0], r.first())
	}
	one := r.first()
	if one == nil {
		_, err := fmt.Fprintln(w, "nothing was measured")
		return err
	}
	rounds := "1 round"
	figures := ""
	if n := r.rounds(); n > 1 {
		rounds, figures = fmt.Sprintf("%d rounds", n), "; medians, and their range"
	}
	fmt.Fprintf(w, "%s, %s from %s%s%s\n", plain(one.Scenario.Name), rounds, one.Began.UTC().Format(time.RFC3339), r.early(), figures)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range r.rows(false) {
		fmt.Fprintln(table, "  "+strings.Join(row, "\t")+"\t")
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(r.Targets) > 1 {
		fmt.Fprintf(w, "  times: the figure of %s by the other's, within a round\n", plain(r.Targets[0].Name))
	}
	for i := range r.Targets {
		t := &r.Targets[i]
		for _, s := range t.saturated() {
			fmt.Fprintf(w, "  saturated: %s: %s\n", plain(t.Name), plain(s))
		}
		if len(t.failures()) == 0 {
			fmt.Fprintf(w, "  verified: %s: the books agree with what was acknowledged%s\n", plain(t.Name), restarted(t.results()...))
		}
		for _, f := range t.failures() {
			fmt.Fprintf(w, "  FAILED: %s: %s\n", plain(t.Name), plain(f))
		}
	}
	_, err := fmt.Fprintln(w)
	return err
}

// restarted says that the books were read after a restart, if all were.
func restarted(all ...*generator.Result) string {
	if len(all) == 0 || slices.ContainsFunc(all, func(r *generator.Result) bool { return !r.Verdict.Restarted }) {
		return ""
	}
	return ", after a restart, too"
}

// restarted says of all results that their books were read after a restart, if they were.
func (r *Report) restarted() string {
	var all []*generator.Result
	for _, t := range r.Targets {
		all = append(all, t.results()...)
	}
	return restarted(all...)
}

// early says that a run ended before its time, if it did.
func (r *Report) early() string {
	return early(slices.ContainsFunc(r.Targets, func(t Target) bool {
		return slices.ContainsFunc(t.results(), func(one *generator.Result) bool { return one.Stopped })
	}))
}

func early(stopped bool) string {
	if stopped {
		return ", stopped before its time"
	}
	return ""
}

// rows are the summary: a head, and a row for each measure that some target has. Of the targets behind the first, each has a second column,
// which says how many times theirs the first one's figure is.
func (r *Report) rows(details bool) (rows [][]string) {
	head := []string{""}
	for i, t := range r.Targets {
		head = append(head, plain(t.Name))
		if i > 0 {
			head = append(head, "times")
		}
	}
	rows = append(rows, head)
	for i := range measures {
		m := &measures[i]
		if !details && !m.main {
			continue
		}
		name := m.name
		if m.unit != "" {
			name += ", " + m.unit
		}
		row, known := []string{name}, false
		for j := range r.Targets {
			values := r.Targets[j].values(m)
			known = known || len(values) > 0
			row = append(row, spreadOf(values).text())
			if j > 0 {
				times := ""
				if found := ratios(m, &r.Targets[0], &r.Targets[j]); len(found) > 0 && m.better != 0 {
					times = "×" + spreadOf(found).text()
				}
				row = append(row, times)
			}
		}
		if known {
			rows = append(rows, row)
		}
	}
	return rows
}

// saturated are the warnings of all rounds, each once.
func (t *Target) saturated() (all []string) {
	for n, one := range t.Rounds {
		if one == nil {
			continue
		}
		for _, s := range one.Saturated {
			if len(t.Rounds) > 1 {
				s = fmt.Sprintf("round %d: %s", n+1, s)
			}
			all = append(all, s)
		}
	}
	return all
}

// usedText is what generator and target have used.
func usedText(r *generator.Result) string {
	text := fmt.Sprintf("generator %.2f cores, %.3f us/op", r.Generator.Cores, r.Generator.PerOpCPU)
	switch {
	case r.Inside:
		return text + ", with the target, which is in the same process"
	case r.System == nil:
		return text + "; target not known"
	}
	disk := "disk an op not measured: it has not grown"
	if r.System.PerOpDsk > 0 {
		disk = fmt.Sprintf("%.1f bytes of disk an op", r.System.PerOpDsk)
	}
	return text + fmt.Sprintf("; target %.2f cores, %.3f us/op, %d MB, %s", r.System.Cores, r.System.PerOpCPU, r.System.Memory/1_000_000, disk)
}

func writeResult(w io.Writer, t *Target, r *generator.Result) error {
	fmt.Fprintf(w, "%s against %s, %.1f s from %s%s\n", plain(r.Scenario.Name), plain(t.Name), r.Seconds, r.Began.UTC().Format(time.RFC3339), early(r.Stopped))
	fmt.Fprintf(w, "  %.0f ops/s in %.0f requests/s\n", r.Rate, r.Requests)
	for _, q := range []struct {
		name string
		q    generator.Quantiles
	}{{"latency", r.Wait}, {"service", r.Service}, {"late", r.Late}, {"queued", r.Queued}} {
		if q.q.N > 0 {
			fmt.Fprintf(w, "  %-8s p50 %.2f  p90 %.2f  p99 %.2f  p999 %.2f  max %.2f ms of %d\n", q.name, q.q.P50, q.q.P90, q.q.P99, q.q.P999, q.q.Max, q.q.N)
		}
	}
	if r.Late.N == 0 && r.Queued.N > 0 {
		fmt.Fprintln(w, "  late     not measured: no connection was free when a request was due")
	}
	fmt.Fprintf(w, "  refused %d, failed %d ops; dropped %d requests; %d attempts without an answer, %d tried again, %d resolved afterwards\n",
		r.Counts.Refused, r.Counts.Failed, r.Counts.Dropped, r.Counts.Errors, r.Counts.Retried, r.Resolved)
	for _, why := range []struct {
		word string
		n    map[string]uint64
	}{{"refused", r.Refusals}, {"error", r.Errors}} {
		for _, text := range slices.Sorted(maps.Keys(why.n)) {
			fmt.Fprintf(w, "  %-8s %d × %s\n", why.word, why.n[text], plain(text))
		}
	}
	fmt.Fprintln(w, "  "+usedText(r))
	if r.Durability != "" {
		fmt.Fprintf(w, "  durability of what it acknowledges: %s\n", plain(r.Durability))
	}
	for _, a := range r.Agents {
		if a.Lost == "" {
			fmt.Fprintf(w, "  agent %s: %d requests, %.2f cores, began %.1f ms late\n", plain(a.Name), a.Requests, a.Use.Cores, a.Late)
		}
	}
	for _, s := range r.Saturated {
		fmt.Fprintf(w, "  saturated: %s\n", plain(s))
	}
	if r.Verdict.Agree {
		until := ""
		if r.Stopped {
			until = " until it was stopped"
		}
		fmt.Fprintln(w, "  verified: the books agree with what was acknowledged"+until+restarted(r))
	}
	for _, f := range r.Failures() {
		fmt.Fprintf(w, "  FAILED: %s\n", plain(f))
	}
	_, err := fmt.Fprintln(w)
	return err
}
