package tlog

import (
	"bufio"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"math/rand/v2"

	"github.com/millrace/millrace/ledger"
)

// A sum tree lies in a file, of n holders:
//
//	+-------+---------+-------+-------+-------+-----+-----------+---------------------+---------------------+------+-------+
//	| magic | version | epoch | block | time  | n   | positions | rows, by position:  | nodes: level 6, 7,  | root | total |
//	| u32   | u32     | u64   | u64   | u64   | u32 | n x u32   | n x (account u32,   | ... up to the root; | 32   | u64   |
//	|       |         |       |       |       |     |           | balance u64)        | each hash 32, sum u64      |       |
//	+-------+---------+-------+-------+-------+-----+-----------+---------------------+---------------------+------+-------+
//
// The positions are those of the holders in the order of their accounts. Levels below 6 are not kept: a proof hashes the 64
// rows around its own anew. So a file has 17.3 bytes for each holder instead of 96. It is as secret as the balances.
const (
	sumMagic   = 0x314c_524d // "MRL1" in little-endian
	sumVersion = 1
	sumHead    = 36
	sumRow     = 12
	sumNodes   = hashSize + 8
	sumTail    = hashSize + 8

	stripeLevel = 6
	stripe      = 1 << stripeLevel
)

// Balances are those of all holders after one block.
type Balances interface {
	Len() int
	Holder(i int) Holder // for i from 0 to Len()-1, in the order of their accounts
}

// epochSalts are the salts of one epoch's leaves: AES of the account under a key that is made of the secret, the epoch and
// the block, so that no leaf of one epoch can be recognised in another.
type epochSalts struct{ cipher cipher.Block }

func newEpochSalts(s Secret, l *Liabilities) epochSalts {
	return epochSalts{newCipher(epochSecret(s, "salts", l))}
}

func (s epochSalts) of(a ledger.AccountNo) (salt Salt) {
	binary.BigEndian.PutUint32(salt[12:], uint32(a))
	s.cipher.Encrypt(salt[:], salt[:])
	return salt
}

func epochSecret(s Secret, use string, l *Liabilities) Secret {
	mac := hmac.New(sha256.New, s[:])
	fmt.Fprintf(mac, "millrace liabilities %s %d %d", use, l.Epoch, l.Block)
	return Secret(mac.Sum(nil))
}

// shuffled returns the numbers below n in an order that only the secret gives (Fisher and Yates).
func shuffled(n uint32, s Secret) []uint32 {
	order := make([]uint32, n)
	random := rand.NewChaCha8(s)
	for i := range order {
		j, _ := bits.Mul64(random.Uint64(), uint64(i)+1) // biased by less than n/2^64
		order[i] = order[j]
		order[j] = uint32(i)
	}
	return order
}

// WriteLiabilities makes the sum tree of all balances and writes it to w. Of l, the epoch, the block and the time are given;
// it returns them with the rest. In memory it takes 9 bytes for each holder.
func WriteLiabilities(w io.Writer, l Liabilities, s Secret, balances Balances) (Liabilities, error) {
	fail := func(err error) (Liabilities, error) {
		return Liabilities{}, fmt.Errorf("write liabilities of epoch %d: %w", l.Epoch, err)
	}
	n := balances.Len()
	if n < 1 || n > 1<<32-1 {
		return fail(fmt.Errorf("%d holders, want 1 to 2^32-1", n))
	}
	l.Leaves = uint32(n)
	out := &sumWriter{w: bufio.NewWriterSize(w, 1<<16)}
	out.u32(sumMagic)
	out.u32(sumVersion)
	out.u64(l.Epoch)
	out.u64(l.Block)
	out.u64(l.Time)
	out.u32(l.Leaves)
	order := shuffled(l.Leaves, epochSecret(s, "order", &l))
	out.positions(order)
	level, err := out.rows(order, newEpochSalts(s, &l), balances)
	for err == nil {
		out.level(level)
		if len(level) == 1 {
			break
		}
		level, err = reduce(level)
	}
	if err != nil {
		return fail(err)
	}
	l.Root, l.Total = level[0].hash, level[0].sum
	out.level(level) // the tail has a node's form
	if err := out.w.Flush(); err != nil {
		return fail(err)
	}
	return l, nil
}

