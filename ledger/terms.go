package ledger

import "sort"

// Mode says on whose word a channel is paid through.
type Mode uint8

const (
	PayerAdvances Mode = 0 // the payer advances it
	PayeeAdvances Mode = 1 // the payee advances it, on his word alone
	Signed        Mode = 2 // either party shows vouchers that the payer has signed
)

// ChannelTerms are what an OpOpenTerms says besides: its detail.
//
//	mode u8 | per minute u64 | key 32
type ChannelTerms struct {
	Mode      Mode
	PerMinute Msat     // the most that is paid in one minute of the ledger's clock, which begins with a multiple of 60 s since 1970; zero: no limit
	Key       [32]byte // by which the payer's vouchers are verified, if the mode is Signed; otherwise zero
}

const channelTermsSize = 1 + 8 + 32

// AppendChannelTerms appends the detail of an OpOpenTerms.
func AppendChannelTerms(b []byte, t *ChannelTerms) []byte {
	return append(le.AppendUint64(append(b, byte(t.Mode)), uint64(t.PerMinute)), t.Key[:]...)
}

// decodeChannelTerms is the inverse; false for terms that say nothing, or what cannot be.
func decodeChannelTerms(b []byte) (t ChannelTerms, ok bool) {
	if len(b) != channelTermsSize {
		return t, false
	}
	t = ChannelTerms{Mode: Mode(b[0]), PerMinute: Msat(le.Uint64(b[1:])), Key: [32]byte(b[9:])}
	return t, t.ok() && t != ChannelTerms{}
}

func (t *ChannelTerms) ok() bool {
	return t.Mode <= Signed && t.PerMinute <= MaxMsat && (t.Key != [32]byte{}) == (t.Mode == Signed)
}

// agreement is the terms of one channel, with what there is to know of how they are kept.
type agreement struct {
	channel   uint32
	minute    uint32 // since 1970: in which something was paid last; counted only if there is a limit
	perMinute Msat
	paid      Msat // in that minute
	key       [32]byte
	signature [SignatureSize]byte // of the newest voucher, which is for the channel's total
}

// ChannelTerms returns those of a channel, and whether there is such a channel. Most have none: then they are zero.
func (s *State) ChannelTerms(no ChannelNo) (ChannelTerms, bool) {
	c, ok := s.Channel(no)
	if !ok || c.Mode == PayerAdvances && !c.Limited {
		return ChannelTerms{}, ok
	}
	a := s.agreement(uint32(no))
	return ChannelTerms{Mode: c.Mode, PerMinute: a.perMinute, Key: a.key}, true
}

// agreementRow finds the row of a channel that has terms. There are as many as such channels, in the order of their numbers.
func (s *State) agreementRow(channel uint32) uint32 {
	return uint32(sort.Search(int(s.agreements.rows), func(i int) bool { return s.agreements.at(uint32(i)).channel >= channel }))
}

func (s *State) agreement(channel uint32) *agreement { return s.agreements.at(s.agreementRow(channel)) }

// advancedBy says whether the channel is advanced by such an op of such an account.
func (c *Channel) advancedBy(op *Op) Result {
	voucher := op.Kind == OpVoucher
	switch {
	case c.Payer != op.Actor && c.Payee != op.Actor, c.Mode == PayerAdvances && op.Actor == c.Payee && !voucher:
		return NotPermitted
	case voucher != (c.Mode == Signed), c.Mode == PayeeAdvances && op.Actor == c.Payer:
		return WrongMode
	}
	return Undecided
}

// minuteOf is the minute since 1970 of a time in milliseconds.
func minuteOf(now uint64) uint32 { return uint32(now / 60_000) }

// tooFast says whether a payment through a limited channel is more than its minute has left.
func (s *State) tooFast(channel uint32, paid Msat, now uint64) bool {
	a := s.agreement(channel)
	if a.minute == minuteOf(now) {
		paid += a.paid
	}
	return paid > a.perMinute
}

