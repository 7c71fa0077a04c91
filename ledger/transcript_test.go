package ledger_test

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/ledgertest"
)

// TestTranscripts runs testdata/transcripts: each command is one op in a block of its own, or one of:
//
//	ledger [fee_ppm=N] [window=MS] [ahead=MS]   a new one, at time 0 of the transcript
//	wait ms=N                                               lets the clock run
//	restart                                                 through a snapshot
//	show                                                    every account that has or owes money
//
// Accounts, channels, holds and contents have names, given by the op that makes them. An id is a word: the same word is the
// same id, made at the time of its first use, or "at" ms after that. Output: the result, for an op that was applied its seq
// and amount, and what each account has now that has another balance than before. -rewrite writes the output anew.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/transcripts", func(t *testing.T, path string) {
		tr := newTranscript(t, ledger.DefaultParams())
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			tr.workbench.t = t
			return tr.command(d)
		})
	})
}

type transcript struct {
	*workbench
	now      uint64
	accounts []named
	objects  map[string]uint32 // channels and holds
	ids      map[string]ledger.OpID
	last     map[string]string // what was shown of each account
}

type named struct {
	name string
	no   ledger.AccountNo
}

func newTranscript(t *testing.T, p ledger.Params) *transcript {
	tr := &transcript{workbench: newWorkbench(t, p), now: testTime, objects: map[string]uint32{}, ids: map[string]ledger.OpID{},
		last: map[string]string{}}
	for name, no := range map[string]ledger.AccountNo{"fees": ledger.Fees, "dev": ledger.Dev, "lightning": ledger.Lightning, "chain": ledger.Chain, "escrow": ledger.Escrow} {
		tr.accounts = append(tr.accounts, named{name, no})
	}
	slices.SortFunc(tr.accounts, func(a, b named) int { return int(a.no) - int(b.no) })
	tr.changes()
	return tr
}

func (tr *transcript) command(d *datadriven.TestData) string {
	switch d.Cmd {
	case "ledger":
		p := ledger.DefaultParams()
		p.FeePPM = uint32(tr.number(d, "fee_ppm", 0))
		p.IDWindow = tr.number(d, "window", p.IDWindow)
		p.IDAhead = tr.number(d, "ahead", p.IDAhead)
		*tr = *newTranscript(tr.t.(*testing.T), p)
		return "ok"
	case "wait":
		tr.now += tr.number(d, "ms", 0)
		return "ok"
	case "restart":
		restart(tr.t, tr.workbench, ledger.Seed{7, 7})
		return "ok"
	case "show":
		clear(tr.last)
		return strings.TrimPrefix(tr.changes(), "\n")
	}
	op, detail := tr.op(d)
	a := tr.block([]ledgertest.Step{{Time: tr.now, Op: op, Detail: detail}})[0]
	if err := tr.state.Audit(); err != nil {
		d.Fatalf(tr.t, "%v", err)
	}
	if name := tr.word(d, "name"); name != "" && a.Result() == ledger.Done {
		tr.name(op.Kind, name, a.Object())
	}
	return tr.outcome(op.Kind, a) + tr.changes()
}

func (tr *transcript) outcome(k ledger.Kind, a ledger.Applied) string {
	s := a.Result().String()
	if a.Seq() != 0 {
		s += fmt.Sprintf(" seq=%d", a.Seq())
	}
	if a.Amount() != 0 {
		s += fmt.Sprintf(" amount=%d", a.Amount())
	}
	if (k == ledger.OpReprice || k == ledger.OpTerms) && a.Result().OK() {
		s += fmt.Sprintf(" version=%d", a.Object())
	}
	if k == ledger.OpSplit && a.Result().OK() {
		s += fmt.Sprintf(" number=%d", a.Object())
	}
	return s
}

