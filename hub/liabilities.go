package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/tlog"
)

var (
	// ErrNoEpoch means that no proof of liabilities was made yet.
	ErrNoEpoch = errors.New("there is no proof of liabilities yet")
	// ErrNotInEpoch means that the account is younger than the newest proof of liabilities.
	ErrNotInEpoch = errors.New("the account was opened after the newest proof of liabilities")
	// ErrEpochs means that the hub has no folder for proofs of liabilities.
	ErrEpochs = errors.New("this hub makes no proofs of liabilities")
)

// keptEpochs is how many trees stay on the disk: the newest, and the one before for who asks at the wrong moment.
const keptEpochs = 2

// epochs are the proofs of liabilities. Each lies in two files: the sum tree, and then its signed root, which makes it whole.
//
// An epoch's number is the time when it was made, in milliseconds since 1970, and above all that are known: so that a hub that lost
// its folder, or was put back to an earlier block, signs no second root under a number that is out in the world.
type epochs struct {
	dir    string // empty: none are made
	secret tlog.Secret
	notary *notary

	making sync.Mutex // held while one is made
	last   uint64     // the highest number there was in the folder, whole or not

	mu     sync.RWMutex
	signed []byte // root of the newest; nil: there is none
	tree   *tlog.SumFile
	file   *os.File
	made   time.Time // by the file's time
}

// openEpochs finds the newest epoch that is whole. One that is damaged is not served, and neither is an older one in its place,
// as the log's checkpoints would go back to that; all of it is of the past, and no reason not to start.
func openEpochs(cfg *Config, n *notary) (*epochs, error) {
	e := &epochs{dir: cfg.Liabilities, secret: cfg.Ring.LiabilitySalts(), notary: n}
	if e.dir == "" {
		return e, nil
	}
	if err := os.MkdirAll(e.dir, 0o700); err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	whole, all, err := e.stored()
	if err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	if len(all) > 0 {
		e.last = all[len(all)-1]
	}
	if len(whole) > 0 {
		newest := whole[len(whole)-1]
		if err := e.open(newest); err != nil {
			cfg.Logger.Error("the newest proof of liabilities is damaged: there is none until the next is made", "epoch", newest, "err", err)
		}
	}
	return e, nil
}

// stored are the numbers that there are files of, and those that are whole as far as the names tell, lowest first.
func (e *epochs) stored() (whole, all []uint64, err error) {
	files, err := os.ReadDir(e.dir)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range files {
		name, kind, _ := strings.Cut(f.Name(), ".")
		epoch, err := strconv.ParseUint(name, 10, 63)
		if err != nil || kind != "note" && kind != "tree" {
			continue // nothing of ours
		}
		all = append(all, epoch)
		if kind == "note" {
			whole = append(whole, epoch)
		}
	}
	slices.Sort(all)
	slices.Sort(whole)
	return whole, slices.Compact(all), nil
}

func (e *epochs) path(epoch uint64, kind string) string {
	return filepath.Join(e.dir, fmt.Sprintf("%013d.%s", epoch, kind))
}

// open makes a whole epoch the one that is served.
func (e *epochs) open(epoch uint64) error {
	signed, err := os.ReadFile(e.path(epoch, "note"))
	if err != nil {
		return err
	}
	f, err := os.Open(e.path(epoch, "tree"))
	if err != nil {
		return err
	}
	tree, made, err := e.check(f, signed)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	old := e.file
	e.signed, e.tree, e.file, e.made = signed, tree, f, made
	e.notary.announce(tree.Line())
	if old != nil {
		return old.Close()
	}
	return nil
}

// check makes sure that a tree is the one whose root was signed, with this hub's key if not under its present name: it may have
// moved since. It returns the tree and when it was made.
func (e *epochs) check(f *os.File, signed []byte) (tree *tlog.SumFile, made time.Time, err error) {
	info, err := f.Stat()
	if err != nil {
		return nil, made, err
	}
	if tree, err = tlog.OpenSumFile(f, info.Size(), e.secret); err != nil {
		return nil, made, err
	}
	var unverified *note.UnverifiedNoteError
	if _, err := note.Open(signed, note.VerifierList()); !errors.As(err, &unverified) {
		return nil, made, fmt.Errorf("signed root: %w", err)
	}
	_, key, err := tlog.NewSigner(unverified.Note.UnverifiedSigs[0].Name, e.notary.ring.LogKey())
	if err != nil {
		return nil, made, err
	}
	v, err := tlog.NewVerifier(key)
	if err != nil {
		return nil, made, err
	}
	root, err := tlog.OpenLiabilities(signed, v)
	if err == nil && root != tree.Liabilities {
		err = fmt.Errorf("%w: the signed root is of another tree", tlog.ErrProof)
	}
	return tree, info.ModTime(), err
}

