package contract

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"
)

func record(kind byte, target uint32, amount uint64, id string) string {
	b := make([]byte, opSize)
	b[0] = kind
	binary.LittleEndian.PutUint32(b[4:], target)
	binary.LittleEndian.PutUint64(b[8:], amount)
	copy(b[16:], id)
	return string(b)
}

func binaryOps() string {
	return record(kindTransfer, 16, 1, "0123456789abcdef") + record(kindAdvance, 1, 2, "") + record(kindUnlock, 0, 9, "fedcba9876543210")
}

func summary(count, applied, repeated, refused uint32, seq uint64) string {
	b := make([]byte, 0, headerSize)
	for _, v := range []uint32{count, applied, repeated, refused} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return string(binary.LittleEndian.AppendUint64(b, seq))
}

func refusal(index uint32, result, zero uint16) string {
	b := binary.LittleEndian.AppendUint32(nil, index)
	b = binary.LittleEndian.AppendUint16(b, result)
	return string(binary.LittleEndian.AppendUint16(b, zero))
}

func binaryResults() string { return summary(3, 1, 0, 2, 9) + refusal(0, 5, 0) + refusal(2, 7, 0) }

func TestBinaryOps(t *testing.T) {
	for name, test := range map[string]struct{ data, want string }{
		"good":           {binaryOps(), ""},
		"full":           {strings.Repeat(record(kindAdvance, 1, 2, ""), maxOps), ""},
		"empty":          {"", "records"},
		"half a record":  {binaryOps()[:48], "records"},
		"too many":       {strings.Repeat(record(kindAdvance, 1, 2, ""), maxOps+1), "records"},
		"kind 0":         {record(0, 1, 2, ""), "kind 0"},
		"kind 4":         {record(4, 1, 2, ""), "kind 4"},
		"padding":        {strings.Replace(record(kindAdvance, 1, 2, ""), "\x02\x00", "\x02\x01", 1), "padding"},
		"advance and id": {record(kindAdvance, 1, 2, "x"), "with an id"},
	} {
		t.Run(name, func(t *testing.T) { wantError(t, checkOps([]byte(test.data)), test.want) })
	}
}

func TestBinaryResults(t *testing.T) {
	for name, test := range map[string]struct{ data, want string }{
		"good":                {binaryResults(), ""},
		"all repeated":        {summary(3, 0, 3, 0, 0), ""},
		"short header":        {binaryResults()[:20], "header"},
		"no ops":              {summary(0, 0, 0, 0, 0), "do not make"},
		"too many ops":        {summary(maxOps+1, maxOps+1, 0, 0, 9), "do not make"},
		"sum":                 {summary(3, 1, 0, 1, 9) + refusal(0, 5, 0), "do not make"},
		"sum that overflows":  {summary(3, 1<<31, 1<<31, 3, 9), "do not make"},
		"applied without seq": {summary(1, 1, 0, 0, 0), "highest seq"},
		"seq without applied": {summary(1, 0, 1, 0, 9), "highest seq"},
		"refusal missing":     {summary(1, 0, 0, 1, 0), "not 1 refusals"},
		"refusal cut":         {binaryResults()[:36], "not 2 refusals"},
		"refusals swapped":    {summary(3, 1, 0, 2, 9) + refusal(2, 5, 0) + refusal(0, 7, 0), "out of order"},
		"refused twice":       {summary(3, 1, 0, 2, 9) + refusal(2, 5, 0) + refusal(2, 7, 0), "out of order"},
		"index beyond":        {summary(3, 1, 0, 2, 9) + refusal(0, 5, 0) + refusal(3, 7, 0), "out of order or of range"},
		"result 0":            {summary(1, 0, 0, 1, 0) + refusal(0, 0, 0), "result is 0"},
		"padding":             {summary(1, 0, 0, 1, 0) + refusal(0, 5, 1), "padding"},
	} {
		t.Run(name, func(t *testing.T) { wantError(t, checkResults([]byte(test.data)), test.want) })
	}
}

func TestBinaryCounts(t *testing.T) {
	c := good["batch binary"]
	c.req += record(kindAdvance, 1, 2, "")
	wantError(t, c.check(newChecker(t)), "3 results for 4 ops")
}

// TestFullBatch makes sure that integration tests can afford to have their largest batches checked.
func TestFullBatch(t *testing.T) {
	checker := newChecker(t)
	start := time.Now()
	c := post("/v1/batches",
		"["+strings.Repeat(transferOp+",", maxOps-1)+transferOp+"]", 200,
		`{"applied":0,"repeated":8192,"refused":0,"results":[`+strings.Repeat(`{"result":"repeated"},`, maxOps-1)+`{"result":"repeated"}]}`)
	wantError(t, c.check(checker), "")
	t.Logf("%d ops in JSON took %v", maxOps, time.Since(start))
	c.req = strings.Replace(c.req, "[", "["+transferOp+",", 1)
	wantError(t, c.check(checker), "maxItems")
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Error(err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("error lacks %q: %v", want, err)
	}
}
