package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Kind says what an op asks for. The numbers are part of the log's format and never change.
type Kind uint8

const (
	OpTransfer      Kind = 1
	OpAdvance       Kind = 2
	OpUnlock        Kind = 3
	OpOpenAccount   Kind = 4
	OpOpenChannel   Kind = 5
	OpTopUp         Kind = 6
	OpCloseChannel  Kind = 7
	OpExpireChannel Kind = 8
	OpRegister      Kind = 9
	OpReprice       Kind = 10
	OpRetire        Kind = 11
	OpCredit        Kind = 12
	OpDebit         Kind = 13
	OpHold          Kind = 14
	OpCapture       Kind = 15
	OpVoid          Kind = 16
	OpOpenTerms     Kind = 17
	OpVoucher       Kind = 18
	OpRenew         Kind = 19
	OpSplit         Kind = 20
	OpRate          Kind = 21
	OpTerms         Kind = 22
	OpUnlockPaying  Kind = 23
	OpGift          Kind = 24
	OpGrant         Kind = 25
	OpUnlockUnit    Kind = 26
	OpClaim         Kind = 40
	OpAnswer        Kind = 41
	OpDecide        Kind = 42
	OpWithdrawClaim Kind = 43
)

// Op is what somebody asks for: a fixed-size value without pointers. Which fields a kind uses, and on disk how many bytes
// it takes, little-endian and in this order behind the kind's byte:
//
//	kind            Actor       Target           Amount         Version          ID           bytes
//	OpTransfer      payer       payee            amount         -                op           33
//	OpAdvance       by the mode channel          total          -                -            17
//	OpUnlock        buyer       -                maximum        price version    content      33
//	OpOpenAccount   -           -                -              -                op           17
//	OpOpenChannel   payer       payee            funds          expiry, s 1970   op           37
//	OpTopUp         payer       channel          added funds    -                op           33
//	OpCloseChannel  either      channel          -              -                -             9
//	OpExpireChannel -           channel          -              -                -             5
//	OpRegister      seller      -                price          -                content      31 + detail
//	OpReprice       seller      -                new price      version replaced content      33
//	OpRetire        seller      -                -              -                content      21
//	OpCredit        external    account          amount         -                op           33
//	OpDebit         account     external         amount         -                op           33
//	OpHold          account     -                amount         -                op           29
//	OpCapture       account     hold             amount         to account       -            21
//	OpVoid          account     hold             -              -                -             9
//	OpOpenTerms     payer       payee            funds          expiry, s 1970   op           39 + detail
//	OpVoucher       either      channel          total          -                -            19 + detail
//	OpRenew         payer       channel          -              expiry, s 1970   -            13
//	OpSplit         seller      -                -              -                content      23 + detail
//	OpRate          -           until, s 1970    msat of 10^6   currency       -            17
//	OpTerms         seller      -                new price      version replaced content      35 + detail
//	OpUnlockPaying  buyer       -                amount         price version    content      33
//	OpGift          buyer       who owns it      maximum        price version    content      37
//	OpGrant         seller      who owns it      -              -                content      25
//	OpUnlockUnit    buyer       unit, from 0     maximum        price version    content      37
//	OpClaim         claimant    -                -              answer in s      op           27 + detail
//	OpAnswer        seller      claim            -              -                -            11 + detail
//	OpDecide        -           claim            new price or 0 1 for, 2 against -            19 + detail
//	OpWithdrawClaim claimant    claim            -              -                -             9
//
// Zero in the maximum of an unlock, a gift or a unit's unlock or in its price version means that it is not named; one of
// the two must be. A detail travels beside the op and stands behind a uint16 of its length in a block: that of OpRegister is a Registration, that of OpOpenTerms ChannelTerms,
// that of OpVoucher the signature, that of OpSplit the payees (see AppendPayees), that of OpTerms the Terms of a content,
// that of OpClaim contents and evidence (see AppendClaim), that of OpAnswer and OpDecide a Statement.
type Op struct {
	Kind    Kind
	Actor   AccountNo
	Target  uint32
	Version uint32
	Amount  Msat
	ID      [16]byte
}

// The fields that a kind uses, for encoding.
const (
	hasActor = 1 << iota
	hasTarget
	hasAmount
	hasVersion
	hasID
	hasDetail
)

