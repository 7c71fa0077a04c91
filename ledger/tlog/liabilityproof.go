package tlog

import (
	"bytes"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/millrace/millrace/ledger"
)

// LiabilityProof shows a holder that his balance is part of the hub's signed total. Its text:
//
//	millrace liability proof v1
//	account a105g
//	balance 1500
//	salt <16 bytes in base 64>
//	position 2
//	<sibling's hash> <sibling's sum>     one line for each level that has a sibling, from the leaf up
//
//	<liabilities, signed>
//
// The first line with a hash shows the balance of another holder, though not whose it is; the others, sums over more of them.
type LiabilityProof struct {
	Holder
	Salt     Salt
	Position uint32
	siblings []sumNode
	Signed   []byte // the liabilities
}

// MaxLiabilityProof bounds a proof in bytes; one of ten million holders has about 2,000.
const MaxLiabilityProof = 16 << 10

const proofMagic = "millrace liability proof v1"

// Write returns the proof's text.
func (p *LiabilityProof) Write() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\naccount %v\nbalance %d\nsalt %s\nposition %d\n", proofMagic, p.Account, p.Balance,
		strict.EncodeToString(p.Salt[:]), p.Position)
	for _, n := range p.siblings {
		fmt.Fprintf(&b, "%s %d\n", n.hash, n.sum)
	}
	b.WriteString("\n")
	b.Write(p.Signed)
	return b.Bytes()
}

// ParseLiabilityProof reads a proof's text and accepts only what Write writes. It proves nothing yet: see Verify.
func ParseLiabilityProof(text []byte) (*LiabilityProof, error) {
	p, err := parseLiabilityProof(text)
	if err == nil && !bytes.Equal(p.Write(), text) {
		err = fmt.Errorf("%w: not written as a liability proof is", ErrForm)
	}
	if err != nil {
		return nil, fmt.Errorf("liability proof: %w", err)
	}
	return p, nil
}

func parseLiabilityProof(text []byte) (*LiabilityProof, error) {
	if len(text) > MaxLiabilityProof {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrForm, len(text), MaxLiabilityProof)
	}
	head, signed, ok := strings.Cut(string(text), "\n\n")
	lines := strings.Split(head, "\n")
	switch {
	case lines[0] != proofMagic:
		return nil, fmt.Errorf("%w: the first line is not %q", ErrForm, proofMagic)
	case !ok:
		return nil, fmt.Errorf("%w: no signed liabilities behind an empty line", ErrForm)
	case len(lines) < 5:
		return nil, fmt.Errorf("%w: cut off before its position", ErrForm)
	}
	var fields [4]string
	for i, name := range [...]string{"account ", "balance ", "salt ", "position "} {
		if fields[i], ok = strings.CutPrefix(lines[i+1], name); !ok {
			return nil, fmt.Errorf("%w: line %d does not begin with %s", ErrForm, i+2, name)
		}
	}
	p := &LiabilityProof{Signed: []byte(signed)}
	var err error
	if p.Account, err = ledger.ParseAccountNo(fields[0]); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForm, err)
	}
	if p.Balance, err = parseMsat(fields[1]); err != nil {
		return nil, fmt.Errorf("balance: %w", err)
	}
	salt, err := strict.DecodeString(fields[2])
	if err != nil || copy(p.Salt[:], salt) != len(salt) || len(salt) != len(p.Salt) {
		return nil, fmt.Errorf("%w: %.40q is no salt of 16 bytes in base 64", ErrForm, fields[2])
	}
	position, err := parseNumber(fields[3])
	if err != nil || position > 1<<32-1 {
		return nil, fmt.Errorf("%w: position %.40q", ErrForm, fields[3])
	}
	p.Position = uint32(position)
	for i, l := range lines[5:] {
		hash, sum, _ := strings.Cut(l, " ")
		var n sumNode
		if n.hash, err = parseHash(hash); err == nil {
			n.sum, err = parseMsat(sum)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+6, err)
		}
		p.siblings = append(p.siblings, n)
	}
	return p, nil
}

func parseMsat(s string) (ledger.Msat, error) {
	n, err := parseNumber(s)
	if err == nil && ledger.Msat(n) > ledger.MaxMsat {
		err = fmt.Errorf("%w: %d msat, at most %d", ErrForm, n, ledger.MaxMsat)
	}
	return ledger.Msat(n), err
}

// Verify checks that the balance is part of a total that the key has signed for, and returns what was signed. The holder
// compares the balance with his own history at that block. An error is wrapped ErrProof or ErrForm.
func (p *LiabilityProof) Verify(v note.Verifier) (Liabilities, error) {
	l, err := OpenLiabilities(p.Signed, v)
	if err == nil {
		err = p.verify(&l)
	}
	if err != nil {
		return Liabilities{}, fmt.Errorf("liability proof: %w", err)
	}
	return l, nil
}

func (p *LiabilityProof) verify(l *Liabilities) error {
	if p.Position >= l.Leaves {
		return fmt.Errorf("%w: position %d of %d leaves", ErrProof, p.Position, l.Leaves)
	}
	node, rest := balanceNode(p.Salt, p.Holder), p.siblings
	for k := 0; nodesAt(l.Leaves, k) > 1; k++ {
		at := int64(p.Position >> k)
		if at^1 >= nodesAt(l.Leaves, k) {
			continue // the odd last node of its level moves up as it is
		}
		if len(rest) == 0 {
			return fmt.Errorf("%w: %d siblings are too few for position %d of %d leaves", ErrProof, len(p.siblings), p.Position, l.Leaves)
		}
		left, right := node, rest[0]
		if at&1 == 1 {
			left, right = right, left
		}
		var ok bool
		if node, ok = joined(left, right); !ok {
			return fmt.Errorf("%w: the sums at level %d exceed %d msat", ErrProof, k, ledger.MaxMsat)
		}
		rest = rest[1:]
	}
	switch {
	case len(rest) > 0:
		return fmt.Errorf("%w: %d siblings are too many for position %d of %d leaves", ErrProof, len(p.siblings), p.Position, l.Leaves)
	case node.sum != l.Total:
		return fmt.Errorf("%w: balance and siblings add up to %d msat, signed are %d", ErrProof, node.sum, l.Total)
	case node.hash != l.Root:
		return fmt.Errorf("%w: account, balance, salt and siblings do not lead to the signed root", ErrProof)
	}
	return nil
}
