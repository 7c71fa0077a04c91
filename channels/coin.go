package channels

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/ledger"
)

const (
	coinsMark  = "coins"             // the height from which on the wallet is asked for coins; it only grows
	maxWatched = 200_000             // coins that are not buried, of all accounts: they cost their senders more than they cost us
	keepGone   = 14 * 24 * time.Hour // what is not in the chain or the mempool any more is watched no longer
)

// NewAddress is an address for an account: the newest, if nothing has come by it yet, or else another one.
func (r *Rails) NewAddress(ctx context.Context, no ledger.AccountNo) (string, error) {
	if err := r.ready(); err != nil {
		return "", err
	}
	if r.cfg.Purse == nil {
		return "", ErrNoRail
	}
	if a, ok := r.ledger.Account(no); !ok || no < ledger.FirstAccount || a.Opened == 0 {
		return "", fmt.Errorf("%w: there is no account %s", ErrTarget, no)
	}
	defer r.making.lock(Key{Account: no})()
	own := rowKey(keyOwn, accountBytes(no))
	text, err := r.records.Get(own)
	if err != nil {
		return "", fmt.Errorf("reading an account's address: %w", err)
	}
	if text != nil {
		return string(text), nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.CallFor)
	defer cancel()
	address, err := r.cfg.Purse.Address(ctx)
	if err != nil {
		return "", fmt.Errorf("asking the wallet for an address: %w", err)
	}
	// Before anybody is told: what comes by it is the account's.
	err = r.write(Row{Key: rowKey(keyAddress, []byte(address)), Value: accountBytes(no)}, Row{Key: own, Value: []byte(address)})
	return address, err
}

// owner says whose an address is.
func (r *Rails) owner(address string) (ledger.AccountNo, bool, error) {
	value, err := r.records.Get(rowKey(keyAddress, []byte(address)))
	if err != nil {
		return 0, false, fmt.Errorf("looking for the owner of an address: %w", err)
	}
	if len(value) != 4 {
		return 0, false, nil
	}
	return ledger.AccountNo(binary.BigEndian.Uint32(value)), true, nil
}

// followCoins takes in what comes on-chain.
func (r *Rails) followCoins() {
	moved := make(chan struct{}, 1)
	r.running.Go(func() {
		for tries := 0; r.ctx.Err() == nil; tries++ {
			err := r.cfg.Purse.Moved(r.ctx, func(Hash) error {
				tries = 0
				select {
				case moved <- struct{}{}:
				default: // somebody is about to look
				}
				return nil
			})
			if r.ctx.Err() == nil {
				r.warn("the wallet does not tell of coins; trying again", "err", err)
			}
			r.pause(r.backoff(tries))
		}
	})
	for {
		select {
		case <-moved:
			// The wallet tells of a transaction somewhat before its list has it. And many coins at once are read once.
			r.pause(min(time.Second, r.cfg.Poll))
		case <-time.After(r.cfg.Poll): // whatever it has not told of
		case <-r.ctx.Done():
			return
		}
		for tries := 0; r.ctx.Err() == nil; tries++ {
			err := r.noticeAll()
			if err == nil {
				break
			}
			r.warn("the wallet's coins cannot be read; trying again", "err", err)
			r.pause(r.backoff(tries))
		}
	}
}

// noticeAll takes in all coins that may be new. One that cannot be taken in holds up none behind it; but the wallet is asked for all from
// the same height on again, until it is.
func (r *Rails) noticeAll() error {
	since, err := r.mark(coinsMark)
	if err != nil {
		return err
	}
	var highest int64
	var vain error
	err = r.cfg.Purse.Coins(r.ctx, int64(since), func(c Coin) error {
		ours, err := r.notice(&c)
		if err != nil && r.ctx.Err() == nil {
			vain = fmt.Errorf("coin %s:%d: %w", c.Outpoint.Tx.TxID(), c.Outpoint.Index, err)
			return nil
		}
		if ours {
			highest = max(highest, c.Place.Height)
		}
		return err
	})
	if err = errors.Join(err, vain); err != nil || highest-buried <= int64(since) {
		return err
	}
	return r.write(markRow(coinsMark, uint64(highest-buried)))
}