var kindFields = [...]uint8{
	OpTransfer:      hasActor | hasTarget | hasAmount | hasID,
	OpAdvance:       hasActor | hasTarget | hasAmount,
	OpUnlock:        hasActor | hasAmount | hasVersion | hasID,
	OpOpenAccount:   hasID,
	OpOpenChannel:   hasActor | hasTarget | hasAmount | hasVersion | hasID,
	OpTopUp:         hasActor | hasTarget | hasAmount | hasID,
	OpCloseChannel:  hasActor | hasTarget,
	OpExpireChannel: hasTarget,
	OpRegister:      hasActor | hasAmount | hasID | hasDetail,
	OpReprice:       hasActor | hasAmount | hasVersion | hasID,
	OpRetire:        hasActor | hasID,
	OpCredit:        hasActor | hasTarget | hasAmount | hasID,
	OpDebit:         hasActor | hasTarget | hasAmount | hasID,
	OpHold:          hasActor | hasAmount | hasID,
	OpCapture:       hasActor | hasTarget | hasAmount | hasVersion,
	OpVoid:          hasActor | hasTarget,
	OpOpenTerms:     hasActor | hasTarget | hasAmount | hasVersion | hasID | hasDetail,
	OpVoucher:       hasActor | hasTarget | hasAmount | hasDetail,
	OpRenew:         hasActor | hasTarget | hasVersion,
	OpSplit:         hasActor | hasID | hasDetail,
	OpRate:          hasTarget | hasAmount | hasVersion,
	OpTerms:         hasActor | hasAmount | hasVersion | hasID | hasDetail,
	OpUnlockPaying:  hasActor | hasAmount | hasVersion | hasID,
	OpGift:          hasActor | hasTarget | hasAmount | hasVersion | hasID,
	OpGrant:         hasActor | hasTarget | hasID,
	OpUnlockUnit:    hasActor | hasTarget | hasAmount | hasVersion | hasID,
	OpClaim:         hasActor | hasVersion | hasID | hasDetail,
	OpAnswer:        hasActor | hasTarget | hasDetail,
	OpDecide:        hasTarget | hasAmount | hasVersion | hasDetail,
	OpWithdrawClaim: hasActor | hasTarget,
}

var kindNames = [...]string{
	OpTransfer: "transfer", OpAdvance: "advance", OpUnlock: "unlock", OpOpenAccount: "open_account",
	OpOpenChannel: "open_channel", OpTopUp: "top_up", OpCloseChannel: "close_channel",
	OpExpireChannel: "expire_channel", OpRegister: "register", OpReprice: "reprice", OpRetire: "retire",
	OpCredit: "credit", OpDebit: "debit", OpHold: "hold", OpCapture: "capture", OpVoid: "void",
	OpOpenTerms: "open_terms", OpVoucher: "voucher", OpRenew: "renew",
	OpSplit: "split", OpRate: "rate", OpTerms: "terms",
	OpUnlockPaying: "unlock_paying", OpGift: "gift", OpGrant: "grant", OpUnlockUnit: "unlock_unit",
	OpClaim: "claim", OpAnswer: "answer_claim", OpDecide: "decide_claim", OpWithdrawClaim: "withdraw_claim",
}

// Kinds is one more than the largest kind: what a table by kind needs. Not all numbers below are kinds.
const Kinds = len(kindFields)

// Known says whether a number is that of a kind. Every kind has fields.
func (k Kind) Known() bool { return int(k) < Kinds && kindFields[k] != 0 }

// AllKinds lists every kind, in the order of their numbers.
func AllKinds() []Kind {
	var all []Kind
	for k := range Kind(Kinds) {
		if k.Known() {
			all = append(all, k)
		}
	}
	return all
}

func (k Kind) String() string {
	if !k.Known() {
		return fmt.Sprintf("kind(%d)", uint8(k))
	}
	return kindNames[k]
}

// MaxOp is the largest number of bytes of an op without its detail.
const MaxOp = 39

// ErrOp is returned, wrapped, for bytes that are no op.
var ErrOp = errors.New("malformed op")

