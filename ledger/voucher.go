package ledger

// SignatureSize is that of a voucher's signature in bytes (BIP-340).
const SignatureSize = 64

// Voucher is what the payer of a channel signs instead of advancing it himself: the total that is paid through it. What exactly
// is signed, and whether it was, package channels/voucher knows: the ledger keeps a signature and never looks into it.
type Voucher struct {
	Channel   ChannelNo
	Total     Msat
	Key       [32]byte // by which it must be signed: the x coordinate of a point of secp256k1
	Signature [SignatureSize]byte
}

// Voucher returns the newest voucher that was shown of a signed channel, and whether there is one. Its total is the channel's.
func (s *State) Voucher(no ChannelNo) (Voucher, bool) {
	c, ok := s.Channel(no)
	if !ok || c.Mode != Signed || c.Total == 0 {
		return Voucher{}, false
	}
	a := s.agreement(uint32(no))
	return Voucher{Channel: no, Total: c.Total, Key: a.key, Signature: a.signature}, true
}

// checkVoucher: whoever has a voucher may show it, and the same total again is a repeat. The signature was verified before the op
// came here, where nobody waits for it. One of zeros is no signature, and so is how a hub says that it is not the payer's.
func (s *State) checkVoucher(op *Op, detail []byte, now uint64) Applied {
	if r := checkAmount(op.Amount); r != Undecided {
		return refuse(r)
	}
	if op.Target == 0 || op.Target >= s.channels.rows {
		return refuse(ChannelUnknown)
	}
	if r := s.channels.at(op.Target).advancedBy(op); r != Undecided {
		return refuse(r)
	}
	if len(detail) != SignatureSize || [SignatureSize]byte(detail) == [SignatureSize]byte{} {
		return refuse(VoucherInvalid)
	}
	return s.checkAdvance(op, now)
}

func (s *State) voucher(op *Op, detail []byte) Applied {
	s.agreements.edit(s.agreementRow(op.Target)).signature = [SignatureSize]byte(detail)
	return s.advance(op)
}