// sumWriter writes the parts of a file. Its buffer remembers the first error.
type sumWriter struct{ w *bufio.Writer }

func (o *sumWriter) u32(v uint32) {
	o.w.Write(binary.LittleEndian.AppendUint32(o.w.AvailableBuffer(), v))
}

func (o *sumWriter) u64(v uint64) {
	o.w.Write(binary.LittleEndian.AppendUint64(o.w.AvailableBuffer(), v))
}

// positions writes the inverse of the order.
func (o *sumWriter) positions(order []uint32) {
	at := make([]uint32, len(order))
	for position, i := range order {
		at[i] = uint32(position)
	}
	for _, position := range at {
		o.u32(position)
	}
}

// rows writes the holders in their order and returns the nodes of the first level that is kept.
func (o *sumWriter) rows(order []uint32, salts epochSalts, balances Balances) ([]sumNode, error) {
	level := make([]sumNode, 0, (len(order)+stripe-1)/stripe)
	var nodes [stripe]sumNode
	for start := 0; start < len(order); start += stripe {
		part := nodes[:min(stripe, len(order)-start)]
		for i := range part {
			h := balances.Holder(int(order[start+i]))
			if h.Balance > ledger.MaxMsat {
				return nil, fmt.Errorf("account %v: a balance of %d msat, at most %d", h.Account, h.Balance, ledger.MaxMsat)
			}
			o.u32(uint32(h.Account))
			o.u64(uint64(h.Balance))
			part[i] = balanceNode(salts.of(h.Account), h)
		}
		var err error
		for len(part) > 1 && err == nil {
			part, err = reduce(part)
		}
		if err != nil {
			return nil, err
		}
		level = append(level, part[0])
	}
	return level, nil
}

func (o *sumWriter) level(nodes []sumNode) {
	for i := range nodes {
		o.w.Write(nodes[i].hash[:])
		o.u64(uint64(nodes[i].sum))
	}
}

// SumFile reads a file that WriteLiabilities wrote.
type SumFile struct {
	Liabilities
	r     io.ReaderAt
	salts epochSalts
}

// OpenSumFile reads what the file says of itself. The secret is the one that it was written with.
func OpenSumFile(r io.ReaderAt, size int64, s Secret) (*SumFile, error) {
	var head [sumHead]byte
	var tail [sumTail]byte
	if size < sumHead+sumTail {
		return nil, fmt.Errorf("liabilities: %w: %d bytes", ErrForm, size)
	}
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return nil, fmt.Errorf("liabilities: %w", err)
	}
	if _, err := r.ReadAt(tail[:], size-sumTail); err != nil {
		return nil, fmt.Errorf("liabilities: %w", err)
	}
	le := binary.LittleEndian
	if magic, version := le.Uint32(head[0:]), le.Uint32(head[4:]); magic != sumMagic || version != sumVersion {
		return nil, fmt.Errorf("liabilities: %w: magic %#x, version %d", ErrForm, magic, version)
	}
	f := &SumFile{r: r, Liabilities: Liabilities{Epoch: le.Uint64(head[8:]), Block: le.Uint64(head[16:]), Time: le.Uint64(head[24:]),
		Leaves: le.Uint32(head[32:]), Root: Hash(tail[:]), Total: ledger.Msat(le.Uint64(tail[hashSize:]))}}
	if want := f.levelAt(64) + sumTail; f.Leaves == 0 || size != want {
		return nil, fmt.Errorf("liabilities: %w: %d bytes for %d holders, want %d", ErrForm, size, f.Leaves, want)
	}
	f.salts = newEpochSalts(s, &f.Liabilities)
	return f, nil
}

