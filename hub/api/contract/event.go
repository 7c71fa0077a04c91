package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// eventBody is a stream of server-sent events, of which the schema describes the data. A stream may be cut off anywhere: what
// stands behind the last whole event is not looked at.
type eventBody struct{ schema *jsonschema.Schema }

func (b eventBody) check(data []byte) error {
	last := uint64(0)
	whole := data[:bytes.LastIndex(data, []byte("\n\n"))+1]
	for block := range strings.SplitSeq(strings.TrimSuffix(string(whole), "\n"), "\n\n") {
		if block == "" { // nothing was read
			continue
		}
		seq, err := b.event(block)
		if err != nil {
			return fmt.Errorf("event %.300q: %w", block, err)
		}
		if seq != 0 && seq <= last {
			return fmt.Errorf("event %d after event %d", seq, last)
		}
		last = max(last, seq)
	}
	return nil
}

// event checks what stands between two empty lines, and returns the entry's seq if it is an event.
func (b eventBody) event(block string) (uint64, error) {
	fields := make(map[string]string)
	for line := range strings.SplitSeq(block, "\n") {
		if strings.HasPrefix(line, ":") {
			continue // a comment
		}
		name, value, ok := strings.Cut(line, ": ")
		if _, twice := fields[name]; !ok || twice {
			return 0, fmt.Errorf("line %q", line)
		}
		fields[name] = value
	}
	for name := range fields {
		if !strings.Contains(" id event data retry ", " "+name+" ") {
			return 0, fmt.Errorf("field %q", name)
		}
	}
	data, has := fields["data"]
	if !has {
		return 0, nil
	}
	if err := jsonBody(b).check([]byte(data)); err != nil {
		return 0, err
	}
	var entry struct{ Seq uint64 }
	if err := json.Unmarshal([]byte(data), &entry); err != nil {
		return 0, err
	}
	if fields["event"] != "entry" || fields["id"] != strconv.FormatUint(entry.Seq, 10) {
		return 0, errors.New("want the event entry, with its seq as id")
	}
	return entry.Seq, nil
}

// checkParquet looks at both ends of a file: what is between is the business of who writes it.
func checkParquet(data []byte) error {
	const magic = "PAR1"
	if len(data) < 3*len(magic) || !bytes.HasPrefix(data, []byte(magic)) || !bytes.HasSuffix(data, []byte(magic)) {
		return errors.New("not a whole Parquet file")
	}
	return nil
}

// tap keeps what is read of a stream, and has it checked when it ends or is closed.
type tap struct {
	io.ReadCloser
	seen  bytes.Buffer
	check func([]byte)
}

func (t *tap) Read(b []byte) (int, error) {
	n, err := t.ReadCloser.Read(b)
	t.seen.Write(b[:min(n, maxBody-t.seen.Len())])
	if err != nil {
		t.end()
	}
	return n, err
}

func (t *tap) Close() error {
	t.end()
	return t.ReadCloser.Close()
}

func (t *tap) end() {
	if t.check != nil {
		t.check(t.seen.Bytes())
		t.check = nil
	}
}

// follow has a stream checked as far as it is read.
func (t Transport) follow(req *http.Request, reqBody []byte, resp *http.Response) {
	resp.Body = &tap{ReadCloser: resp.Body, check: func(seen []byte) {
		if err := t.Checker.Check(req.Method, req.URL.RequestURI(), req.Header, reqBody, resp.StatusCode, resp.Header, seen); err != nil {
			t.Fail(err)
		}
	}}
}
