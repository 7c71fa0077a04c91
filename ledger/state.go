package ledger

import (
	"encoding/binary"
	"fmt"
)

// Params are the rules that a ledger is made with. They are part of its head and never change.
type Params struct {
	FeePPM   uint32 // the hub's part of every unlock, in parts per million; at most PPM
	IDWindow uint64 // milliseconds that an OpID's time may lie behind the ledger's clock; 1 s to 7 days
	IDAhead  uint64 // milliseconds that it may lie ahead; at most an hour
}

// DefaultParams takes no fee, recognises repeats for a day, and allows clocks to differ by half a minute.
func DefaultParams() Params {
	return Params{IDWindow: 24 * 60 * 60 * 1000, IDAhead: 30 * 1000}
}

// Validate names the first parameter out of bounds.
func (p Params) Validate() error {
	switch {
	case p.FeePPM > PPM:
		return fmt.Errorf("fee of %d parts per million: at most %d", p.FeePPM, PPM)
	case p.IDWindow < 1000 || p.IDWindow > 7*24*60*60*1000:
		return fmt.Errorf("id window of %d ms: want one second to seven days", p.IDWindow)
	case p.IDAhead > 60*60*1000:
		return fmt.Errorf("ids %d ms ahead: at most an hour", p.IDAhead)
	}
	return nil
}

const paramsSize = 20

// Encode is the form in which the params are stored: 20 bytes, little-endian, in the order of the fields.
func (p Params) Encode() []byte {
	b := binary.LittleEndian.AppendUint32(make([]byte, 0, paramsSize), p.FeePPM)
	b = binary.LittleEndian.AppendUint64(b, p.IDWindow)
	return binary.LittleEndian.AppendUint64(b, p.IDAhead)
}

// DecodeParams is the inverse. It refuses what is not valid.
func DecodeParams(b []byte) (Params, error) {
	if len(b) != paramsSize {
		return Params{}, fmt.Errorf("params of %d bytes, want %d", len(b), paramsSize)
	}
	le := binary.LittleEndian
	p := Params{FeePPM: le.Uint32(b), IDWindow: le.Uint64(b[4:]), IDAhead: le.Uint64(b[12:])}
	return p, p.Validate()
}

// Applied is the outcome of one op, as found in a durable state. Only this package makes one that is OK, and only Apply
// and Check return them: a function that wants an Applied cannot be called before the payment is durable.
type Applied struct {
	seq    uint64
	amount Msat
	object uint32
	result Result
	kind   Kind   // OpUnlock or OpUnlockUnit for the outcome of what opens a work or a unit, and otherwise not set
	unit   uint32 // of the latter
}

// Result is how the op ended.
func (a Applied) Result() Result { return a.result }

// Seq is the entry's place, from 1. Zero for refusals, and for repeats of ops that are idempotent by nature.
func (a Applied) Seq() uint64 { return a.seq }

// Amount is what the entry moved: paid, refunded, captured or given back; for a repeated unlock what was paid at first.
func (a Applied) Amount() Msat { return a.amount }

// Object is the number of the account, channel, hold or content that the op made or touched; of a reprice, the version.
func (a Applied) Object() uint32 { return a.object }

func refuse(r Result) Applied { return Applied{result: r} }

// State is the ledger in memory.
type State struct {
	params Params
	seed   Seed

	index  uint64 // of the last block applied; zero before the first
	now    uint64 // milliseconds since 1970; never runs backwards
	seq    uint64 // of the last entry
	chain  chain
	recent [MaxInFlight]parent // heads of the last blocks, the newest last, for checking what later blocks name

	accounts table[Account] // by AccountNo; rows below FirstAccount are the hub's
	channels table[Channel] // by ChannelNo; row 0 is nobody's
	holds    table[Hold]    // by HoldNo; row 0 is nobody's
	contents table[Content] // by number; row 0 is nobody's
	splits   table[Split]   // in the order in which they were set; row 0 is nobody's
	tallies  table[Tally]   // by number of the content

	agreements table[agreement] // of the channels that have terms, in the order of their numbers; row 0 is nobody's
	rates      table[rates]     // by currency; row 0 is nobody's
	claims     table[*Claim]    // by ClaimNo; row 0 is nobody's
	unlocks    uint64           // contents owned, each owner counted

	// The newest of what is remembered for repeats; the archive has the rest.
	ids     window
	owned   shelves[Owned]
	archive Archive

	// Derived from the rows above.
	contentByID  map[ContentID]uint32
	contentByKey map[[32]byte]uint32
	ratesOf      map[Currency]uint32
	claimBook    claimBook

	some [warmOps]decoded // Apply's own
	legs []Leg            // of the last block
	last Record
}