// close releases the newest tree.
func (e *epochs) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.signed, e.tree = nil, nil
	if e.file == nil {
		return nil
	}
	err := e.file.Close()
	e.file = nil
	return err
}

// MakeLiabilities makes a proof of liabilities over the balances as they are now, and signs its root. It takes about half a second
// for a million accounts, while payments go on; of two calls at a time the second waits.
func (h *Hub) MakeLiabilities() (tlog.Liabilities, error) {
	e := h.epochs
	if e.dir == "" {
		return tlog.Liabilities{}, ErrEpochs
	}
	e.making.Lock()
	defer e.making.Unlock()
	h.mu.Lock()
	view := h.state.View()
	h.mu.Unlock()
	l, err := e.make(view, h.clock())
	if err != nil {
		return tlog.Liabilities{}, fmt.Errorf("making a proof of liabilities: %w", err)
	}
	h.cfg.Logger.Info("made a proof of liabilities", "epoch", l.Epoch, "block", l.Block, "holders", l.Leaves, "msat", l.Total)
	return l, nil
}

// make makes the epoch of a time. e.making must be held.
func (e *epochs) make(view *ledger.View, now uint64) (l tlog.Liabilities, err error) {
	l = tlog.Liabilities{Epoch: max(now, view.Time(), e.last+1), Block: view.Index(), Time: view.Time()}
	e.last = l.Epoch
	err = writeFile(e.path(l.Epoch, "tree"), func(f *os.File) (err error) {
		l, err = tlog.WriteLiabilities(f, l, e.secret, holders{view})
		return err
	})
	if err != nil {
		return l, err
	}
	signed, err := l.Sign(e.notary.signer)
	if err != nil {
		return l, err
	}
	err = writeFile(e.path(l.Epoch, "note"), func(f *os.File) error {
		_, err := f.Write(signed)
		return err
	})
	if err != nil {
		return l, err
	}
	if err := e.open(l.Epoch); err != nil {
		return l, err
	}
	return l, e.prune()
}

// prune removes all but the newest epochs.
func (e *epochs) prune() error {
	_, all, err := e.stored()
	for _, old := range all[:max(0, len(all)-keptEpochs)] {
		err = errors.Join(err, remove(e.path(old, "note")), remove(e.path(old, "tree")))
	}
	return err
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// writeFile puts a file in its place when it is whole and durable, for its owner only.
func writeFile(path string, write func(*os.File) error) error {
	f, err := os.OpenFile(path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path+".new"))
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// holders are the accounts of a view: the hub's fees, what lies in escrow, and every customer.
type holders struct{ view *ledger.View }

func (h holders) Len() int { return 2 + int(h.view.Counts().Accounts) }

func (h holders) Holder(i int) tlog.Holder {
	no := ledger.Fees
	switch {
	case i == 1:
		no = ledger.Escrow
	case i > 1:
		no = ledger.FirstAccount + ledger.AccountNo(i) - 2
	}
	a, _ := h.view.Account(no)
	return tlog.Holder{Account: no, Balance: ledger.Msat(a.Available) + a.Held}
}

func (e *epochs) newest() (signed []byte, l tlog.Liabilities, err error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.tree == nil {
		return nil, l, ErrNoEpoch
	}
	return e.signed, e.tree.Liabilities, nil
}

// Liabilities returns the signed root of the newest proof of liabilities.
func (h *Hub) Liabilities() ([]byte, error) {
	signed, _, err := h.epochs.newest()
	return signed, err
}

// LiabilityProof returns an account's part of the newest proof of liabilities: see tlog.LiabilityProof.
func (h *Hub) LiabilityProof(no ledger.AccountNo) ([]byte, error) {
	e := h.epochs
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.tree == nil {
		return nil, ErrNoEpoch
	}
	p, ok, err := e.tree.Prove(no, e.signed)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, ErrNotInEpoch
	}
	return p.Write(), nil
}

// publish makes a proof of liabilities whenever the last one is old enough, until the hub stops.
func (h *Hub) publish() {
	defer close(h.published)
	if h.cfg.EpochEvery <= 0 || h.epochs.dir == "" {
		return
	}
	wait := h.epochs.due(h.cfg.EpochEvery)
	for {
		select {
		case <-time.After(wait):
		case <-h.stop:
			return
		}
		if wait = h.epochs.due(h.cfg.EpochEvery); wait > 0 {
			continue // the operator has made one meanwhile
		}
		if _, err := h.MakeLiabilities(); err != nil {
			h.cfg.Logger.Error("no proof of liabilities", "err", err)
			wait = min(h.cfg.EpochEvery, time.Minute)
		}
	}
}

// due is how long the newest epoch is good for.
func (e *epochs) due(every time.Duration) time.Duration {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return max(0, every-time.Since(e.made))
}