// changes shows the accounts that have another balance than when they were last shown.
func (tr *transcript) changes() string {
	var b strings.Builder
	for _, n := range tr.accounts {
		a, _ := tr.state.Account(n.no)
		now := strconv.FormatInt(a.Available, 10)
		if a.Held != 0 {
			now += fmt.Sprintf(" held=%d", a.Held)
		}
		if now != tr.last[n.name] && !(now == "0" && tr.last[n.name] == "") {
			fmt.Fprintf(&b, "\n  %s: %s", n.name, now)
		}
		tr.last[n.name] = now
	}
	return b.String()
}

func (tr *transcript) name(k ledger.Kind, name string, object uint32) {
	if k == ledger.OpOpenAccount {
		tr.accounts = append(tr.accounts, named{name, ledger.AccountNo(object)})
		return
	}
	tr.objects[name] = object
}

var transcriptKinds = func() map[string]ledger.Kind {
	kinds := map[string]ledger.Kind{}
	for _, k := range ledger.AllKinds() {
		kinds[k.String()] = k
	}
	return kinds
}()

// op reads a command: who does it is "from", "by", "buyer" or "seller", whom it is for "to".
func (tr *transcript) op(d *datadriven.TestData) (ledger.Op, []byte) {
	kind, ok := transcriptKinds[d.Cmd]
	if !ok {
		d.Fatalf(tr.t, "unknown command")
	}
	op := ledger.Op{Kind: kind, Amount: ledger.Msat(tr.number(d, "amount", 0))}
	for _, role := range []string{"from", "by", "buyer", "seller"} {
		if name := tr.word(d, role); name != "" {
			op.Actor = tr.account(d, name)
		}
	}
	for _, what := range []string{"channel", "hold", "claim"} {
		if name := tr.word(d, what); name != "" {
			op.Target = tr.objects[name]
		}
	}
	if to := tr.word(d, "to"); to != "" && kind == ledger.OpCapture {
		op.Version = uint32(tr.account(d, to))
	} else if to != "" {
		op.Target = uint32(tr.account(d, to))
	}
	var detail []byte
	switch kind {
	case ledger.OpRegister:
		detail = tr.registration(d)
		op.Amount = ledger.Msat(tr.number(d, "price", 0))
	case ledger.OpSplit:
		detail = ledger.AppendPayees(nil, tr.payees(d))
	case ledger.OpTerms:
		detail = tr.terms(d)
		op.Amount = ledger.Msat(tr.number(d, "price", 0))
	case ledger.OpRate:
		op.Amount = ledger.Msat(tr.number(d, "msat", 0))
		op.Version = tr.currency(d).Version()
		op.Target = uint32((testTime + tr.number(d, "until_ms", 0)) / 1000)
	case ledger.OpClaim, ledger.OpAnswer, ledger.OpDecide:
		detail = tr.claim(d, &op)
	case ledger.OpReprice:
		op.Amount = ledger.Msat(tr.number(d, "price", 0))
	case ledger.OpAdvance:
		op.Amount = ledger.Msat(tr.number(d, "total", 0))
	case ledger.OpVoucher:
		op.Amount = ledger.Msat(tr.number(d, "total", 0))
		detail = signature(byte(tr.number(d, "signature", 1)))
	case ledger.OpOpenTerms:
		op.Version = uint32((testTime + tr.number(d, "expires_ms", 0)) / 1000)
		detail = tr.channelTerms(d)
	case ledger.OpUnlock, ledger.OpGift:
		op.Amount = ledger.Msat(tr.number(d, "max", 0))
	case ledger.OpUnlockUnit:
		op.Target = uint32(tr.number(d, "unit", 0))
		op.Amount = ledger.Msat(tr.number(d, "max", 0))
	case ledger.OpOpenChannel, ledger.OpRenew:
		op.Version = uint32((testTime + tr.number(d, "expires_ms", 0)) / 1000)
	}
	op.Version |= uint32(tr.number(d, "version", 0))
	tr.setID(d, &op)
	return op, detail
}

