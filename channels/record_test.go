package channels

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// TestRecordSize: what people write takes no more than about twice its bytes, so that the records of a whole batch fit in one write.
func TestRecordSize(t *testing.T) {
	for _, c := range []string{"&", "<", "\\", "\"", "é", "\u2028"} {
		p := Payout{Request: Request{To: strings.Repeat(c, MaxTo/len(c))}}
		row, err := rowOf([]byte("k"), &p)
		if err != nil {
			t.Fatal(err)
		}
		var back Payout
		if err := json.Unmarshal(row.Value, &back); err != nil || back.To != p.To {
			t.Errorf("%q: comes back otherwise: %v", c, err)
		}
		if len(row.Value) > 2*MaxTo+1000 {
			t.Errorf("%q: a record of %d bytes", c, len(row.Value))
		}
	}
}

func TestControlCharacters(t *testing.T) {
	for _, text := range []string{"a\x00b", "a\x1bb", "a\xffb"} {
		q := Request{Key: Key{ID: ID{1}}, To: "x", Memo: text}
		if err := q.check(); !errors.Is(err, ErrTarget) {
			t.Errorf("memo %q: %v", text, err)
		}
	}
	q := Request{Key: Key{ID: ID{1}}, To: "x", Memo: "a\nb\tc é"}
	if err := q.check(); err != nil {
		t.Error(err)
	}
}
