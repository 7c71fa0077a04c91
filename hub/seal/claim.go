package seal

import (
	"encoding/hex"
	"encoding/json"
	"errors"

	"github.com/millrace/millrace/ledger"
)

// MaxClaim bounds a claim's text in bytes; it has about 130.
const MaxClaim = 4 << 10

// ErrClaim means that a text is not a claim. What it is instead may be a secret, so nothing of it is quoted.
var ErrClaim = errors.New("not a claim")

// Claim is what registering a work takes besides the sealed file. The commitment cannot be computed from the file, so who
// seals without registering at once keeps it until then.
type Claim struct {
	Content    ledger.ContentID
	Commitment [32]byte // see [Commitment]: a secret until the work is registered
}

// claimText is a claim as its file has it.
type claimText struct {
	Content    string `json:"content"`
	Commitment string `json:"commitment"`
}

// Text is the claim as its file has it: one line of JSON.
func (c Claim) Text() string {
	b, _ := json.Marshal(claimText{c.Content.String(), hex.EncodeToString(c.Commitment[:])}) // two strings: it cannot fail
	return string(b) + "\n"
}

// ParseClaim reads what Text writes. Anything else is [ErrClaim].
func ParseClaim(text []byte) (Claim, error) {
	var t claimText
	if len(text) > MaxClaim || json.Unmarshal(text, &t) != nil {
		return Claim{}, ErrClaim
	}
	id, err := ledger.ParseContentID(t.Content)
	sum, bad := hex.DecodeString(t.Commitment)
	if err != nil || bad != nil || len(sum) != len(Claim{}.Commitment) {
		return Claim{}, ErrClaim
	}
	return Claim{Content: id, Commitment: [32]byte(sum)}, nil
}
