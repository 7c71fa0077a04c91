package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/tlog"
	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"
)

func (a *app) receiptCommand() *cobra.Command {
	return a.noun("receipt", "Get the receipt of a payment, verify one without the hub", a.receiptGet(), a.receiptVerify())
}

func (a *app) receiptGet() *cobra.Command {
	var cred credentials
	var out string
	var force bool
	account := accountFlag{ctx: a.ctx}
	c := a.verb("get SEQ", "Get the receipt of an entry of the token's account", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		seq, err := strconv.ParseUint(args[0], 10, 64)
		if err != nil {
			return usage("%q is not the seq of an entry", args[0])
		}
		if out == "" {
			out = args[0] + ".tlog-proof"
		}
		return a.fetch(&cred, account.no, out, force, func(cl *client.Client, no ledger.AccountNo) ([]byte, error) {
			return cl.Receipt(ctx, no, seq)
		})
	})
	c.Long = "A receipt shows that the entry stands in the hub's log. It is one file, by c2sp.org/tlog-proof, that anybody can verify\n" +
		"with the log's key and without the hub: millrace receipt verify. It reveals this one entry, and nothing of any other."
	cred.bind(c.Flags())
	c.Flags().Var(&account, "account", "of which account, with the operator's token")
	c.Flags().StringVarP(&out, "out", "o", "", "where to write it, or - for standard output (default SEQ.tlog-proof)")
	c.Flags().BoolVar(&force, "force", false, "replace what is there")
	return c
}

// fetch gets a text about an account and writes it to a file.
func (a *app) fetch(cred *credentials, no ledger.AccountNo, out string, force bool, get func(*client.Client, ledger.AccountNo) ([]byte, error)) error {
	cl, own, err := cred.client(a)
	if err != nil {
		return err
	}
	if no == 0 {
		no = own
	}
	if no == 0 {
		return usage("the operator's token has no account of its own: name one with --account")
	}
	file, err := a.openOutput(out, force)
	if err != nil {
		return err
	}
	defer file.discard()
	text, err := get(cl, no)
	if err != nil {
		return err
	}
	if err := file.finish(string(text)); err != nil || file.stdout() {
		return err
	}
	return a.print(map[string]any{"out": out, "bytes": len(text)}, "%s: %d bytes", out, len(text))
}

// shownReceipt is what a receipt that verifies says.
type shownReceipt struct {
	Seq      uint64     `json:"seq"`
	Time     uint64     `json:"time"`
	Kind     string     `json:"kind"`
	ID       string     `json:"id,omitempty"`
	Legs     []shownLeg `json:"legs"`
	Block    uint64     `json:"block"`
	Log      string     `json:"log"`
	LogSize  int64      `json:"log_size"`
	RootHash string     `json:"root_hash"`
}

type shownLeg struct {
	Move       string `json:"move"`
	From       string `json:"from"`
	To         string `json:"to,omitempty"`
	Object     uint32 `json:"object,omitempty"`
	AmountMsat uint64 `json:"amount_msat"`
	RateMsat   uint64 `json:"rate_msat,omitempty"` // by which a price in a currency was paid, for a million units
}

func (a *app) receiptVerify() *cobra.Command {
	var key string
	c := a.verb("verify FILE", "Verify a receipt, with the log's key and without the hub", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		v, err := a.verifier(ctx, key)
		if err != nil {
			return err
		}
		text, err := readStart(ctx, args[0], tlog.MaxReceipt+1)
		if err != nil {
			return usage("%w", err)
		}
		r, err := tlog.ParseReceipt(text)
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		checkpoint, err := r.Verify(v)
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		s := showReceipt(r, &checkpoint)
		return a.print(s, "%s", s.text())
	})
	c.Long = "Verify checks that the entry stands in its block, the block in the log, and that the checkpoint is signed with the key. It\n" +
		"asks no hub. Get the key once, from the hub (millrace key log) or better from somebody else, and keep it. What a receipt does\n" +
		"not prove: that everybody is shown the same log. Compare checkpoints with others for that."
	bindKey(c, &key)
	return must(c, "key")
}

func bindKey(c *cobra.Command, key *string) {
	c.Flags().StringVar(key, "key", "", "the log's key, name+hash+key, or @FILE with it: see millrace key log")
}

// verifier reads a log key, or the file with it.
func (a *app) verifier(ctx context.Context, key string) (note.Verifier, error) {
	if file, ok := strings.CutPrefix(key, "@"); ok {
		b, err := readStart(ctx, file, 1<<10)
		if err != nil {
			return nil, usage("--key: %w", err)
		}
		key = string(b)
	}
	v, err := tlog.NewVerifier(key)
	if err != nil {
		return nil, usage("--key: %w", err)
	}
	return v, nil
}

func showReceipt(r *tlog.Receipt, c *tlog.Checkpoint) shownReceipt {
	e := &r.Entry
	s := shownReceipt{Seq: e.Seq, Time: r.Leaf.Time, Kind: e.Kind.String(), Block: r.Leaf.Index, Log: c.Origin, LogSize: c.Size, RootHash: c.Root.String()}
	if e.ID != (ledger.OpID{}) {
		s.ID = e.ID.String()
	}
	for _, l := range e.Legs {
		shown := shownLeg{Move: l.Move.String(), From: l.From.String(), Object: l.Object, AmountMsat: uint64(l.Amount)}
		if l.To != 0 {
			shown.To = l.To.String()
		}
		if l.Move == ledger.MoveRate {
			shown.AmountMsat, shown.RateMsat = 0, uint64(l.Amount)
		}
		s.Legs = append(s.Legs, shown)
	}
	return s
}

func (s *shownReceipt) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "verified: entry %d, %s", s.Seq, s.Kind)
	if s.ID != "" {
		fmt.Fprintf(&b, " %s", s.ID)
	}
	fmt.Fprintf(&b, "\ntime  %s\n", moment(s.Time))
	for _, l := range s.Legs {
		if l.RateMsat != 0 {
			fmt.Fprintf(&b, "rate  %d msat for a million\n", l.RateMsat)
			continue
		}
		fmt.Fprintf(&b, "leg   %s %d msat from %s", l.Move, l.AmountMsat, l.From)
		if l.To != "" {
			fmt.Fprintf(&b, " to %s", l.To)
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "log   %s, block %d, in a checkpoint of %d blocks", plain(s.Log), s.Block, s.LogSize)
	return b.String()
}

func moment(millis uint64) string {
	return time.UnixMilli(int64(millis)).UTC().Format(time.RFC3339Nano)
}
