package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/bench"
	"github.com/millrace/millrace/bench/report"
)

// reportFolders say where a report is written. Empty: nowhere.
type reportFolders struct{ out, svg string }

func (f *reportFolders) flags(c *cobra.Command) {
	c.Flags().StringVar(&f.out, "out", "", "folder for the report: "+report.PageFile+", "+report.DocumentFile+", CSV, Markdown and plots")
	c.Flags().StringVar(&f.svg, "svg", "", "folder for the plots alone, as SVG files")
}

func (f *reportFolders) write(cmd *cobra.Command, r *report.Report) error {
	if f.out != "" {
		if err := r.WriteFolder(f.out); err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "report in %s\n", filepath.Join(f.out, report.PageFile))
	}
	if f.svg != "" {
		if _, err := r.WritePlots(f.svg); err != nil {
			return err
		}
	}
	return nil
}

// newBenchReportCommand is `millrace bench report`.
func newBenchReportCommand() *cobra.Command {
	var to reportFolders
	c := &cobra.Command{
		Use:   "report FILE.json",
		Short: "make the report of a run from its JSON",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := readReport(args[0])
			if err != nil {
				return err
			}
			if err := to.write(cmd, r); err != nil {
				return err
			}
			return shown(cmd, r, nil)
		},
	}
	to.flags(c)
	return c
}

// newBenchCompareCommand is `millrace bench compare`.
func newBenchCompareCommand() *cobra.Command {
	var worse string
	verb := &cobra.Command{
		Use:   "compare OLD.json NEW.json",
		Short: "say what has changed from a run to another, and whether it is more than chance",
		Long: "Holds a run against an earlier one, measure by measure, from the JSON of both (report.json of --out). A difference is said to be one\n" +
			"where rounds would hardly differ so by chance: Mann-Whitney's U test, p < 0.05, which takes four rounds of each at least.\n" +
			"With --fail-worse it ends with exit code 7 when a measure has become worse by more than that and by more than chance, or the new run failed.",
		Example: "  millrace bench compare before/report.json after/report.json --fail-worse 5%",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			old, err := readReport(args[0])
			if err != nil {
				return err
			}
			later, err := readReport(args[1])
			if err != nil {
				return err
			}
			c := report.Compare(old, later)
			var failed error
			if cmd.Flags().Changed("fail-worse") {
				if failed, err = tooMuchWorse(c, later, worse); err != nil {
					return err
				}
			}
			if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
				if failed != nil {
					failed = printed{failed}
				}
				return errors.Join(failed, json.NewEncoder(cmd.OutOrStdout()).Encode(c))
			}
			return errors.Join(failed, c.WriteText(cmd.OutOrStdout()))
		},
	}
	verb.Flags().StringVar(&worse, "fail-worse", "", "fail when a measure has become worse by more than this part of what it was, as 5%")
	return verb
}

// tooMuchWorse is why a comparison fails, if it does. The error is for what cannot be judged.
func tooMuchWorse(c *report.Comparison, later *report.Report, text string) (failed, err error) {
	most, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil || !(most >= 0) || math.IsInf(most, 0) {
		return nil, usage("--fail-worse: %q is no percentage", text)
	}
	if !later.Passed() {
		return fmt.Errorf("%w: the new run: %s", bench.ErrFailed, strings.Join(later.Failures(), "; ")), nil
	}
	all, err := c.Worse(most)
	if err != nil {
		return nil, usage("--fail-worse: %w", err)
	}
	if len(all) > 0 {
		return fmt.Errorf("%w: worse by more than %g%%: %s", bench.ErrFailed, most, strings.Join(all, "; ")), nil
	}
	return nil, nil
}

func readReport(path string) (*report.Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, usage("%w", err)
	}
	defer f.Close()
	r, err := report.Read(f)
	if err != nil {
		return nil, usage("%s: %w", path, err)
	}
	return r, nil
}
