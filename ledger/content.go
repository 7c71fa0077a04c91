package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"unicode"
	"unicode/utf8"
)

// MaxTitle bounds a title in bytes of UTF-8.
const MaxTitle = 200

// Registration is what a register op says besides seller, price and content id: its detail.
//
//	commitment 32 | header sha-256 32 | file sha-256 32 | wrapped 48 | size u64 | n u8 | n x (account u32, share u32) | title u8 + bytes
type Registration struct {
	Commitment   [32]byte // to the file key, which can be registered once
	HeaderSHA256 [32]byte // of the sealed file's age header
	FileSHA256   [32]byte // of the whole sealed file
	Wrapped      [48]byte // the file key, encrypted for the hub alone; the ledger cannot read it
	Size         uint64   // bytes of the sealed file
	Payees       []Payee  // 1 to MaxPayees
	Title        string   // UTF-8 without control characters, 1 to MaxTitle bytes
}

const registrationFixed = 32 + 32 + 32 + 48 + 8 + 1

// maxRegistration is the size of the largest registration in bytes.
const maxRegistration = registrationFixed + 8*MaxPayees + 1 + MaxTitle

// MaxDetail is the largest detail of any op, in bytes: that of a claim.
const MaxDetail = maxClaim

// AppendRegistration appends the detail of a register op. Payees and title must be within their bounds.
func AppendRegistration(b []byte, r *Registration) []byte {
	b = append(b, r.Commitment[:]...)
	b = append(b, r.HeaderSHA256[:]...)
	b = append(b, r.FileSHA256[:]...)
	b = append(b, r.Wrapped[:]...)
	b = binary.LittleEndian.AppendUint64(b, r.Size)
	b = AppendPayees(b, r.Payees)
	b = append(b, byte(len(r.Title)))
	return append(b, r.Title...)
}

// decodeRegistration is the inverse; false for bytes that AppendRegistration does not write.
func decodeRegistration(b []byte) (r Registration, ok bool) {
	if len(b) < registrationFixed {
		return r, false
	}
	payees, rest, ok := decodePayees(b[registrationFixed-1:])
	if !ok || len(rest) == 0 || len(rest) != 1+int(rest[0]) {
		return r, false
	}
	r.Commitment = [32]byte(b[0:32])
	r.HeaderSHA256 = [32]byte(b[32:64])
	r.FileSHA256 = [32]byte(b[64:96])
	r.Wrapped = [48]byte(b[96:144])
	r.Size = binary.LittleEndian.Uint64(b[144:])
	r.Payees = payees
	r.Title = string(rest[1:])
	return r, TitleOK(r.Title)
}

// TitleOK says whether a title is 1 to MaxTitle bytes of UTF-8 without control characters.
func TitleOK(title string) bool {
	if len(title) == 0 || len(title) > MaxTitle || !utf8.ValidString(title) {
		return false
	}
	for _, c := range title {
		if unicode.IsControl(c) {
			return false
		}
	}
	return true
}

// Content is a sealed work with a price.
type Content struct {
	Registration // its payees are those of the present split
	ID           ContentID
	Seller       AccountNo
	Split        uint32 // row of the present one
	Price        Msat   // in millionths of the unit of the terms' currency, if they name one
	PriceVersion uint32 // from 1
	rates        uint32 // row of that currency's rates, or zero
	Terms        Terms
	Status       Status
	Registered   uint64   // milliseconds since 1970
	Seq          uint64   // of the entry that registered it
	Claim        ClaimNo  // that which is yet to be decided; zero: none. Derived from the claims
	body         [32]byte // digest of the registration, by which a repeat is known
}

// registrationBody leaves out the wrapped key, which differs each time that the hub wraps it.
func registrationBody(op *Op, r *Registration) [32]byte {
	plain := *r
	plain.Wrapped = [48]byte{}
	b := AppendOp(make([]byte, 0, 64+maxRegistration), op, nil)
	return sha256.Sum256(AppendRegistration(b, &plain))
}

// ContentID is the name of the content that has a number, as legs have it.
func (s *State) ContentID(no uint32) (ContentID, bool) {
	if no == 0 || no >= s.contents.rows {
		return ContentID{}, false
	}
	return s.contents.at(no).ID, true
}