// MaxInFlight bounds how many blocks may lie between a block and the head that it names.
const MaxInFlight = 16

type parent struct {
	index uint64
	head  [32]byte
}

// New is the ledger before its first block. The params must be valid.
func New(params Params, seed Seed) *State {
	s := &State{
		params: params, seed: seed, chain: newChain(params),
		ids:          window{span: params.IDWindow, ahead: params.IDAhead},
		contentByID:  make(map[ContentID]uint32),
		contentByKey: make(map[[32]byte]uint32),
		ratesOf:      make(map[Currency]uint32),
		claimBook:    newClaimBook(),
	}
	for range FirstAccount {
		s.accounts.add()
	}
	s.channels.add()
	s.holds.add()
	s.contents.add()
	s.splits.add()
	s.tallies.add()
	s.agreements.add()
	s.rates.add()
	_, nobodys := s.claims.add()
	*nobodys = &Claim{}
	s.recent[MaxInFlight-1] = parent{0, s.chain.sum()}
	return s
}

// Params are those that the ledger was made with.
func (s *State) Params() Params { return s.params }

// Index is that of the last block applied.
func (s *State) Index() uint64 { return s.index }

// Seq is that of the last entry.
func (s *State) Seq() uint64 { return s.seq }

// Now is the time of the last block in milliseconds since 1970.
func (s *State) Now() uint64 { return s.now }

// Head is the hash over all entries up to the last block.
func (s *State) Head() [32]byte { return s.recent[MaxInFlight-1].head }

// Account returns a copy of the row, and whether the account exists. The hub's own do.
func (s *State) Account(no AccountNo) (Account, bool) {
	if uint32(no) >= s.accounts.rows || !(s.holder(no) || no.External() || no == Escrow || no == Market) {
		return Account{}, false
	}
	return *s.accounts.at(uint32(no)), true
}

// Channel returns a copy of the row, and whether the channel exists.
func (s *State) Channel(no ChannelNo) (Channel, bool) {
	if no == 0 || uint32(no) >= s.channels.rows {
		return Channel{}, false
	}
	return *s.channels.at(uint32(no)), true
}

// Hold returns a copy of the row, and whether the hold exists.
func (s *State) Hold(no HoldNo) (Hold, bool) {
	if no == 0 || uint32(no) >= s.holds.rows {
		return Hold{}, false
	}
	return *s.holds.at(uint32(no)), true
}

// Content returns a content by its id, and whether it exists. Its payees are shared and not to be changed.
func (s *State) Content(id ContentID) (Content, bool) {
	if _, c := s.content(id); c != nil {
		return *c, true
	}
	return Content{}, false
}

// WrappedKey is the encrypted file key that an unlock paid for, and the content's id. It is false for the outcome of
// anything but an unlock that is applied and durable.
func (s *State) WrappedKey(unlock Applied) (ContentID, [48]byte, bool) {
	if unlock.kind != OpUnlock || !unlock.result.OK() || unlock.object >= s.contents.rows {
		return ContentID{}, [48]byte{}, false
	}
	c := s.contents.at(unlock.object)
	return c.ID, c.Wrapped, true
}

// WrappedUnit is the encrypted file key of a content of which a unit was paid for, the content's id, and the unit, from 0. It is
// false for the outcome of anything but a unit's unlock that is applied and durable. Only that unit's secret may leave.
func (s *State) WrappedUnit(unlock Applied) (id ContentID, wrapped [48]byte, unit uint32, ok bool) {
	if unlock.kind != OpUnlockUnit || !unlock.result.OK() || unlock.object >= s.contents.rows {
		return ContentID{}, [48]byte{}, 0, false
	}
	c := s.contents.at(unlock.object)
	return c.ID, c.Wrapped, unlock.unit, true
}

// Counts says how much there is: everything ever made.
type Counts struct {
	Accounts, Channels, Holds, Contents, Unlocks uint64
}

// InMemory says how many ids and entitlements lie in memory. The archive has the others.
func (s *State) InMemory() (ids, owned uint64) { return s.ids.rows, s.owned.rows }

// Counts leaves out the hub's own accounts. A seller owns his contents, so unlocks count each content once for him.
func (s *State) Counts() Counts {
	return Counts{
		Accounts: uint64(s.accounts.rows) - uint64(FirstAccount),
		Channels: uint64(s.channels.rows) - 1,
		Holds:    uint64(s.holds.rows) - 1,
		Contents: uint64(s.contents.rows) - 1,
		Unlocks:  s.unlocks,
	}
}
