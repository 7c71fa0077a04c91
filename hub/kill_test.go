package hub_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/ledger"
)

const (
	killFolder = "MILLRACE_TEST_KILL_FOLDER" // set in the child: the data folder to run a hub on
	killRounds = "MILLRACE_TEST_KILL_ROUNDS" // how often to kill; 10 when not set
	killSeller = ledger.FirstAccount
	killBuyers = 8 // the accounts behind the seller's
	killWorks  = 40
	killFunds  = 1_000_000_000
)

// TestKill runs a hub in a child process, with clients that write down whatever is acknowledged, and kills it at random times
// without warning. All that was written down is there afterwards, once, and no msat is lost.
func TestKill(t *testing.T) {
	if dir := os.Getenv(killFolder); dir != "" {
		if err := victim(dir); err != nil {
			fmt.Println("!", err)
		}
		return
	}
	rounds := 10
	if n, err := strconv.Atoi(os.Getenv(killRounds)); err == nil {
		rounds = n
	}
	r := newRig(t, setup{fee: 30_000})
	r.account(0)
	for range killBuyers {
		r.account(killFunds)
	}
	for i := range killBuyers {
		r.channels(killSeller+1+ledger.AccountNo(i), killSeller, 1, killFunds/2) // numbered from 1, as the buyers
	}
	works := map[ledger.ContentID]work{}
	for i := range killWorks {
		w := sealFor(t, r.SealingKeys()[0], testOrigin, killWork(i), killSeller, fmt.Sprintf("work %d", i), 1000)
		works[r.register(w)] = w
	}
	r.stop()
	seen := acknowledged{transfers: map[ledger.OpID]ack{}, totals: map[uint32]ledger.Msat{}, unlocks: map[ownership]ack{}}
	for round := range rounds {
		seen.read(t, killOnce(t, r.dir, time.Duration(rand.IntN(120))*time.Millisecond))
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
		r.start()
		seen.check(t, r, works)
		r.stop()
		if s, _ := audit(t, r.dir); s.Supply() != killBuyers*killFunds {
			t.Fatalf("round %d: supply %d", round, s.Supply())
		}
	}
	t.Logf("%d kills: %d transfers, %d advances, %d unlocks acknowledged and kept", rounds, len(seen.transfers), seen.advances, len(seen.unlocks))
	if len(seen.transfers) == 0 || seen.advances == 0 || len(seen.unlocks) == 0 {
		t.Error("too little was acknowledged to say anything")
	}
}

func killWork(i int) ledger.ContentID { return ledger.ContentID{0xc0, byte(i)} }

// victim is the child: a hub with a client for each buyer, which goes on until it is killed.
func victim(dir string) error {
	h, s, err := openHub(dir, hub.Config{}, func(err error) { fmt.Println("!", err) })
	if err != nil {
		return err
	}
	h.Start(s)
	var wg sync.WaitGroup
	for i := range killBuyers {
		wg.Go(func() {
			if err := buy(h, i); err != nil {
				fmt.Println("!", err)
			}
		})
	}
	wg.Wait()
	return nil
}

// buy is one client. What it was told is written down, a line for each op, before it goes on.
func buy(h *hub.Hub, i int) error {
	me, channel := killSeller+1+ledger.AccountNo(i), ledger.ChannelNo(i+1)
	c, _ := h.Channel(channel)
	total := c.Total
	var b hub.Batch
	for {
		b.Reset()
		for range 1 + rand.IntN(8) {
			b.Ops = append(b.Ops, transfer(me, killSeller+ledger.AccountNo(rand.IntN(killBuyers+1)), ledger.Msat(1+rand.IntN(100))))
		}
		total++
		b.Ops = append(b.Ops, ledger.Op{Kind: ledger.OpAdvance, Actor: me, Target: uint32(channel), Amount: total})
		if err := h.Submit(&b); err != nil {
			return err
		}
		var lines bytes.Buffer
		for j, a := range b.Out {
			switch op := b.Ops[j]; {
			case a.Result() == ledger.SameAccount:
			case a.Result() != ledger.Done:
				return fmt.Errorf("%v: %v", op.Kind, a.Result())
			case op.Kind == ledger.OpAdvance:
				fmt.Fprintf(&lines, "a %d %d\n", op.Target, op.Amount)
			default:
				fmt.Fprintf(&lines, "t %v %d %d %d %d\n", ledger.OpID(op.ID), op.Actor, op.Target, op.Amount, a.Seq())
			}
		}
		if rand.IntN(4) == 0 {
			id := killWork(rand.IntN(killWorks))
			a, key, err := h.Unlock(&b, hub.Purchase{Buyer: me, Content: id, PriceVersion: 1})
			if err != nil || !a.Result().OK() {
				return fmt.Errorf("unlock: %v, %w", a.Result(), err)
			}
			fmt.Fprintf(&lines, "u %d %v %d %s\n", me, id, a.Seq(), hex.EncodeToString(key[:]))
		}
		if _, err := os.Stdout.Write(lines.Bytes()); err != nil { // one write, smaller than what a pipe takes whole
			return err
		}
	}
}

