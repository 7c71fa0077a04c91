package bench

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/bench/scenario"
	"github.com/millrace/millrace/bench/workload"
	"github.com/millrace/millrace/ledger"
)

// hubSession is one connection to a hub: it writes requests as the API's document says, into one buffer.
type hubSession struct {
	hub  *hubDoor
	conn *conn
	body []byte
	out  []byte
}

// Do sends a request, and reads what was answered.
func (s *hubSession) Do(r *workload.Request, deadline time.Time) error {
	if err := s.conn.net.SetDeadline(deadline); err != nil {
		return err
	}
	if len(r.Ops) == 1 && (r.Ops[0].Kind == workload.History || !s.hub.Batches) {
		return s.single(r)
	}
	return s.batch(r)
}

// Close hangs up.
func (s *hubSession) Close() error { return s.conn.close() }

// Abort hangs up on an answer that is waited for.
func (s *hubSession) Abort() { _ = s.conn.close() } // and what waits gets the error

// ask sends a request with the body that is in the buffer.
func (s *hubSession) ask(payer int, method, path, mediaType string) (status int, body []byte, err error) {
	s.out = append(s.out[:0], method...)
	s.out = append(s.out, ' ')
	s.out = append(s.out, path...)
	s.out = append(s.out, " HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer "...)
	s.out = append(s.out, s.hub.Tokens[payer]...)
	if mediaType != "" {
		s.out = append(s.out, "\r\nContent-Type: "...)
		s.out = append(s.out, mediaType...)
		s.out = append(s.out, "\r\nContent-Length: "...)
		s.out = strconv.AppendInt(s.out, int64(len(s.body)), 10)
	}
	s.out = append(s.out, "\r\n\r\n"...)
	s.out = append(s.out, s.body...)
	status, body, err = s.conn.do(s.out)
	switch {
	case err != nil:
		return 0, nil, err
	case status == 503 || status == 429:
		return 0, nil, fmt.Errorf("%w: status %d: %.200s", generator.ErrBusy, status, body)
	case status >= 500:
		return 0, nil, fmt.Errorf("status %d: %.200s", status, body)
	}
	return status, body, nil
}

// single sends one op as a request of its own.
func (s *hubSession) single(r *workload.Request) error {
	op := &r.Ops[0]
	var id [36]byte
	method, path, kind := "POST", "/v1/transfers", "application/json"
	s.body = s.body[:0]
	switch op.Kind {
	case workload.Transfer:
		writeUUID(id[:], op.ID)
		s.body = fmt.Appendf(s.body, `{"id":"%s","to":"%v","amount_msat":%d}`, id[:], s.hub.Accounts[op.Object], op.Amount)
	case workload.Advance:
		path = fmt.Sprintf("/v1/channels/%v/advance", ledger.ChannelNo(s.hub.Channels[op.Object]))
		s.body = fmt.Appendf(s.body, `{"total_msat":%d}`, op.Amount)
	case workload.Unlock:
		path = fmt.Sprintf("/v1/contents/%s/unlock", s.hub.Works[op.Object].ID[:])
		s.body = fmt.Appendf(s.body, `{"max_msat":%d}`, op.Amount)
	case workload.History:
		method, path, kind = "GET", fmt.Sprintf("/v1/accounts/%v/entries?limit=100", s.hub.Accounts[r.Payer]), ""
	}
	status, body, err := s.ask(r.Payer, method, path, kind)
	if err != nil {
		return err
	}
	r.Secret = op.Kind == workload.Unlock && bytes.Contains(body, s.hub.Works[op.Object].Key)
	if status >= 400 {
		refuse(r, 0, problemCode(body))
		return nil
	}
	switch {
	case op.Kind == workload.History:
		if !bytes.HasPrefix(body, []byte(`{"`)) {
			return fmt.Errorf("%w: %.200q", generator.ErrAnswer, body)
		}
		r.Outcomes[0] = workload.Done
	case bytes.Contains(body, []byte(`"result":"applied"`)):
		r.Outcomes[0] = workload.Done
	case bytes.Contains(body, []byte(`"result":"repeated"`)):
		r.Outcomes[0] = workload.Repeated
	default:
		return fmt.Errorf("%w: %.200q", generator.ErrAnswer, body)
	}
	if op.Kind == workload.Transfer && !bytes.Contains(body, id[:]) {
		return fmt.Errorf("%w: to another transfer: %.200q", generator.ErrAnswer, body)
	}
	return nil
}

// problemCode is the word of a problem document (RFC 9457).
func problemCode(body []byte) string {
	var p struct{ Code string }
	if json.Unmarshal(body, &p) != nil || p.Code == "" {
		return "unknown"
	}
	return p.Code
}

// batch sends many ops in one request.
func (s *hubSession) batch(r *workload.Request) error {
	encoding := s.hub.Encoding
	kind := map[scenario.Encoding]string{scenario.Binary: "application/vnd.millrace.ops", scenario.Lines: "application/x-ndjson", scenario.JSON: "application/json"}[encoding]
	if s.body = s.body[:0]; encoding == scenario.Binary {
		s.records(r)
	} else {
		s.texts(r, encoding == scenario.JSON)
	}
	status, body, err := s.ask(r.Payer, "POST", "/v1/batches", kind)
	switch {
	case err != nil:
		return err
	case status != 200:
		return fmt.Errorf("%w: status %d: %.200s", generator.ErrAnswer, status, body)
	case encoding == scenario.Binary:
		return results(r, body)
	}
	return linesOf(r, body, encoding == scenario.JSON)
}

