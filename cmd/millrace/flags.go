package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/ledger"
)

// msatFlag is an amount of money that moves: never zero.
type msatFlag ledger.Msat

func (f *msatFlag) String() string { return strconv.FormatUint(uint64(*f), 10) }
func (f *msatFlag) Type() string   { return "msat" }
func (f *msatFlag) Set(s string) error {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n == 0 || ledger.Msat(n) > ledger.MaxMsat {
		return fmt.Errorf("want whole msat from 1 to %d", ledger.MaxMsat)
	}
	*f = msatFlag(n)
	return nil
}

// accountFlag is an account, or @FILE for the account of the token in a file.
type accountFlag struct {
	ctx context.Context // within which the file must open
	no  ledger.AccountNo
}

func (f *accountFlag) String() string {
	if f.no == 0 {
		return ""
	}
	return f.no.String()
}
func (f *accountFlag) Type() string { return "account" }
func (f *accountFlag) Set(s string) error {
	no, err := parseAccount(f.ctx, s)
	f.no = no
	return err
}

func parseAccount(ctx context.Context, s string) (ledger.AccountNo, error) {
	file, ok := strings.CutPrefix(s, "@")
	if !ok {
		return ledger.ParseAccountNo(s)
	}
	text, err := readToken(ctx, file)
	if err != nil {
		return 0, err
	}
	no, err := identify(text)
	if err == nil && no == 0 {
		err = errors.New("an operator's token has no account")
	}
	return no, err
}

// idFlag is the id of a payment.
type idFlag ledger.OpID

func (f *idFlag) String() string {
	if *f == (idFlag{}) {
		return ""
	}
	return ledger.OpID(*f).String()
}
func (f *idFlag) Type() string { return "uuidv7" }
func (f *idFlag) Set(s string) error {
	id, err := ledger.ParseOpID(s)
	*f = idFlag(id)
	return err
}

// id is the one given, or a new one. It is told before anything is sent: whoever does not see the answer can send the same
// payment again, and it happens once.
func (f *idFlag) id(a *app) ledger.OpID {
	if *f == (idFlag{}) {
		*f = idFlag(client.NewID())
		a.note("id %s (the same command with --id %s is the same payment)", f, f)
	}
	return ledger.OpID(*f)
}

// momentFlag is a time: how long from now, or RFC 3339.
type momentFlag struct{ time.Time }

func (f *momentFlag) String() string {
	if f.IsZero() {
		return ""
	}
	return f.Format(time.RFC3339)
}
func (f *momentFlag) Type() string { return "time" }
func (f *momentFlag) Set(s string) (err error) {
	if d, bad := time.ParseDuration(s); bad == nil {
		if d <= 0 {
			return errors.New("want a time in the future")
		}
		f.Time = time.Now().Add(d)
		return nil
	}
	if f.Time, err = time.Parse(time.RFC3339, s); err != nil {
		return errors.New("want a duration such as 720h, or a time such as 2027-01-31T18:00:00Z")
	}
	return nil
}

// pastFlag is a time that has been: how long ago, or RFC 3339.
type pastFlag struct {
	time.Time
	now bool // no time ago: what that is, the hub knows better
}

// bound is the time for the hub, or zero for its own present.
func (f *pastFlag) bound() time.Time {
	if f.now {
		return time.Time{}
	}
	return f.Time
}

func (f *pastFlag) String() string {
	if f.IsZero() {
		return ""
	}
	return f.Format(time.RFC3339)
}
func (f *pastFlag) Type() string { return "time" }
func (f *pastFlag) Set(s string) (err error) {
	if d, bad := time.ParseDuration(s); bad == nil {
		if d < 0 {
			return errors.New("want a time that has been")
		}
		f.Time, f.now = time.Now().Add(-d), d == 0
		if f.UnixMilli() < 0 {
			return errors.New("want a time after 1970")
		}
		return nil
	}
	f.now = false
	if f.Time, err = time.Parse(time.RFC3339, s); err != nil || f.UnixMilli() < 0 {
		return errors.New("want a duration such as 720h, or a time such as 2027-01-31T18:00:00Z")
	}
	return nil
}

// seqFlag is an entry of the ledger, or none.
type seqFlag struct{ seq *uint64 }

func (f *seqFlag) String() string {
	if f.seq == nil {
		return ""
	}
	return strconv.FormatUint(*f.seq, 10)
}
func (f *seqFlag) Type() string { return "seq" }
func (f *seqFlag) Set(s string) error {
	n, err := strconv.ParseUint(s, 10, 53)
	if err != nil {
		return errors.New("want a whole number")
	}
	f.seq = &n
	return nil
}

// parsePayees reads ACCOUNT=SHARE.
func parsePayees(ctx context.Context, list []string) ([]client.Payee, error) {
	if len(list) > ledger.MaxPayees {
		return nil, usage("--payee: at most %d", ledger.MaxPayees)
	}
	var payees []client.Payee
	for _, s := range list {
		who, share, _ := strings.Cut(s, "=")
		no, err := parseAccount(ctx, who)
		if err != nil {
			return nil, usage("--payee %q: %w", s, err)
		}
		n, err := strconv.ParseUint(share, 10, 32)
		if err != nil || n == 0 || n > ledger.MaxShare {
			return nil, usage("--payee %q: want ACCOUNT=SHARE, with a share from 1 to %d", s, ledger.MaxShare)
		}
		payees = append(payees, client.Payee{Account: no.String(), Share: uint32(n)})
	}
	return payees, nil
}
