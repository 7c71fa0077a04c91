package contract

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
)

// batchPath is the one route whose bodies and their agreement are more than schemas can say.
const batchPath = "/v1/batches"

// The binary layouts, as the document's tables give them.
const (
	maxOps      = 8192
	opSize      = 32
	headerSize  = 24
	refusalSize = 8

	kindTransfer = 1
	kindAdvance  = 2
	kindUnlock   = 3
	kindVoucher  = 18

	signatureSize = 64 // behind a voucher's record
)

// checkBatch checks that the answer has the request's form and one result for each op. Both bodies are known to be good.
func checkBatch(x *exchange) error {
	form := mediaType(x.reqHeader)
	want := form
	if form == opsType {
		want = resultsType
	}
	if got := mediaType(x.respHeader); got != want {
		return fmt.Errorf("%s answered with %s: want %s", form, got, want)
	}
	ops, results, err := countOps(form, x.reqBody, x.respBody)
	if err != nil {
		return err
	}
	if ops != results {
		return fmt.Errorf("%d results for %d ops", results, ops)
	}
	return nil
}

func countOps(form string, reqBody, respBody []byte) (ops, results int, err error) {
	switch form {
	case opsType:
		return countRecords(reqBody), int(binary.LittleEndian.Uint32(respBody)), nil
	case ndjsonType:
		return len(splitLines(reqBody)), len(splitLines(respBody)), nil
	}
	var batch []json.RawMessage
	if err := json.Unmarshal(reqBody, &batch); err != nil {
		return 0, 0, err
	}
	results, err = countResults(respBody)
	return len(batch), results, err
}

// countResults checks a JSON answer's sums against its results.
func countResults(data []byte) (int, error) {
	var answer struct {
		Applied  int `json:"applied"`
		Repeated int `json:"repeated"`
		Refused  int `json:"refused"`
		Results  []struct {
			Result string `json:"result"`
		} `json:"results"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return 0, err
	}
	var applied, repeated, refused int
	for _, r := range answer.Results {
		switch r.Result {
		case "applied":
			applied++
		case "repeated":
			repeated++
		default:
			refused++
		}
	}
	if applied != answer.Applied || repeated != answer.Repeated || refused != answer.Refused {
		return 0, fmt.Errorf("says %d applied, %d repeated, %d refused; its results are %d, %d, %d",
			answer.Applied, answer.Repeated, answer.Refused, applied, repeated, refused)
	}
	return len(answer.Results), nil
}

// countRecords counts the ops of a body that checkOps has passed.
func countRecords(data []byte) (n int) {
	for ; len(data) > 0; n++ {
		size := opSize
		if data[0] == kindVoucher {
			size += signatureSize
		}
		data = data[size:]
	}
	return n
}

// checkOps checks what makes binary ops readable. Whether the values make sense is for each op's own result to say.
func checkOps(data []byte) error {
	if len(data) == 0 || len(data)%opSize != 0 {
		return fmt.Errorf("%d bytes are not 1 to %d records of %d", len(data), maxOps, opSize)
	}
	n := 0
	for ; len(data) > 0; n++ {
		record := data[:opSize]
		data = data[opSize:]
		if kind := record[0]; (kind < kindTransfer || kind > kindUnlock) && kind != kindVoucher {
			return fmt.Errorf("record %d: kind %d", n, kind)
		}
		if record[1]|record[2]|record[3] != 0 {
			return fmt.Errorf("record %d: padding is not zero", n)
		}
		total := record[0] == kindAdvance || record[0] == kindVoucher
		if total && [16]byte(record[16:32]) != [16]byte{} {
			return fmt.Errorf("record %d: an advance or a voucher with an id", n)
		}
		if record[0] != kindVoucher {
			continue
		}
		if len(data) < signatureSize {
			return fmt.Errorf("record %d: the signature is cut short", n)
		}
		data = data[signatureSize:]
	}
	if n > maxOps {
		return fmt.Errorf("%d records are more than %d", n, maxOps)
	}
	return nil
}

// checkResults checks that a binary answer agrees with itself.
func checkResults(data []byte) error {
	if len(data) < headerSize {
		return fmt.Errorf("%d bytes are less than a header of %d", len(data), headerSize)
	}
	le := binary.LittleEndian
	count, applied, repeated, refused := le.Uint32(data), le.Uint32(data[4:]), le.Uint32(data[8:]), le.Uint32(data[12:])
	seq := le.Uint64(data[16:])
	if count == 0 || count > maxOps || uint64(applied)+uint64(repeated)+uint64(refused) != uint64(count) {
		return fmt.Errorf("%d applied, %d repeated and %d refused do not make 1 to %d results: count is %d",
			applied, repeated, refused, maxOps, count)
	}
	if (seq == 0) != (applied == 0) {
		return fmt.Errorf("%d applied, and the highest seq is %d", applied, seq)
	}
	refusals := data[headerSize:]
	if len(refusals) != int(refused)*refusalSize {
		return fmt.Errorf("%d bytes after the header are not %d refusals of %d", len(refusals), refused, refusalSize)
	}
	next := uint32(0)
	for ; len(refusals) > 0; refusals = refusals[refusalSize:] {
		index := le.Uint32(refusals)
		if index < next || index >= count {
			return fmt.Errorf("refusal of op %d: out of order or of range", index)
		}
		if le.Uint16(refusals[4:]) == 0 {
			return fmt.Errorf("refusal of op %d: result is 0", index)
		}
		if le.Uint16(refusals[6:]) != 0 {
			return errors.New("a refusal's padding is not zero")
		}
		next = index + 1
	}
	return nil
}