// killOnce starts a child on the folder, kills it so long after its first word, and returns what it wrote down.
func killOnce(t *testing.T, dir string, after time.Duration) []string {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestKill$")
	child.Env = append(os.Environ(), killFolder+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	guard := time.AfterFunc(30*time.Second, func() { _ = child.Process.Kill() }) // should it never say a word
	defer guard.Stop()
	var lines []string
	in := bufio.NewReader(out)
	for {
		line, err := in.ReadString('\n')
		if err != nil { // what stands behind the last newline was not written down
			break
		}
		if lines = append(lines, strings.TrimSpace(line)); len(lines) == 1 {
			time.AfterFunc(after, func() { _ = child.Process.Kill() })
		}
	}
	_ = child.Wait()
	if len(lines) == 0 {
		t.Fatal("the child said nothing")
	}
	return lines
}

// acknowledged is all that children were ever told.
type acknowledged struct {
	transfers map[ledger.OpID]ack
	totals    map[uint32]ledger.Msat
	unlocks   map[ownership]ack
	advances  int
}

type ack struct {
	op  ledger.Op
	seq uint64
	key string
}

type ownership struct {
	buyer   ledger.AccountNo
	content ledger.ContentID
}

func (k *acknowledged) read(t *testing.T, lines []string) {
	t.Helper()
	for _, line := range lines {
		var a ack
		var id, key string
		var err error
		switch line[0] {
		case 't':
			a.op.Kind = ledger.OpTransfer
			if _, err = fmt.Sscanf(line, "t %s %d %d %d %d", &id, &a.op.Actor, &a.op.Target, &a.op.Amount, &a.seq); err == nil {
				var op ledger.OpID
				op, err = ledger.ParseOpID(id)
				a.op.ID = op
				k.transfers[op] = a
			}
		case 'a':
			if _, err = fmt.Sscanf(line, "a %d %d", &a.op.Target, &a.op.Amount); err == nil {
				k.totals[a.op.Target] = max(k.totals[a.op.Target], a.op.Amount)
				k.advances++
			}
		case 'u':
			var o ownership
			if _, err = fmt.Sscanf(line, "u %d %s %d %s", &o.buyer, &id, &a.seq, &key); err == nil {
				o.content, err = ledger.ParseContentID(id)
				a.key = key
				if old, ok := k.unlocks[o]; ok && old != a {
					t.Errorf("unlocked with seq %d, and again with seq %d", old.seq, a.seq)
				}
				k.unlocks[o] = a
			}
		default:
			err = fmt.Errorf("the child says")
		}
		if err != nil {
			t.Errorf("%v: %q", err, line)
		}
	}
}

// check sends everything once more: it is all there, and nothing moves.
func (k *acknowledged) check(t *testing.T, r *rig, works map[ledger.ContentID]work) {
	t.Helper()
	seq := r.metric("millrace_ledger_seq", "")
	var b hub.Batch
	flush := func() {
		if err := r.Submit(&b); err != nil {
			t.Fatal(err)
		}
		for i, a := range b.Out {
			if want := k.transfers[b.Ops[i].ID].seq; a.Result() != ledger.Repeated || a.Seq() != want {
				t.Fatalf("a transfer was acknowledged with seq %d, and is %v with seq %d", want, a.Result(), a.Seq())
			}
		}
		b.Reset()
	}
	for _, a := range k.transfers {
		if b.Ops = append(b.Ops, a.op); len(b.Ops) == hub.MaxBatchOps {
			flush()
		}
	}
	flush()
	for no, total := range k.totals {
		if c, _ := r.Channel(ledger.ChannelNo(no)); c.Total < total {
			t.Errorf("channel %d was acknowledged at %d, and is at %d", no, total, c.Total)
		}
	}
	for o, a := range k.unlocks {
		got, key, err := r.Unlock(&b, hub.Purchase{Buyer: o.buyer, Content: o.content, PriceVersion: 1})
		if err != nil || got.Result() != ledger.Repeated || got.Seq() != a.seq || hex.EncodeToString(key[:]) != a.key {
			t.Errorf("an unlock was acknowledged with seq %d, and is %v with seq %d, %v", a.seq, got.Result(), got.Seq(), err)
		} else if !works[o.content].opens(key) {
			t.Error("the key does not open the work")
		}
	}
	if now := r.metric("millrace_ledger_seq", ""); now != seq {
		t.Errorf("repeats made %v entries", now-seq)
	}
}
