package bench

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

// unlockPrice is what every content costs, in msat.
const unlockPrice = 1000

// maxUnlockRate is more first purchases a second than can be: it says how many buyers there must be, so that all contents
// times all buyers last for all rounds.
const maxUnlockRate = 120_000

// work is a content on sale, and what its key looks like in an answer.
type work struct {
	Number ledger.ContentID
	ID     [32]byte // the same in hexadecimal
	Key    []byte   // in base64
}

// buyer is a whole request of one account, built beforehand but for the content's id.
type buyer struct {
	account ledger.AccountNo
	bytes   []byte
	id      int // where the content's id stands
	bought  int64
}

// unlockSource has each of its buyers buy each work once, and repeats some purchases.
type unlockSource struct {
	random  *rand.Rand
	works   []work
	buyers  []buyer
	repeats int  // in a hundred
	again   bool // begin again when everything is bought: only where nothing is
	at      int  // purchases begun
	last    int  // the purchase that was sent last
	done    uint64
}

func (s *unlockSource) next(time.Time) ([]byte, int) {
	if s.again && s.at == len(s.buyers)*len(s.works) {
		s.at = 0
	}
	if s.last = s.at - 1; s.at == 0 || s.repeats == 0 || s.random.IntN(100) >= s.repeats {
		if s.at == len(s.buyers)*len(s.works) {
			return nil, 0
		}
		s.last = s.at
		s.at++
	}
	b, w := s.purchase()
	copy(b.bytes[b.id:], w.ID[:])
	return b.bytes, 1
}

// purchase is the last one's buyer and work. Buyers take turns, so that neighbours in time are not neighbours in memory.
func (s *unlockSource) purchase() (*buyer, *work) {
	return &s.buyers[s.last%len(s.buyers)], &s.works[s.last/len(s.buyers)]
}

func (s *unlockSource) answered(status int, body []byte) error {
	if err := wantOK(status, body); err != nil {
		return err
	}
	b, w := s.purchase()
	if !bytes.Contains(body, w.Key) {
		return errors.New("an unlock was answered without the content's file key")
	}
	switch {
	case bytes.Contains(body, []byte(`"result":"applied"`)):
		b.bought++
		s.done++
	case s.repeats == 0 || !bytes.Contains(body, []byte(`"result":"repeated"`)):
		return errors.New("an unlock was neither applied nor a repeat that was meant")
	}
	return nil
}

func newBuyer(token string, account ledger.AccountNo) buyer {
	body := fmt.Appendf(nil, `{"max_msat":%d}`, unlockPrice)
	b := buyer{account: account, id: len("POST /v1/contents/")}
	b.bytes = head("/v1/contents/"+strings.Repeat("0", 32)+"/unlock", token, "application/json", len(body))
	b.bytes = append(b.bytes, body...)
	return b
}

func runUnlock(ctx context.Context, c *Config, dir string) (Result, error) {
	var load []*unlockSource
	var seller ledger.AccountNo
	k := &httpCase{name: "http-unlock", call: "unlock", conns: c.Conns}
	k.setUp = func(ctx context.Context, c *Config, r *rig) (hub, idle []source, err error) {
		sellers, err := newBuilder(ctx, r.submit).accounts(1, 0)
		if err != nil {
			return nil, nil, err
		}
		seller = sellers[0]
		if load, err = newUnlockSources(ctx, c, r, seller); err != nil {
			return nil, nil, err
		}
		for i, s := range load {
			hub = append(hub, s)
			twin := *s
			twin.again, twin.random, twin.buyers = true, rand.New(rand.NewPCG(4, uint64(i))), nil
			for _, b := range s.buyers {
				b.bytes = bytes.Clone(b.bytes)
				twin.buyers = append(twin.buyers, b)
			}
			idle = append(idle, &twin)
		}
		return hub, idle, nil
	}
	k.tally = func() (n uint64) {
		for _, s := range load {
			n += s.done
		}
		return n
	}
	k.check = func(state *ledger.State) error { return checkUnlocks(state, load, seller) }
	return k.run(ctx, c, dir)
}