// AppendOp appends the op's bytes. Fields that its kind does not use are not written.
func AppendOp(b []byte, op *Op, detail []byte) []byte {
	le := binary.LittleEndian
	b = append(b, byte(op.Kind))
	if op.Kind == OpAdvance { // the most frequent by far
		b = le.AppendUint32(b, uint32(op.Actor))
		b = le.AppendUint32(b, op.Target)
		return le.AppendUint64(b, uint64(op.Amount))
	}
	fields := kindFields[op.Kind]
	if fields&hasActor != 0 {
		b = le.AppendUint32(b, uint32(op.Actor))
	}
	if fields&hasTarget != 0 {
		b = le.AppendUint32(b, op.Target)
	}
	if fields&hasAmount != 0 {
		b = le.AppendUint64(b, uint64(op.Amount))
	}
	if fields&hasVersion != 0 {
		b = le.AppendUint32(b, op.Version)
	}
	if fields&hasID != 0 {
		b = append(b, op.ID[:]...)
	}
	if fields&hasDetail != 0 {
		b = le.AppendUint16(b, uint16(len(detail)))
		b = append(b, detail...)
	}
	return b
}

// DecodeOp reads the first op of b and says how many bytes it and its detail take. The detail points into b.
func DecodeOp(b []byte, op *Op) (detail []byte, size int, err error) {
	le := binary.LittleEndian
	if len(b) >= 17 && Kind(b[0]) == OpAdvance {
		*op = Op{Kind: OpAdvance, Actor: AccountNo(le.Uint32(b[1:])), Target: le.Uint32(b[5:]), Amount: Msat(le.Uint64(b[9:]))}
		return nil, 17, nil
	}
	if len(b) == 0 || !Kind(b[0]).Known() {
		return nil, 0, fmt.Errorf("%w: no known kind", ErrOp)
	}
	*op = Op{Kind: Kind(b[0])}
	fields := kindFields[op.Kind]
	size = op.Kind.size()
	if len(b) < size {
		return nil, 0, fmt.Errorf("%w: %s cut short at %d of %d bytes", ErrOp, op.Kind, len(b), size)
	}
	i := 1
	if fields&hasActor != 0 {
		op.Actor = AccountNo(le.Uint32(b[i:]))
		i += 4
	}
	if fields&hasTarget != 0 {
		op.Target = le.Uint32(b[i:])
		i += 4
	}
	if fields&hasAmount != 0 {
		op.Amount = Msat(le.Uint64(b[i:]))
		i += 8
	}
	if fields&hasVersion != 0 {
		op.Version = le.Uint32(b[i:])
		i += 4
	}
	if fields&hasID != 0 {
		copy(op.ID[:], b[i:])
		i += 16
	}
	if fields&hasDetail != 0 {
		size += int(le.Uint16(b[i:]))
		if len(b) < size {
			return nil, 0, fmt.Errorf("%w: detail of %s cut short", ErrOp, op.Kind)
		}
		detail = b[i+2 : size : size]
	}
	return detail, size, nil
}

// CutDetail takes the op's detail off the front of those of several ops, which stand one behind the other. Of them only vouchers
// have details of one size; any other takes all that is left.
func (op *Op) CutDetail(details []byte) (detail, rest []byte) {
	switch {
	case op.Kind == OpVoucher:
		n := min(SignatureSize, len(details))
		return details[:n:n], details[n:]
	case op.Kind.Known() && kindFields[op.Kind]&hasDetail != 0:
		return details, nil
	}
	return nil, details
}

// size is the number of bytes without the detail itself.
func (k Kind) size() int {
	n, fields := 1, kindFields[k]
	for _, f := range [...]struct {
		bit  uint8
		size int
	}{{hasActor, 4}, {hasTarget, 4}, {hasAmount, 8}, {hasVersion, 4}, {hasID, 16}, {hasDetail, 2}} {
		if fields&f.bit != 0 {
			n += f.size
		}
	}
	return n
}

// strays says whether a field is set that the kind does not use. A block would lose it, and with it what tells the op from
// another: its repeat would look like another op under the same id.
func (op *Op) strays() bool {
	if !op.Kind.Known() {
		return true
	}
	fields := kindFields[op.Kind]
	return fields&hasActor == 0 && op.Actor != 0 || fields&hasTarget == 0 && op.Target != 0 ||
		fields&hasAmount == 0 && op.Amount != 0 || fields&hasVersion == 0 && op.Version != 0 ||
		fields&hasID == 0 && op.ID != [16]byte{}
}

// sum is 64 bits of an op's body, by which a repeat is told from another op under the same id. Whoever makes two bodies
// with one sum deceives only himself: both are his own.
func (op *Op) sum() uint64 {
	s := Seed{0x6d696c6c72616365, 0x6f7020626f647931}
	h := s.hash(uint64(op.Kind)<<56|uint64(op.Version), uint64(op.Actor)<<32|uint64(op.Target))
	return s.hash(h, uint64(op.Amount))
}
