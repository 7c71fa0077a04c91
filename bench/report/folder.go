package report

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// The files that WriteFolder makes.
const (
	PageFile      = "report.html"
	DocumentFile  = "report.json"
	MarkdownFile  = "report.md"
	IntervalsFile = "intervals.csv"
	SummaryFile   = "summary.csv"
	plotsFolder   = "plots"
)

// Plot is a chart in a file of its own.
type Plot struct {
	Title string
	File  string // its path, with slashes
}

// WriteFolder writes a report in every form into a folder, which is made if it is not there. Files of the same names are replaced.
func (r *Report) WriteFolder(dir string) error {
	plots, err := r.WritePlots(filepath.Join(dir, plotsFolder))
	if err != nil {
		return err
	}
	for i := range plots {
		plots[i].File = plotsFolder + "/" + plots[i].File
	}
	for _, f := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{DocumentFile, r.Write}, {PageFile, r.WriteHTML}, {IntervalsFile, r.WriteIntervalsCSV}, {SummaryFile, r.WriteSummaryCSV},
		{MarkdownFile, func(w io.Writer) error { return r.WriteMarkdown(w, plots[:min(len(plots), 2)]...) }},
	} {
		if err := writeFile(filepath.Join(dir, f.name), f.write); err != nil {
			return err
		}
	}
	return nil
}

// WritePlots writes all charts as SVG files into a folder, which is made if it is not there.
func (r *Report) WritePlots(dir string) (all []Plot, err error) {
	charts := r.together()
	for i := range r.Targets {
		charts = append(charts, r.Targets[i].charts(targetID(i))...)
	}
	return writePlots(dir, charts)
}

func writePlots(dir string, charts []*chart) (all []Plot, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the folder of a report: %w", err)
	}
	for _, c := range charts {
		name := c.id + ".svg"
		if err := writeFile(filepath.Join(dir, name), func(w io.Writer) error { return c.write(w, true) }); err != nil {
			return nil, err
		}
		all = append(all, Plot{Title: c.about, File: name})
	}
	return all, nil
}

// targetID begins the names of a target's charts. Names of targets are not for files.
func targetID(i int) string { return fmt.Sprintf("target%d", i+1) }

// writeFile puts a file in the place of one of that name when it is whole.
func writeFile(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".report-*")
	if err != nil {
		return fmt.Errorf("writing a report: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("writing %s: %w", path, errors.Join(err, os.Remove(f.Name())))
		}
	}()
	if err := errors.Join(write(f), f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