// levelAt is where in the file the nodes of a level begin; beyond the last level, where they end.
func (f *SumFile) levelAt(level int) int64 {
	at := sumHead + int64(f.Leaves)*(4+sumRow)
	for k := stripeLevel; k < level; k++ {
		nodes := nodesAt(f.Leaves, k)
		at += nodes * sumNodes
		if nodes == 1 {
			break
		}
	}
	return at
}

// nodesAt is the number of nodes of a level; leaves are level 0.
func nodesAt(leaves uint32, level int) int64 { return (int64(leaves) + 1<<level - 1) >> level }

// Prove returns the proof for an account; it reads O(log n) places of the file. Signed is the signed text of the file's
// liabilities, and goes into the proof. False means that the account is not in the tree.
func (f *SumFile) Prove(a ledger.AccountNo, signed []byte) (*LiabilityProof, bool, error) {
	position, found, err := f.find(a)
	if err != nil || !found {
		return nil, false, err
	}
	p := &LiabilityProof{Holder: Holder{Account: a}, Salt: f.salts.of(a), Position: position, Signed: signed}
	if err := f.path(p); err != nil {
		return nil, false, fmt.Errorf("proof for account %v: %w", a, err)
	}
	if err := p.verify(&f.Liabilities); err != nil {
		return nil, false, fmt.Errorf("the file of epoch %d is damaged: %w", f.Epoch, err)
	}
	return p, true, nil
}

// find looks an account's position up: holders stand in the order of their accounts, at their positions.
func (f *SumFile) find(a ledger.AccountNo) (position uint32, found bool, err error) {
	low, high := int64(0), int64(f.Leaves)
	for low < high {
		middle := (low + high) / 2
		var b [4]byte
		if _, err = f.r.ReadAt(b[:], sumHead+middle*4); err != nil {
			return 0, false, fmt.Errorf("find account %v: %w", a, err)
		}
		position = binary.LittleEndian.Uint32(b[:])
		if position >= f.Leaves {
			return 0, false, fmt.Errorf("find account %v: %w: position %d of %d", a, ErrForm, position, f.Leaves)
		}
		if _, err = f.r.ReadAt(b[:], f.rowAt(position)); err != nil {
			return 0, false, fmt.Errorf("find account %v: %w", a, err)
		}
		switch here := ledger.AccountNo(binary.LittleEndian.Uint32(b[:])); {
		case here == a:
			return position, true, nil
		case here < a:
			low = middle + 1
		default:
			high = middle
		}
	}
	return 0, false, nil
}

func (f *SumFile) rowAt(position uint32) int64 {
	return sumHead + int64(f.Leaves)*4 + int64(position)*sumRow
}

// path reads the proof's balance and the siblings on its way up.
func (f *SumFile) path(p *LiabilityProof) error {
	first := p.Position &^ (stripe - 1)
	rows := make([]byte, min(stripe, f.Leaves-first)*sumRow)
	if _, err := f.r.ReadAt(rows, f.rowAt(first)); err != nil {
		return err
	}
	level := make([]sumNode, len(rows)/sumRow)
	for i := range level {
		row := rows[i*sumRow:]
		h := Holder{ledger.AccountNo(binary.LittleEndian.Uint32(row)), ledger.Msat(binary.LittleEndian.Uint64(row[4:]))}
		if first+uint32(i) == p.Position {
			p.Balance = h.Balance
		}
		level[i] = balanceNode(f.salts.of(h.Account), h)
	}
	for k := range 32 {
		sibling := int64(p.Position>>k) ^ 1
		if sibling < nodesAt(f.Leaves, k) {
			var node sumNode
			if k < stripeLevel {
				node = level[sibling&(stripe>>k-1)]
			} else {
				var b [sumNodes]byte
				if _, err := f.r.ReadAt(b[:], f.levelAt(k)+sibling*sumNodes); err != nil {
					return err
				}
				node = sumNode{Hash(b[:]), ledger.Msat(binary.LittleEndian.Uint64(b[hashSize:]))}
			}
			p.siblings = append(p.siblings, node)
		}
		if k < stripeLevel {
			var err error
			if level, err = reduce(level); err != nil {
				return err
			}
		}
	}
	return nil
}
