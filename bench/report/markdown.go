package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// markdown is text of others in Markdown: on one line, without what would be markup.
func markdown(text string) string {
	return strings.NewReplacer("\\", "\\\\", "|", "\\|", "<", "&lt;", ">", "&gt;", "&", "&amp;", "*", "\\*", "_", "\\_", "`", "\\`", "[", "\\[", "]", "\\]").
		Replace(plain(text))
}

// WriteMarkdown writes a table for a README. Plots are the files of the plots that lie beside it, if any.
func (r *Report) WriteMarkdown(w io.Writer, plots ...Plot) error {
	one := r.first()
	if one == nil {
		_, err := fmt.Fprintln(w, "Nothing was measured.")
		return err
	}
	s := one.Scenario
	fmt.Fprintf(w, "### %s\n\n", markdown(s.Name))
	if s.About != "" {
		fmt.Fprintf(w, "%s. ", strings.TrimSuffix(markdown(s.About), "."))
	}
	rounds := "one round"
	if n := r.rounds(); n > 1 {
		rounds = fmt.Sprintf("%d rounds: medians, and their range", n)
	}
	fmt.Fprintf(w, "%.0f s, %d connections, %s%s.\n\n", one.Seconds, s.Workers, rounds, r.early())
	var none []string // of what has not happened
	for i, row := range r.rows(false) {
		name, _, _ := strings.Cut(row[0], ",")
		if slices.Contains([]string{"refused", "failed", "dropped"}, name) && !slices.ContainsFunc(row[1:], func(cell string) bool { return cell != "" && cell != "0" }) {
			none = append(none, name)
			continue
		}
		for j := range row {
			row[j] = markdown(row[j])
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(w, "|---|%s\n", strings.Repeat("---:|", len(row)-1))
		}
	}
	fmt.Fprintln(w)
	if len(none) > 0 {
		fmt.Fprintf(w, "Zero in every round: %s.\n\n", strings.Join(none, ", "))
	}
	if len(r.Targets) > 1 {
		fmt.Fprintf(w, "Times: the figure of %s by the other's, within a round.\n\n", markdown(r.Targets[0].Name))
	}
	for _, p := range plots {
		fmt.Fprintf(w, "![%s](%s)\n\n", markdown(p.Title), p.File)
	}
	if failures := r.Failures(); len(failures) == 0 {
		fmt.Fprintf(w, "Verified: the books agree with what was acknowledged%s, and every threshold holds.\n\n", r.restarted())
	} else {
		for _, f := range failures {
			fmt.Fprintf(w, "- **Failed**: %s\n", markdown(f))
		}
		fmt.Fprintln(w)
	}
	saturated := false
	for i := range r.Targets {
		for _, f := range r.Targets[i].saturated() {
			fmt.Fprintf(w, "- **Saturated**: %s: %s\n", markdown(r.Targets[i].Name), markdown(f))
			saturated = true
		}
	}
	if saturated {
		fmt.Fprintln(w)
	}
	_, err := fmt.Fprintf(w, "%s, %s.\n", one.Began.UTC().Format(time.DateOnly), markdown(r.Machine.line()))
	return err
}