// countPaid adds what is paid now through a limited channel.
func (s *State) countPaid(channel uint32, paid Msat) {
	a := s.agreements.edit(s.agreementRow(channel))
	if minute := minuteOf(s.now); a.minute != minute {
		a.minute, a.paid = minute, 0
	}
	a.paid += paid
}

// checkOpenTerms: the terms are part of what an id stands for.
func (s *State) checkOpenTerms(op *Op, detail []byte, now uint64) Applied {
	t, ok := decodeChannelTerms(detail)
	if !ok {
		return refuse(OpMalformed)
	}
	a := s.checkOpenChannel(op, now)
	if a.result == Repeated {
		if opened, _ := s.ChannelTerms(ChannelNo(a.object)); opened != t {
			return refuse(IDReused)
		}
	}
	return a
}

func (s *State) openTerms(op *Op, detail []byte) Applied {
	t, _ := decodeChannelTerms(detail)
	a := s.openChannel(op)
	c := s.channels.edit(a.object)
	c.Mode, c.Limited = t.Mode, t.PerMinute > 0
	_, row := s.agreements.add()
	row.channel, row.perMinute, row.key = a.object, t.PerMinute, t.Key
	return a
}

// checkRenew: an expiry is only put off, and that as long as it has not come.
func (s *State) checkRenew(op *Op, now uint64) Applied {
	if op.Target == 0 || op.Target >= s.channels.rows {
		return refuse(ChannelUnknown)
	}
	c, expiry := s.channels.at(op.Target), uint64(op.Version)*1000
	switch {
	case c.Payer != op.Actor:
		return refuse(NotPermitted)
	case c.Expiry == op.Version:
		return Applied{result: Repeated, object: op.Target}
	case op.Version < c.Expiry || expiry <= now || expiry > now+MaxChannelLife:
		return refuse(ExpiryInvalid)
	}
	return refuse(c.refusal(now)) // or Undecided
}

func (s *State) renew(op *Op) Applied {
	c := s.channels.edit(op.Target)
	c.Expiry = op.Version
	s.leg(Leg{Kind: op.Kind, From: c.Payer, To: c.Payee, Object: op.Target})
	return s.entry(0, op.Target)
}

func appendAgreement(b []byte, a *agreement) []byte {
	b = le.AppendUint32(le.AppendUint32(b, a.channel), a.minute)
	b = le.AppendUint64(le.AppendUint64(b, uint64(a.perMinute)), uint64(a.paid))
	return append(append(b, a.key[:]...), a.signature[:]...)
}

// agreements reads them, and makes sure that each channel that has terms has one, and no other.
func (d *decoder) agreements(s *State) {
	var last uint32
	decodePages(d, agreementPart, &s.agreements, 24+32+SignatureSize, func(no uint32, b []byte, a *agreement) {
		*a = agreement{channel: le.Uint32(b), minute: le.Uint32(b[4:]), perMinute: Msat(le.Uint64(b[8:])), paid: Msat(le.Uint64(b[16:])),
			key: [32]byte(b[24:]), signature: [SignatureSize]byte(b[56:])}
		if no == 0 {
			return
		}
		if a.channel <= last || a.channel >= s.channels.rows {
			d.corrupt("terms of channel %d behind those of channel %d of %d", a.channel, last, s.channels.rows)
			return
		}
		last = a.channel
		c := s.channels.at(a.channel)
		t := ChannelTerms{Mode: c.Mode, PerMinute: a.perMinute, Key: a.key}
		if !t.ok() || c.Limited != (a.perMinute > 0) || a.paid > c.Total {
			d.corrupt("malformed terms of channel %d", a.channel)
		}
	})
	if d.err != nil {
		return
	}
	n := uint32(1)
	for i := range s.channels.rows {
		if c := s.channels.at(i); c.Mode != PayerAdvances || c.Limited {
			n++
		}
	}
	if n != s.agreements.rows {
		d.corrupt("%d rows of terms for %d channels that have some", s.agreements.rows-1, n-1)
	}
}

// bit is a bool as a byte.
func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}
