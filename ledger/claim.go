package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"unicode"
	"unicode/utf8"
)

// Bounds of a claim. Whoever it concerns stands in the entry that ends it, so the payees of its contents are bounded together.
const (
	MaxClaimContents = 16
	MaxClaimPayees   = 64                // different ones, of all its contents
	MaxStatement     = 2000              // bytes of UTF-8
	MaxAnswerTime    = 90 * 24 * 60 * 60 // seconds that the seller has, from one on; how many, the hub says
)

// ClaimNo names a claim: numbers count up from one, and zero names nothing. In text it is as the other numbers, with a d for
// dispute.
type ClaimNo uint32

func (c ClaimNo) String() string { return string(c.Append(nil)) }

// Append appends the text form, as String has it.
func (c ClaimNo) Append(b []byte) []byte { return appendNo(b, 'd', uint32(c)) }

// ParseClaimNo reads the text form of a claim, and of nothing else.
func ParseClaimNo[T ~string | ~[]byte](s T) (ClaimNo, error) {
	n, err := parseNo('d', "claim", s)
	return ClaimNo(n), err
}

// ClaimStatus says how far a claim has come. The numbers are part of the snapshot's format.
type ClaimStatus uint8

const (
	ClaimOpen      ClaimStatus = 1 // it waits for the seller's answer
	ClaimAnswered  ClaimStatus = 2 // it waits for a decision
	ClaimUpheld    ClaimStatus = 3 // decided for the claimant
	ClaimRejected  ClaimStatus = 4 // decided against him: a false claim
	ClaimWithdrawn ClaimStatus = 5 // by the claimant himself
)

var claimStatusNames = [...]string{ClaimOpen: "open", ClaimAnswered: "answered", ClaimUpheld: "upheld", ClaimRejected: "rejected",
	ClaimWithdrawn: "withdrawn"}

func (c ClaimStatus) String() string {
	if int(c) >= len(claimStatusNames) {
		return ""
	}
	return claimStatusNames[c]
}

// Pending says whether the claim is yet to be decided.
func (c ClaimStatus) Pending() bool { return c == ClaimOpen || c == ClaimAnswered }

// Statement is what a party or the arbiter says: text, and the digest of a document that stays elsewhere.
type Statement struct {
	SHA256 [32]byte // zero: no document
	Text   string   // UTF-8 without control characters but line ends and tabs, at most MaxStatement bytes
}

// OK says whether the text is what it should be.
func (t *Statement) OK() bool {
	if len(t.Text) > MaxStatement || !utf8.ValidString(t.Text) {
		return false
	}
	for _, c := range t.Text {
		if unicode.IsControl(c) && c != '\n' && c != '\t' {
			return false
		}
	}
	return true
}

// Claim says that contents of one seller are the claimant's.
type Claim struct {
	Claimant AccountNo
	Seller   AccountNo // of all the contents, before it
	Status   ClaimStatus
	ID       OpID   // of the op that filed it
	Seq      uint64 // of the entry
	Filed    uint64 // milliseconds since 1970, as all times here
	Deadline uint64 // from then on the seller cannot answer, and it can be decided
	Contents []Claimed
	Evidence Statement
	Answered uint64 // zero: it was not
	Answer   Statement
	Ended    uint64 // decided or withdrawn; zero: it was not
	Price    Msat   // of the contents by the decision; zero: as before
	Reason   Statement
	body     [32]byte // digest of the op that filed it, by which a repeat is known
}

// Claimed is one content of a claim, and what was before. The slice that it is in is never changed, but replaced.
type Claimed struct {
	Content      uint32
	Split        uint32 // the number of the content's split when the claim was filed
	PriceVersion uint32
	Price        Msat // by the terms, as are the others
	Terms        Terms
	Held         Msat // what lay in escrow for it when the claim ended, the hub's fee included
}

// AppendStatement appends the detail of an answer or a decision: SHA-256, length of the text as u16, text. The statement must
// be OK.
func AppendStatement(b []byte, t *Statement) []byte {
	b = append(b, t.SHA256[:]...)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(t.Text)))
	return append(b, t.Text...)
}

// decodeStatement is the inverse, and returns what is behind; false for bytes that AppendStatement does not write.
func decodeStatement(b []byte) (t Statement, rest []byte, ok bool) {
	const fixed = 32 + 2
	if len(b) < fixed || len(b) < fixed+int(binary.LittleEndian.Uint16(b[32:])) {
		return t, nil, false
	}
	end := fixed + int(binary.LittleEndian.Uint16(b[32:]))
	t = Statement{SHA256: [32]byte(b), Text: string(b[fixed:end])}
	return t, b[end:], t.OK()
}

func statementOf(detail []byte) (Statement, bool) {
	t, rest, ok := decodeStatement(detail)
	return t, ok && len(rest) == 0
}

// maxClaim is the size of the largest detail of a claim in bytes.
const maxClaim = 1 + 16*MaxClaimContents + 32 + 2 + MaxStatement

// AppendClaim appends the detail of a claim: the number of contents, at most MaxClaimContents, in a byte, their ids, and the
// evidence as AppendStatement has it.
func AppendClaim(b []byte, contents []ContentID, evidence *Statement) []byte {
	b = append(b, byte(len(contents)))
	for _, id := range contents {
		b = append(b, id[:]...)
	}
	return AppendStatement(b, evidence)
}

// decodeClaim is the inverse; false for bytes that AppendClaim does not write.
func decodeClaim(b []byte) (contents []ContentID, evidence Statement, ok bool) {
	if len(b) == 0 || b[0] > MaxClaimContents || len(b) < 1+16*int(b[0]) {
		return nil, evidence, false
	}
	contents = make([]ContentID, b[0])
	for i := range contents {
		contents[i] = ContentID(b[1+16*i:])
	}
	evidence, ok = statementOf(b[1+16*len(contents):])
	return contents, evidence, ok
}

// claimBody is the digest of a claim as it was asked for.
func claimBody(op *Op, detail []byte) [32]byte {
	return sha256.Sum256(AppendOp(make([]byte, 0, MaxOp+len(detail)), op, detail))
}

// Claim returns a claim by its number, and whether it exists. Its contents are shared and not to be changed.
func (s *State) Claim(no ClaimNo) (Claim, bool) {
	c := s.claim(uint32(no))
	if c == nil {
		return Claim{}, false
	}
	return *c, true
}

// claim is for reading only: views share it.
func (s *State) claim(no uint32) *Claim {
	if no == 0 || no >= s.claims.rows {
		return nil
	}
	return *s.claims.at(no)
}

// editClaim is for writing: the row is shared with no view.
func (s *State) editClaim(no uint32) *Claim {
	c := **s.claims.at(no)
	*s.claims.edit(no) = &c
	return &c
}
