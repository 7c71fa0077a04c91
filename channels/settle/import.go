package settle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// File is what an import was made of.
type File struct {
	ID      string `json:"id"`     // that it was sent with, or has inside: the same again, for the same account, is the same import
	Sum     string `json:"sha256"` // of its bytes, in hex
	Name    string `json:"name,omitempty"`
	Format  Format `json:"format"`
	Message string `json:"message,omitempty"` // of pain.001, which version
	Lines   uint32 `json:"lines"`
	Invalid uint32 `json:"invalid,omitempty"` // lines that were passed over
}

// Upload is a file of payments to be paid by an account.
type Upload struct {
	Account ledger.AccountNo
	Format  Format
	Body    io.Reader
	// ID makes the file one import, however often it is sent: at most 64 bytes. Of a pain.001 it is the MsgId, and this may be empty, or must
	// be the same; of others, if this is empty, it is the SHA-256 of the file.
	ID   string
	Name string // for people: at most 200 bytes
	By   string // whose token it came with
	// SkipInvalid pays what is sound. Otherwise nothing is paid if a line is wrong.
	SkipInvalid bool
	DryRun      bool   // nothing is written, and nothing paid
	MaxFee      uint32 // what a payment may cost, in parts per million; zero: the house's limit
}

// Import is the answer to an upload.
type Import struct {
	Accepted bool        `json:"accepted"` // it is paid, or will be when it is approved; in a dry run: it would be
	Repeated bool        `json:"repeated"` // it was sent before: Run is that import's
	Run      *Run        `json:"run,omitempty"`
	File     File        `json:"file"`
	Total    ledger.Msat `json:"total_msat"` // of the sound lines
	FeeLimit ledger.Msat `json:"fee_limit_msat"`
	Problems []Problem   `json:"problems,omitempty"` // the first maxProblems of them
}

// Problem is what is wrong with a line; of line zero, with the file as a whole, of which then nothing is paid.
type Problem struct {
	Line  uint32 `json:"line"`
	Given string `json:"id,omitempty"` // the line's own id
	Group string `json:"group,omitempty"`
	Text  string `json:"text"`
}

var (
	ErrUpload = errors.New("not an upload")
	// ErrFileID means that another file came with the same id before.
	ErrFileID = errors.New("another file came with this id before")
)

// imported is what is remembered of a file: see fileKey.
type imported struct {
	ID  string      `json:"id"`
	Sum string      `json:"sha256"`
	Run channels.ID `json:"run"`
}

func filePlace(no ledger.AccountNo, id string) []byte {
	sum := sha256.Sum256([]byte(id))
	return append(accountKey(fileKey, no), sum[:]...)
}

// Import pays a file of payments out of one account: all of it, or, where SkipInvalid says so, what is sound. An error is one of the
// upload or the hub; what is wrong in the file stands in the answer. The same file again is the same import.
func (d *Desk) Import(ctx context.Context, u Upload) (Import, error) {
	if a, ok := d.cfg.Ledger.Account(u.Account); !ok || u.Account < ledger.FirstAccount || a.Opened == 0 {
		return Import{}, ErrAccount
	}
	if len(u.ID) > maxGiven || len(u.Name) > 200 || len(u.By) > maxOperator || !plain(u.ID+u.Name+u.By) || u.MaxFee > ledger.PPM {
		return Import{}, fmt.Errorf("%w: its id or name is too long, or its fee limit above a whole", ErrUpload)
	}
	text, err := io.ReadAll(io.LimitReader(u.Body, MaxFile+1))
	if err != nil {
		return Import{}, fmt.Errorf("reading the file: %w", err)
	}
	select { // nothing else waits for the reading of files, nor for the nodes that are asked for them
	case d.reading <- struct{}{}:
		defer func() { <-d.reading }()
	case <-ctx.Done():
		return Import{}, fmt.Errorf("waiting for other files to be read: %w", context.Cause(ctx))
	case <-d.ctx.Done():
		return Import{}, ErrClosed
	}
	s, err := parseSheet(u.Format, text)
	if err != nil {
		return Import{}, err
	}
	in := Import{File: File{Sum: hexSum(text), Name: u.Name, Format: u.Format, Message: s.Message, Lines: uint32(len(s.Lines))}}
	text = nil
	if in.File.ID, err = s.fileID(&u, in.File.Sum); err != nil {
		return in, err
	}
	switch repeated, err := d.repeated(&in, u.Account); {
	case err != nil:
		return in, err
	case repeated:
		return in, nil
	}
	items, err := d.examine(ctx, &u, &s, &in)
	if err != nil {
		return in, err
	}
	in.Accepted = len(s.Problems) == 0 && in.Total > 0 && (in.File.Invalid == 0 || u.SkipInvalid)
	if !in.Accepted || u.DryRun {
		return in, nil
	}
	d.making.Lock()
	defer d.making.Unlock()
	first := in
	if repeated, err := d.repeated(&first, u.Account); err != nil || repeated { // it was sent twice at once: it is paid once, too
		first.Problems = nil
		return first, err
	}
	return d.pay(&u, in, items)
}