// records writes a batch as the API's binary form: see openapi.yaml.
func (s *hubSession) records(r *workload.Request) {
	if need := len(r.Ops) * recordSize; cap(s.body) < need {
		s.body = make([]byte, need)
	} else {
		s.body = s.body[:need]
	}
	t := s.hub
	for i := range r.Ops {
		op, to := &r.Ops[i], s.body[i*recordSize:(i+1)*recordSize]
		clear(to)
		switch op.Kind {
		case workload.Advance:
			to[0] = byte(ledger.OpAdvance)
			binary.LittleEndian.PutUint32(to[4:], t.Channels[op.Object])
		case workload.Transfer:
			to[0] = byte(ledger.OpTransfer)
			binary.LittleEndian.PutUint32(to[4:], uint32(t.Accounts[op.Object]))
			copy(to[16:], op.ID[:])
		case workload.Unlock:
			to[0] = byte(ledger.OpUnlock)
			copy(to[16:], t.Works[op.Object].Number[:])
		}
		binary.LittleEndian.PutUint64(to[8:], op.Amount)
	}
}

// reached is what the hub refuses an advance with whose channel has paid more than the total already. All totals of a channel are this
// worker's, each larger than the one before: it was paid by an attempt whose answer was lost, and then a larger one.
const reached = ledger.TotalBelow

// results reads the binary form of what became of a batch.
func results(r *workload.Request, body []byte) error {
	const headSize, refusalSize = resultsSize, 8
	if len(body) < headSize {
		return fmt.Errorf("%w: results of %d bytes", generator.ErrAnswer, len(body))
	}
	count, applied := binary.LittleEndian.Uint32(body), binary.LittleEndian.Uint32(body[4:])
	repeated, refused := binary.LittleEndian.Uint32(body[8:]), binary.LittleEndian.Uint32(body[12:])
	if n := uint64(len(r.Ops)); uint64(count) != n || uint64(applied)+uint64(repeated)+uint64(refused) != n || uint64(len(body)) != headSize+refusalSize*uint64(refused) {
		return fmt.Errorf("%w: results of %d ops, %d + %d + %d, in %d bytes", generator.ErrAnswer, count, applied, repeated, refused, len(body))
	}
	all := workload.Either
	if repeated == 0 {
		all = workload.Done
	} else {
		r.Repeats = int(repeated)
	}
	for i := range r.Outcomes {
		r.Outcomes[i] = all
	}
	for at := headSize; at < len(body); at += refusalSize {
		i := binary.LittleEndian.Uint32(body[at:])
		if int(i) >= len(r.Ops) || r.Outcomes[i] == workload.Refused {
			return fmt.Errorf("%w: a refusal of op %d", generator.ErrAnswer, i)
		}
		refuse(r, int(i), ledger.Result(binary.LittleEndian.Uint16(body[at+4:])).String())
	}
	return nil
}

// refuse notes that an op was refused.
func refuse(r *workload.Request, i int, word string) {
	if r.Ops[i].Kind == workload.Advance && word == reached.String() {
		r.Outcomes[i] = workload.Repeated
		return
	}
	if r.Outcomes[i] = workload.Refused; r.Refusal == "" {
		r.Refusal = word
	}
}

// texts writes a batch in JSON, as an array or line by line.
func (s *hubSession) texts(r *workload.Request, array bool) {
	var id [36]byte
	for i := range r.Ops {
		switch {
		case array && i == 0:
			s.body = append(s.body, '[')
		case array:
			s.body = append(s.body, ',')
		}
		switch op := &r.Ops[i]; op.Kind {
		case workload.Advance:
			s.body = fmt.Appendf(s.body, `{"op":"advance","channel":"%v","total_msat":%d}`, ledger.ChannelNo(s.hub.Channels[op.Object]), op.Amount)
		case workload.Transfer:
			writeUUID(id[:], op.ID)
			s.body = fmt.Appendf(s.body, `{"op":"transfer","id":"%s","to":"%v","amount_msat":%d}`, id[:], s.hub.Accounts[op.Object], op.Amount)
		case workload.Unlock:
			s.body = fmt.Appendf(s.body, `{"op":"unlock","content":"%s","max_msat":%d}`, s.hub.Works[op.Object].ID[:], op.Amount)
		}
		if !array {
			s.body = append(s.body, '\n')
		}
	}
	if array {
		s.body = append(s.body, ']')
	}
}

// linesOf reads what became of a batch in JSON.
func linesOf(r *workload.Request, body []byte, array bool) error {
	if array {
		var all struct{ Results []json.RawMessage }
		if err := json.Unmarshal(body, &all); err != nil || len(all.Results) != len(r.Ops) {
			return fmt.Errorf("%w: %d results of %d ops, %w", generator.ErrAnswer, len(all.Results), len(r.Ops), err)
		}
		for i, one := range all.Results {
			if err := result(r, i, one); err != nil {
				return err
			}
		}
		return nil
	}
	for i := range r.Ops {
		line, rest, found := bytes.Cut(body, []byte{'\n'})
		if !found {
			return fmt.Errorf("%w: %d results of %d ops", generator.ErrAnswer, i, len(r.Ops))
		}
		if err := result(r, i, line); err != nil {
			return err
		}
		body = rest
	}
	return nil
}

// result reads what became of one op of a batch.
func result(r *workload.Request, i int, text []byte) error {
	rest, ok := bytes.CutPrefix(text, []byte(`{"result":"`))
	word, _, closed := bytes.Cut(rest, []byte{'"'})
	if !ok || !closed {
		return fmt.Errorf("%w: result %d: %.200q", generator.ErrAnswer, i, text)
	}
	switch string(word) {
	case "applied":
		r.Outcomes[i] = workload.Done
	case "repeated":
		r.Outcomes[i] = workload.Repeated
	default:
		refuse(r, i, string(word))
	}
	return nil
}
