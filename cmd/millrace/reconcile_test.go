package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/millrace/millrace/channels/lnurl"
	"github.com/millrace/millrace/hub/client"
)

func TestRatioText(t *testing.T) {
	for ratio, want := range map[int64]string{1_000_000: "msat: a thousand times as much, or more", 999_999: "msat: 999999 permille", 0: "msat: 0 permille"} {
		if text := reconciliationText(client.Reconciliation{Ratio: ratio}); !strings.Contains(text, want) {
			t.Errorf("%s", text)
		}
	}
}

// TestNoteHTTP: who makes something that wallets call by https is told where they cannot.
func TestNoteHTTP(t *testing.T) {
	for text, want := range map[string]bool{lnurl.Encode("http://127.0.0.1:1/x"): true, lnurl.Encode("https://hub.example/x"): false, "": false} {
		var out bytes.Buffer
		(&app{err: &out}).noteHTTP(text)
		if got := strings.Contains(out.String(), "https"); got != want {
			t.Errorf("%s: %q", text, out.String())
		}
	}
}