func (s *State) content(id ContentID) (uint32, *Content) {
	no, ok := s.contentByID[id]
	if !ok {
		return 0, nil
	}
	return no, s.contents.at(no)
}

// ownContent is the content, when the op's actor is its seller.
func (s *State) ownContent(op *Op) (*Content, Result) {
	_, c := s.content(op.ID)
	switch {
	case c == nil:
		return nil, ContentUnknown
	case c.Seller != op.Actor:
		return nil, NotPermitted
	}
	return c, Undecided
}

func (s *State) checkRegister(op *Op, detail []byte) Applied {
	r, ok := decodeRegistration(detail)
	if !ok || op.ID == (ContentID{}) {
		return refuse(OpMalformed)
	}
	if r := checkAmount(op.Amount); r != Undecided {
		return refuse(r)
	}
	if !s.holder(op.Actor) {
		return refuse(AccountUnknown)
	}
	if !s.payeesKnown(r.Payees) {
		return refuse(PayeeUnknown)
	}
	if no, c := s.content(op.ID); c != nil {
		if c.body == registrationBody(op, &r) {
			return Applied{result: Repeated, seq: c.Seq, object: no}
		}
		return refuse(ContentExists)
	}
	if _, taken := s.contentByKey[r.Commitment]; taken {
		return refuse(CommitmentTaken)
	}
	if !splitOK(r.Payees) {
		return refuse(SplitInvalid)
	}
	return Applied{}
}

func (s *State) payeesKnown(payees []Payee) bool {
	for _, p := range payees {
		if !s.holder(p.Account) {
			return false
		}
	}
	return true
}

func splitOK(payees []Payee) bool {
	for i, p := range payees {
		if p.Share == 0 || p.Share > MaxShare {
			return false
		}
		for _, q := range payees[:i] {
			if q.Account == p.Account {
				return false
			}
		}
	}
	return len(payees) > 0
}

// register puts a content on sale. Its seller owns it from the start, and so opens it without paying.
func (s *State) register(op *Op, detail []byte, now uint64) Applied {
	r, _ := decodeRegistration(detail)
	no, c := s.contents.add()
	s.tallies.add()
	a := s.entry(0, no)
	*c = Content{
		Registration: r, ID: op.ID, Seller: op.Actor, Price: op.Amount, PriceVersion: 1, Status: Open,
		Registered: now, Seq: a.seq, body: registrationBody(op, &r),
	}
	s.setSplit(no, c, r.Payees, a.seq)
	s.contentByID[c.ID] = no
	s.contentByKey[c.Commitment] = no
	s.own(Owned{Account: op.Actor, Content: no, Seq: a.seq})
	s.leg(Leg{Kind: op.Kind, From: op.Actor, Object: no})
	return a
}

func (s *State) checkReprice(op *Op) Applied {
	if r := checkAmount(op.Amount); r != Undecided {
		return refuse(r)
	}
	c, r := s.ownContent(op)
	switch {
	case r != Undecided:
		return refuse(r)
	case op.Version != 0 && c.PriceVersion == op.Version+1 && c.Price == op.Amount:
		return Applied{result: Repeated, object: c.PriceVersion}
	case c.Status != Open:
		return refuse(ContentRetired)
	case c.PriceVersion != op.Version:
		return refuse(PriceChanged)
	}
	return Applied{}
}

func (s *State) reprice(op *Op) Applied {
	no, _ := s.content(op.ID)
	c := s.contents.edit(no)
	c.Price = op.Amount
	c.PriceVersion++
	s.leg(Leg{Kind: op.Kind, From: op.Actor, Object: no})
	return s.entry(0, c.PriceVersion)
}

func (s *State) checkRetire(op *Op) Applied {
	c, r := s.ownContent(op)
	switch {
	case r != Undecided:
		return refuse(r)
	case c.Status != Open:
		return Applied{result: Repeated, object: s.contentByID[op.ID]}
	}
	return Applied{}
}

func (s *State) retire(op *Op) Applied {
	no, _ := s.content(op.ID)
	s.contents.edit(no).Status = Closed
	s.leg(Leg{Kind: op.Kind, From: op.Actor, Object: no})
	return s.entry(0, no)
}