// newUnlockSources puts contents on sale, and makes buyers enough.
func newUnlockSources(ctx context.Context, c *Config, r *rig, seller ledger.AccountNo) ([]*unlockSource, error) {
	works, err := newWorks(ctx, c.Contents, r, unlockPrice, func(int) ledger.AccountNo { return seller })
	if err != nil {
		return nil, err
	}
	seconds := (time.Duration(c.Rounds) + 1) * c.Round
	all := make([]*unlockSource, 0, c.Conns)
	each := int(seconds.Seconds()*maxUnlockRate)/c.Conns/c.Contents + 1
	b := newBuilder(ctx, r.submit)
	accounts, err := b.accounts(each*c.Conns, ledger.Msat(unlockPrice*c.Contents))
	if err != nil {
		return nil, err
	}
	tokens, err := r.tokens(accounts)
	if err != nil {
		return nil, err
	}
	for i := range c.Conns {
		s := &unlockSource{random: rand.New(rand.NewPCG(3, uint64(i))), works: works, repeats: c.Repeats}
		for j := i; j < len(accounts); j += c.Conns {
			s.buyers = append(s.buyers, newBuyer(tokens[j], accounts[j]))
		}
		all = append(all, s)
	}
	return all, nil
}

// registrars is how many works are registered at the same time: each waits for a commit.
const registrars = 64

// newWorks seals and registers n works of a few bytes, all different to the hub.
func newWorks(ctx context.Context, n int, r *rig, price ledger.Msat, seller func(i int) ledger.AccountNo) ([]work, error) {
	works, errs, seqs := make([]work, n), make([]error, registrars), make([]uint64, registrars)
	var wait sync.WaitGroup
	for k := range registrars {
		wait.Go(func() {
			random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), uint64(k)))
			for i := k; i < n && errs[k] == nil && ctx.Err() == nil; i += registrars {
				works[i], seqs[k], errs[k] = newWork(r, seller(i), price, random)
			}
		})
	}
	wait.Wait()
	for _, seq := range seqs {
		r.seq = max(r.seq, seq)
	}
	return works, errors.Join(append(errs, ctx.Err())...)
}

func newWork(r *rig, seller ledger.AccountNo, price ledger.Msat, random *rand.Rand) (work, uint64, error) {
	id := ledger.ContentID(newID(random.Uint64(), random))
	sealed, err := seal.Seal(io.Discard, strings.NewReader("a work"), r.ring.Public(), origin, id)
	if err != nil {
		return work{}, 0, err
	}
	header, err := seal.ParseHeader(sealed.Header)
	if err != nil {
		return work{}, 0, err
	}
	key, err := r.ring.OpenHeader(header)
	if err != nil {
		return work{}, 0, err
	}
	_, a, err := r.hub.Register(hub.Offer{Seller: seller, Header: sealed.Header, Commitment: sealed.Commitment, Title: "a work",
		Price: price, Size: uint64(sealed.Size), FileSHA256: sealed.SHA256})
	if err != nil {
		return work{}, 0, err
	}
	if a.Result() != ledger.Done {
		return work{}, 0, fmt.Errorf("registering a work was %v", a.Result())
	}
	w := work{Number: id, Key: base64.StdEncoding.AppendEncode(nil, key[:])}
	hex.Encode(w.ID[:], id[:])
	return w, a.Seq(), nil
}

// checkUnlocks holds the balances of all buyers, the seller and the hub against what was acknowledged, and counts owners.
func checkUnlocks(state *ledger.State, all []*unlockSource, seller ledger.AccountNo) error {
	var sold int64
	for _, s := range all {
		for i := range s.buyers {
			b := &s.buyers[i]
			sold += b.bought
			if err := checkAccount(state, b.account, unlockPrice*(int64(len(s.works))-b.bought)); err != nil {
				return err
			}
		}
	}
	fee := int64(ledger.FeeOf(unlockPrice, feePPM))
	if err := checkAccount(state, seller, sold*(unlockPrice-fee)); err != nil {
		return err
	}
	if err := checkAccount(state, ledger.Fees, sold*fee); err != nil {
		return err
	}
	counts := state.Counts()
	if counts.Unlocks != uint64(sold)+counts.Contents { // a seller owns what is his
		return fmt.Errorf("%d unlocks in the ledger, the tally says %d", counts.Unlocks, uint64(sold)+counts.Contents)
	}
	return nil
}
