package settle

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/channels"
)

// ResultCSV writes what became of an import, or of any run, line by line: RFC 4180, in UTF-8, under the columns of resultColumns. It can be
// asked for at any time; status then says how far each payment is.
//
// Spreadsheets take a field that begins with =, +, -, @, a tab or a line break for a formula, and references are others' texts: such a field
// begins with an apostrophe. Programs that read the file back take one off.
func (d *Desk) ResultCSV(w io.Writer, id channels.ID) error {
	run, err := d.Run(id)
	if err != nil {
		return err
	}
	out := csv.NewWriter(w)
	if err := out.Write(resultColumns()); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	err = d.eachItem(&run, func(n *Numbered) error { return out.Write(resultRow(n)) })
	if err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	out.Flush()
	return out.Error()
}

func resultColumns() []string {
	return []string{"line", "id", "to", "amount_msat", "reference", "status", "reason", "rail", "fee_msat", "fee_returned_msat", "hash", "proof", "tries", "ended"}
}

func resultRow(n *Numbered) []string {
	why := []string{string(n.Reason)}
	if n.Reason == InvalidLine {
		why = n.Problems
	}
	ended := ""
	if n.Ended != 0 {
		ended = time.UnixMilli(int64(n.Ended)).UTC().Format(time.RFC3339)
	}
	row := []string{strconv.Itoa(int(n.Line)), n.Given, n.To.Text, strconv.FormatUint(uint64(n.Amount), 10), n.Reference, string(n.Stage),
		strings.Join(why, "; "), string(n.Rail), strconv.FormatUint(uint64(n.Fee), 10), strconv.FormatUint(uint64(n.Returned), 10), n.Hash, n.Proof,
		strconv.Itoa(int(n.Try)), ended}
	for i := range row {
		row[i] = harmless(row[i])
	}
	return row
}

// harmless is a field that no spreadsheet calculates with.
func harmless(field string) string {
	if field != "" && strings.ContainsRune("=+-@\t\r\n|%", rune(field[0])) {
		return "'" + field
	}
	return field
}

// eachItem goes through the items of a run.
func (d *Desk) eachItem(run *Run, f func(*Numbered) error) error {
	for from := uint32(0); from < run.Items; {
		items, err := d.Items(run.ID, from, MaxPage)
		if err != nil {
			return err
		}
		if len(items) == 0 {
			return nil
		}
		for i := range items {
			if err := f(&items[i]); err != nil {
				return err
			}
		}
		from = items[len(items)-1].Number + 1
	}
	return nil
}
