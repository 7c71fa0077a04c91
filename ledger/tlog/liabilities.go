package tlog

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/millrace/millrace/ledger"
)

// Liabilities is what the hub says it owes: the sum over all holders after one block, and the root of the sum tree that the
// sum comes from. Signed, its text is
//
//	millrace liabilities v1
//	hub.example.com/log
//	liabilities epoch 1760000003000 block 9000 time 1760000000000 leaves 3 total 1500 root CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//
// The third line also stands in the log's checkpoints as an extension line, until the next epoch's takes its place: who
// compares checkpoints with others compares this, too.
type Liabilities struct {
	Epoch  uint64 // when it was made, in milliseconds since 1970, and above all epochs of the hub before it
	Block  uint64 // index of the block after which the balances are taken
	Time   uint64 // of that block, milliseconds since 1970
	Leaves uint32 // holders
	Total  ledger.Msat
	Root   Hash
}

const liabilitiesMagic = "millrace liabilities v1"

// Line is the extension line for checkpoints.
func (l *Liabilities) Line() string {
	return fmt.Sprintf("liabilities epoch %d block %d time %d leaves %d total %d root %s", l.Epoch, l.Block, l.Time, l.Leaves, l.Total, l.Root)
}

// ParseLiabilities reads such a line.
func ParseLiabilities(line string) (Liabilities, error) {
	var l Liabilities
	var root string
	fail := func(why string) (Liabilities, error) {
		return Liabilities{}, fmt.Errorf("liabilities: %w: %s in %.200q", ErrForm, why, line)
	}
	_, err := fmt.Sscanf(line, "liabilities epoch %d block %d time %d leaves %d total %d root %s",
		&l.Epoch, &l.Block, &l.Time, &l.Leaves, &l.Total, &root)
	if err != nil {
		return fail(err.Error())
	}
	if l.Root, err = parseHash(root); err != nil {
		return fail("no root of 32 bytes in base 64")
	}
	if l.Line() != line {
		return fail("another way of writing")
	}
	if l.Leaves == 0 || l.Total > ledger.MaxMsat {
		return fail("no leaves, or a total above all the bitcoin there can be")
	}
	return l, nil
}

// Sign returns the signed text for the log of an origin, which is the signer's name.
func (l *Liabilities) Sign(s note.Signer) ([]byte, error) {
	msg, err := note.Sign(&note.Note{Text: liabilitiesMagic + "\n" + s.Name() + "\n" + l.Line() + "\n"}, s)
	if err != nil {
		return nil, fmt.Errorf("sign liabilities: %w", err)
	}
	return msg, nil
}

// OpenLiabilities reads the signed text. It must be signed by the verifier's key and be of the hub that the key is for.
func OpenLiabilities(signed []byte, v note.Verifier) (Liabilities, error) {
	text, err := openNote(signed, v)
	if err != nil {
		return Liabilities{}, fmt.Errorf("liabilities: %w", err)
	}
	rest, ok := strings.CutPrefix(text, liabilitiesMagic+"\n")
	origin, line, more := strings.Cut(rest, "\n")
	if !ok || !more || !strings.HasSuffix(line, "\n") {
		return Liabilities{}, fmt.Errorf("liabilities: %w: want the lines %q, origin and liabilities", ErrForm, liabilitiesMagic)
	}
	if origin != v.Name() {
		return Liabilities{}, fmt.Errorf("liabilities: %w: of %q, the key is for %q", ErrProof, origin, v.Name())
	}
	return ParseLiabilities(strings.TrimSuffix(line, "\n"))
}

// Holder is one leaf of the sum tree.
type Holder struct {
	Account ledger.AccountNo
	Balance ledger.Msat // what it has at hand and what is held for it
}

// sumNode is a node of the sum tree: what is below it adds up to the sum.
type sumNode struct {
	hash Hash
	sum  ledger.Msat
}

// balanceNode is the leaf of a holder. It names the account, so that one leaf cannot be shown to two holders with the same
// balance.
func balanceNode(salt Salt, h Holder) sumNode {
	b := append(make([]byte, 0, 1+len(salt)+12), prefixBalance)
	b = append(b, salt[:]...)
	b = binary.LittleEndian.AppendUint32(b, uint32(h.Account))
	b = binary.LittleEndian.AppendUint64(b, uint64(h.Balance))
	return sumNode{sha256.Sum256(b), h.Balance}
}

// joined is the node above two. Both sums are hashed, each beside its own hash: with their total alone, a hub could show one
// child a smaller sum of the other. It is false when a sum is beyond MaxMsat, two of which still fit in 64 bits.
func joined(left, right sumNode) (sumNode, bool) {
	sum := left.sum + right.sum
	if left.sum > ledger.MaxMsat || right.sum > ledger.MaxMsat || sum > ledger.MaxMsat {
		return sumNode{}, false
	}
	b := append(make([]byte, 0, 1+2*(hashSize+8)), prefixSum)
	b = append(b, left.hash[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(left.sum))
	b = append(b, right.hash[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(right.sum))
	return sumNode{sha256.Sum256(b), sum}, true
}

// reduce replaces a level by the one above it: nodes are joined in pairs, and an odd last one moves up as it is.
func reduce(level []sumNode) ([]sumNode, error) {
	for i := 0; i < len(level); i += 2 {
		node := level[i]
		if i+1 < len(level) {
			var ok bool
			if node, ok = joined(node, level[i+1]); !ok {
				return nil, fmt.Errorf("the balances add up to more than %d msat, all the bitcoin there can be", ledger.MaxMsat)
			}
		}
		level[i/2] = node
	}
	return level[:(len(level)+1)/2], nil
}