func (tr *transcript) setID(d *datadriven.TestData, op *ledger.Op) {
	probe := ledger.Op{Kind: op.Kind}
	tr.fillID(&probe)
	if content := tr.word(d, "content"); content != "" {
		op.ID = contentID(content)
	} else if probe.ID != [16]byte{} {
		word := tr.word(d, "id")
		if word == "" {
			word = fmt.Sprintf("line %s", d.Pos)
		}
		id, known := tr.ids[word]
		if !known {
			sum := sha256.Sum256([]byte(word))
			offset, _ := strconv.ParseInt(tr.word(d, "at"), 10, 64)
			id = ledger.NewOpID(uint64(int64(tr.now)+offset), [10]byte(sum[:10]))
			tr.ids[word] = id
		}
		op.ID = id
	}
}

func (tr *transcript) currency(d *datadriven.TestData) (c ledger.Currency) {
	copy(c[:], tr.word(d, "currency"))
	return c
}

// terms are named as their fields; ends_ms is counted from the beginning of the transcript.
func (tr *transcript) terms(d *datadriven.TestData) []byte {
	n := func(key string) uint32 { return uint32(tr.number(d, key, 0)) }
	t := ledger.Terms{Currency: tr.currency(d), Copies: n("copies"), Refund: n("refund"), Hours: n("hours"), Units: n("units"), FreeUnits: n("free_units")}
	if ms := tr.number(d, "ends_ms", 0); ms != 0 {
		t.Ends = uint32((testTime + ms) / 1000)
	}
	return ledger.AppendTerms(nil, &t)
}

func contentID(name string) ledger.ContentID {
	sum := sha256.Sum256([]byte(name))
	return ledger.ContentID(sum[:16])
}

func (tr *transcript) registration(d *datadriven.TestData) []byte {
	r := ledger.Registration{Commitment: sha256.Sum256([]byte(tr.key(d))), Title: "a work", Size: 1, Payees: tr.payees(d)}
	return ledger.AppendRegistration(nil, &r)
}

func (tr *transcript) key(d *datadriven.TestData) string {
	key := tr.word(d, "key")
	if key == "" {
		key = tr.word(d, "content")
	}
	return key
}

func (tr *transcript) payees(d *datadriven.TestData) (payees []ledger.Payee) {
	for _, arg := range d.CmdArgs {
		if arg.Key != "split" {
			continue
		}
		for _, v := range arg.Vals {
			name, share, _ := strings.Cut(v, ":")
			n, err := strconv.ParseUint(share, 10, 32)
			if err != nil {
				d.Fatalf(tr.t, "split: %v", err)
			}
			payees = append(payees, ledger.Payee{Account: tr.account(d, name), Share: uint32(n)})
		}
	}
	return payees
}

func (tr *transcript) channelTerms(d *datadriven.TestData) []byte {
	t := ledger.ChannelTerms{PerMinute: ledger.Msat(tr.number(d, "per_minute", 0))}
	switch tr.word(d, "mode") {
	case "payee":
		t.Mode = ledger.PayeeAdvances
	case "signed":
		t.Mode, t.Key = ledger.Signed, [32]byte{1}
	}
	return ledger.AppendChannelTerms(nil, &t)
}

func (tr *transcript) account(d *datadriven.TestData, name string) ledger.AccountNo {
	for _, n := range tr.accounts {
		if n.name == name {
			return n.no
		}
	}
	if name != "nobody" {
		d.Fatalf(tr.t, "no account %q; call who does not exist nobody", name)
	}
	return 1_000_000
}

func (tr *transcript) word(d *datadriven.TestData, key string) (s string) {
	d.MaybeScanArgs(tr.t, key, &s)
	return s
}

func (tr *transcript) number(d *datadriven.TestData, key string, otherwise uint64) uint64 {
	d.MaybeScanArgs(tr.t, key, &otherwise)
	return otherwise
}