// notice takes in a coin, once for each outpoint: it is pending, whatever it is told to be, until look finds it deep enough. Coins to
// addresses that no account has are change, or the operator's: not ours.
func (r *Rails) notice(c *Coin) (ours bool, err error) {
	no, found, err := r.owner(c.Address)
	if err != nil || !found || c.Amount <= 0 {
		return false, err
	}
	ref := Ref{c.Outpoint.Tx, c.Outpoint.Index}
	defer r.hashes.lock(ref.Hash)()
	d, known, err := r.deposit(ref)
	if err != nil || known && d.Status != DepositGone {
		return err == nil, err
	}
	if !known {
		d = Deposit{Ref: ref, Rail: Chain, Account: no, Amount: ledger.Msat(c.Amount) * msatPerSat, Address: c.Address, Needs: r.cfg.depth(c.Amount), Made: r.stamp()}
	}
	d.Status = DepositPending
	rows := []Row{{Key: rowKey(keyWatch, ref.bytes()), Value: []byte{}}}
	if text, err := r.records.Get(rowKey(keyOwn, accountBytes(no))); err == nil && string(text) == c.Address {
		rows = append(rows, Row{Key: rowKey(keyOwn, accountBytes(no))}) // it is used: the account's next is another
	}
	if err := r.save(&d, rows...); err != nil {
		return true, err
	}
	r.poke()
	return true, nil
}

// lookAtCoins looks where the coins are that are not buried.
func (r *Rails) lookAtCoins() {
	if r.cfg.Watcher == nil {
		return
	}
	keys, err := r.keysUnder(keyWatch, nil, maxWatched)
	if err != nil {
		r.log.Error("looking for coins to watch", "err", err)
		return
	}
	type seen struct {
		place Place
		found bool
	}
	places := make(map[Hash]seen) // a transaction may have many coins for us
	vain := 0
	for _, key := range keys {
		ref, err := parseRef(key)
		if err != nil {
			r.log.Error("a coin that is watched has no name", "err", err)
			continue
		}
		at, asked := places[ref.Hash]
		if !asked {
			p, found, err := r.place(ref.Hash)
			if err != nil {
				r.warn("coins cannot be looked up; trying again", "err", err)
				if vain++; vain == sweepVain || unanswered(err) {
					return
				}
				continue
			}
			at = seen{p, found}
			places[ref.Hash] = at
		}
		if err := r.look(ref, at.place, at.found); err != nil {
			r.warn("a deposit is not credited yet", "deposit", ref.String(), "err", err)
		}
		if r.ctx.Err() != nil {
			return
		}
	}
}

// look is what the place of a coin means for its deposit. Until it is credited it comes and goes with the chain; after that nothing is
// taken back, and the operator is told.
func (r *Rails) look(ref Ref, at Place, found bool) error {
	defer r.hashes.lock(ref.Hash)()
	d, known, err := r.deposit(ref)
	if err != nil || !known {
		return err
	}
	was := d
	d.Has = at.Confirmations
	switch {
	case d.Status == DepositCredited, d.Status == DepositUnassigned:
		return r.lookBack(&was, &d, found)
	case d.Status == DepositArrived:
		return r.credit(&d)
	case !found:
		d.Status, d.Has = DepositGone, 0
		if r.now().Sub(d.Changed) > keepGone && was.Status == DepositGone {
			return r.save(&d, Row{Key: rowKey(keyWatch, ref.bytes())})
		}
	case at.Confirmations < d.Needs:
		d.Status = DepositPending
	default:
		d.Status, d.Came, d.Credit = DepositArrived, r.stamp(), r.newID()
		if err := r.save(&d); err != nil {
			return err
		}
		return r.credit(&d)
	}
	if d.Status == was.Status && d.Has == was.Has {
		return nil
	}
	return r.save(&d)
}

// lookBack watches what is credited, or what the ledger has refused to credit, until it is buried.
func (r *Rails) lookBack(was, d *Deposit, found bool) error {
	d.Undone = !found || d.Has == 0
	var rows []Row
	switch {
	case d.Undone:
		r.Raise(Incident{Kind: "reorganised", Subject: d.Ref.String(), Account: d.Account, Amount: d.Amount,
			Text: "a deposit that was deep enough is not in the chain any more"})
	case was.Undone:
		r.settle("reorganised", d.Ref.String(), "it is in the chain again")
	case d.Has >= buried:
		rows = append(rows, Row{Key: rowKey(keyWatch, d.Ref.bytes())})
	}
	if d.Undone == was.Undone && rows == nil {
		return nil
	}
	return r.save(d, rows...)
}
