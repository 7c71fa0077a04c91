package statement

import (
	"fmt"
	"strings"
)

// Format is a format of statements.
type Format uint8

const (
	CSV     Format = 1 // RFC 4180, with a header line
	JSON    Format = 2 // one object
	Hledger Format = 3 // a journal of plain text accounting
	Parquet Format = 4 // one row per line; the opening and the closing balance are key-value metadata of the file
)

var formats = [...]struct{ name, contentType, extension string }{
	CSV:     {"csv", "text/csv; charset=utf-8; header=present", ".csv"},
	JSON:    {"json", "application/json", ".json"},
	Hledger: {"hledger", "text/plain; charset=utf-8", ".journal"}, // no type is registered for it
	Parquet: {"parquet", "application/vnd.apache.parquet", ".parquet"},
}

// ParseFormat reads the name of a format: csv, json, hledger or parquet.
func ParseFormat[T ~string | ~[]byte](s T) (Format, error) {
	var names []string
	for f := CSV; f <= Parquet; f++ {
		if formats[f].name == string(s) {
			return f, nil
		}
		names = append(names, formats[f].name)
	}
	return 0, fmt.Errorf("not a format of statements: want one of %s", strings.Join(names, ", "))
}

func (f Format) known() bool { return f >= CSV && f <= Parquet }

// String is the format's name, as ParseFormat reads it.
func (f Format) String() string {
	if !f.known() {
		return fmt.Sprintf("format(%d)", uint8(f))
	}
	return formats[f].name
}

// ContentType is the format's media type. It is empty for an unknown format, and so is Extension.
func (f Format) ContentType() string {
	if !f.known() {
		return ""
	}
	return formats[f].contentType
}

// Extension is how file names of the format end, with the dot.
func (f Format) Extension() string {
	if !f.known() {
		return ""
	}
	return formats[f].extension
}
