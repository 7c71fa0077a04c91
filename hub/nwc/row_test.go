package nwc

import (
	"encoding/json"
	"testing"
)

// TestRow: a record takes no more room than what it says, and reads as it was written.
func TestRow(t *testing.T) {
	r := row([]byte("k"), map[string]string{"text": "<&>"})
	var back map[string]string
	if err := json.Unmarshal(r.Value, &back); string(r.Value) != `{"text":"<&>"}` || err != nil || back["text"] != "<&>" {
		t.Errorf("%s, %v", r.Value, err)
	}
}