func hexSum(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// fileID is what a file is known by.
func (s *Sheet) fileID(u *Upload, sum string) (string, error) {
	switch {
	case u.Format == Pain && u.ID != "" && s.ID != "" && u.ID != s.ID:
		return "", fmt.Errorf("%w: its id is %q, and the MsgId in it %q", ErrUpload, u.ID, s.ID)
	case u.Format == Pain && s.ID != "":
		return s.ID, nil
	case u.ID != "":
		return u.ID, nil
	}
	return "sha256:" + sum, nil
}

// repeated says whether a file was imported before, and then answers with that.
func (d *Desk) repeated(in *Import, no ledger.AccountNo) (bool, error) {
	var before imported
	found, err := get(d.rec, filePlace(no, in.File.ID), &before)
	if err != nil || !found {
		return false, err
	}
	if before.Sum != in.File.Sum {
		return false, fmt.Errorf("%w: %q", ErrFileID, in.File.ID)
	}
	run, err := d.Run(before.Run)
	switch {
	case errors.Is(err, ErrUnknownRun): // forgotten since
		run = Run{ID: before.Run, State: Closed, Account: no}
	case err != nil:
		return false, err
	default:
		in.File, in.Total, in.FeeLimit = *run.File, run.Planned, run.FeeLimit
	}
	in.Accepted, in.Repeated, in.Run = true, true, &run
	return true, nil
}

// examine looks at each line as a payment, and at all of them together. What is wrong is in the answer.
func (d *Desk) examine(ctx context.Context, u *Upload, s *Sheet, in *Import) ([]Item, error) {
	m, err := d.cfg.Market(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking what can leave: %w", err)
	}
	e := examiner{desk: d, upload: u, rules: d.Rules(), market: m, invoices: make(map[string]uint32)}
	e.lightning = m.LightningMost
	items := make([]Item, 0, len(s.Lines))
	for i := range s.Lines {
		items = append(items, e.first(&s.Lines[i]))
	}
	for i := range items {
		item := &items[i]
		e.second(&s.Lines[i], item, e.outputs[i])
		if problems := s.Lines[i].Problems; len(problems) > 0 {
			item.Stage, item.Reason, item.Problems, item.Ended = Skipped, InvalidLine, problems, d.now()
			in.File.Invalid++
			continue
		}
		if in.Total += item.Amount; in.Total > ledger.MaxMsat {
			s.wrong("more money than there is")
			break
		}
		in.FeeLimit += item.FeeLimit
		if item.Rail != channels.Internal {
			e.leaving += item.Amount
			e.taking += item.Amount + item.FeeLimit
		}
	}
	e.whole(s, in)
	for _, p := range s.Problems {
		in.Problems = append(in.Problems, Problem{Text: p})
	}
	for i := range s.Lines {
		l := &s.Lines[i]
		for _, p := range l.Problems {
			if len(in.Problems) < maxProblems {
				in.Problems = append(in.Problems, Problem{Line: l.Line, Given: l.Given, Group: l.Group, Text: p})
			}
		}
	}
	return items, nil
}

// examiner examines the lines of a file.
type examiner struct {
	desk      *Desk
	upload    *Upload
	rules     Rules
	market    Market
	lightning ledger.Msat
	onChain   int
	outputs   []Output // by line
	invoices  map[string]uint32
	leaving   ledger.Msat // of the sound lines, what does not stay in the hub
	taking    ledger.Msat // the same with the limits of the fees
}

// first finds out where a line goes.
func (e *examiner) first(l *Line) Item {
	item := Item{Account: e.upload.Account, To: Target{Text: l.To}, Amount: l.Amount, Line: l.Line, Given: l.Given, Group: l.Group,
		Reference: l.Reference, Stage: Waiting}
	to, out, err := ParseTarget(l.To, e.desk.cfg.Network)
	e.outputs = append(e.outputs, out)
	if err != nil {
		l.wrong("to: %v", err)
		return item
	}
	item.To, item.Rail = to, to.Way.Rail()
	switch to.Way {
	case ToAddress:
		e.onChain++
	case ToAccount:
		a, ok := e.desk.cfg.Ledger.Account(to.account())
		if no := to.account(); !ok || no < ledger.FirstAccount || a.Opened == 0 {
			l.wrong("to: %v", ErrAccount)
		} else if no == item.Account {
			l.wrong("to: it is the account that pays")
		}
	case ToInvoice:
		e.invoice(l, to.Text)
	}
	return item
}

func (e *examiner) invoice(l *Line, text string) {
	inv, err := e.desk.cfg.Network.Invoice(text)
	switch {
	case err != nil:
		l.wrong("to: %v", err)
	case inv.Amount != 0 && inv.Amount != l.Amount:
		l.wrong("to: the invoice asks for %d msat", inv.Amount)
	case !inv.Expires.IsZero() && !inv.Expires.After(e.desk.cfg.Clock()):
		l.wrong("to: the invoice has expired")
	case e.invoices[text] != 0:
		l.wrong("to: the same invoice as that of line %d", e.invoices[text])
	default:
		e.invoices[text] = l.Line
	}
}

// second finds out what a line costs, and whether it can be paid, once it is known how many go on-chain.
func (e *examiner) second(l *Line, item *Item, out Output) {
	if item.Amount == 0 || item.To.Way == "" {
		return // it is wrong already
	}
	most := mulDiv(item.Amount, uint64(e.rules.maxFee(e.upload.MaxFee)), ledger.PPM)
	switch item.Rail {
	case channels.Lightning:
		base, ppm := e.rules.lightning()
		item.FeeLimit = min(base+mulDiv(item.Amount, uint64(ppm), ledger.PPM), most)
		if item.Amount > e.lightning {
			l.wrong("amount: no Lightning channel can carry more than %d msat now", e.lightning)
		}
	case channels.Chain:
		cost := e.market.chainFee(out.VSize, e.onChain >= fewOthers)
		item.FeeLimit = cost * chainMargin
		switch {
		case item.Amount%satoshi != 0:
			l.wrong("amount: on-chain there are only whole satoshis")
		case item.Amount < ledger.Msat(out.Dust)*satoshi:
			l.wrong("amount: at least %d sat to this address", out.Dust)
		case cost > most:
			l.wrong("amount: it would cost %d msat now, which is above the limit of %d", cost, most)
		}
	}
	if item.Rail != channels.Internal && e.rules.MaxPayout != 0 && item.Amount+item.FeeLimit > e.rules.MaxPayout {
		l.wrong("amount: with the limit of the fee, %d msat, above the cap of %d msat for a payout", item.FeeLimit, e.rules.MaxPayout)
	}
}

// whole looks at all lines together.
func (e *examiner) whole(s *Sheet, in *Import) {
	no := e.upload.Account
	if s.From != "" && s.From != no.String() {
		s.wrong("DbtrAcct: account %.40q is to pay, and the file was sent for %s", s.From, no)
	}
	if today := e.desk.cfg.Clock().UTC().Format(time.DateOnly); s.Latest > today {
		s.wrong("ReqdExctnDt: %s is in the future: send the file on that day", s.Latest)
	}
	if a, _ := e.desk.cfg.Ledger.Account(no); a.Available < int64(in.Total+in.FeeLimit) {
		s.wrong("account %s has %d msat; the payments and the limits of their fees are %d", no, a.Available, in.Total+in.FeeLimit)
	}
	if e.rules.MaxRun != 0 && e.leaving > e.rules.MaxRun {
		s.wrong("the payments are %d msat, above the cap of %d for a run", e.leaving, e.rules.MaxRun)
	}
	if ok, err := e.desk.gate.Room(no, e.taking); err != nil {
		s.wrong("what the account was paid out today is not known: try again")
	} else if !ok {
		s.wrong("the payments and the limits of their fees are %d msat, above what is left of the cap for the account's day", e.taking)
	}
}

// pay makes the run. d.making is held.
func (d *Desk) pay(u *Upload, in Import, items []Item) (Import, error) {
	if err := d.room(u.Account); err != nil {
		in.Accepted = false
		return in, err
	}
	next := 0
	r := Run{Cause: ByFile, By: u.By, Account: u.Account, File: &in.File}
	run, err := d.create(r, func() (Item, bool, error) {
		if next == len(items) {
			return Item{}, false, nil
		}
		next++
		return items[next-1], true, nil
	}, false, func(id channels.ID) channels.Row {
		return put(filePlace(u.Account, in.File.ID), &imported{in.File.ID, in.File.Sum, id})
	})
	if err != nil {
		in.Accepted = false
		return in, err
	}
	in.Run = &run
	return in, nil
}

// Imports are the files that an account had paid, in no order of time, behind one by its id; of an empty id, from the first on. At most
// MaxPage.
func (d *Desk) Imports(no ledger.AccountNo, behind string, most int) (runs []Run, err error) {
	prefix := accountKey(fileKey, no)
	var from []byte
	if behind != "" {
		from = append(filePlace(no, behind), 0)
	}
	var found []imported
	var failed error
	most = page(most)
	err = d.rec.Scan(prefix, from, func(_, value []byte) bool {
		var f imported
		if failed = decode(value, &f); failed == nil {
			found = append(found, f)
		}
		return failed == nil && len(found) < most
	})
	if err := errors.Join(err, failed); err != nil {
		return nil, err
	}
	for _, f := range found {
		run, err := d.Run(f.Run)
		if errors.Is(err, ErrUnknownRun) {
			run, err = Run{ID: f.Run, State: Closed, Cause: ByFile, Account: no, File: &File{ID: f.ID, Sum: f.Sum}}, nil
		}
		if err != nil {
			return nil, err
		}
		runs = append(runs, run)
	}
	return runs, nil
}
