package lnurl

import (
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// window counts invoices that are open: not paid, and not expired. All expire after the same time, so that they are a queue. What was
// made before a restart is not counted; the rails' own bounds hold.
type window struct {
	most, mostEach int
	total          int                                // admitted, paid or not made invoices not counted
	each           map[ledger.AccountNo]int           // of total
	open           map[channels.Hash]ledger.AccountNo // of total, those that are made
	queue          []slot                             // what is in open and what has left it, the oldest first
}

type slot struct {
	hash  channels.Hash
	until time.Time
}

func newWindow(most, mostEach int) window {
	return window{most: most, mostEach: mostEach, each: make(map[ledger.AccountNo]int), open: make(map[channels.Hash]ledger.AccountNo)}
}

func (w *window) admit(account ledger.AccountNo, now time.Time) bool {
	gone := 0
	for gone < len(w.queue) && !now.Before(w.queue[gone].until) {
		w.leave(w.queue[gone].hash)
		gone++
	}
	if gone > 0 {
		w.queue = append(w.queue[:0], w.queue[gone:]...)
	}
	if w.total >= w.most || len(w.queue) >= 4*w.most || w.each[account] >= w.mostEach {
		return false
	}
	w.total++
	w.each[account]++
	return true
}

// made follows each admit. No hash: no invoice was made.
func (w *window) made(account ledger.AccountNo, hash channels.Hash, until time.Time) {
	w.open[hash] = account
	if hash == (channels.Hash{}) {
		w.leave(hash)
		return
	}
	w.queue = append(w.queue, slot{hash, until})
}

func (w *window) leave(hash channels.Hash) {
	account, ok := w.open[hash]
	if !ok {
		return
	}
	delete(w.open, hash)
	w.total--
	if w.each[account]--; w.each[account] == 0 {
		delete(w.each, account)
	}
}
