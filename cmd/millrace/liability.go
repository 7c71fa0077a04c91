package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/tlog"
	"github.com/spf13/cobra"
)

func (a *app) liabilityCommand() *cobra.Command {
	return a.noun("liability", "Check that an account's balance is part of what the hub says it owes",
		a.liabilityGet(), a.liabilityVerify(), a.liabilityMake())
}

func (a *app) liabilityGet() *cobra.Command {
	var cred credentials
	var out string
	var force bool
	account := accountFlag{ctx: a.ctx}
	c := a.verb("get", "Get the account's part of the newest proof of liabilities", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		return a.fetch(&cred, account.no, out, force, func(cl *client.Client, no ledger.AccountNo) ([]byte, error) {
			return cl.Liability(ctx, no)
		})
	})
	cred.bind(c.Flags())
	c.Flags().Var(&account, "account", "of which account, with the operator's token")
	c.Flags().StringVarP(&out, "out", "o", "balance.liability", "where to write it, or - for standard output")
	c.Flags().BoolVar(&force, "force", false, "replace what is there")
	return c
}

// shownLiability is what a liability proof that verifies says.
type shownLiability struct {
	Account     string `json:"account"`
	BalanceMsat uint64 `json:"balance_msat"`
	Hub         string `json:"hub"`
	Epoch       uint64 `json:"epoch"`
	Block       uint64 `json:"block"`
	Time        uint64 `json:"time"`
	Holders     uint32 `json:"holders"`
	TotalMsat   uint64 `json:"total_msat"`
}

func (a *app) liabilityVerify() *cobra.Command {
	var key string
	c := a.verb("verify FILE", "Verify a liability proof, with the log's key and without the hub", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		v, err := a.verifier(ctx, key)
		if err != nil {
			return err
		}
		text, err := readStart(ctx, args[0], tlog.MaxLiabilityProof+1)
		if err != nil {
			return usage("%w", err)
		}
		p, err := tlog.ParseLiabilityProof(text)
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		l, err := p.Verify(v)
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		s := shownLiability{p.Account.String(), uint64(p.Balance), v.Name(), l.Epoch, l.Block, l.Time, l.Leaves, uint64(l.Total)}
		return a.print(s, "verified: %s is owed %d msat, part of %d msat owed to %d holders\nhub   %s, epoch %d, after block %d at %s",
			s.Account, s.BalanceMsat, s.TotalMsat, s.Holders, plain(s.Hub), s.Epoch, s.Block, moment(s.Time))
	})
	c.Long = "Verify checks that the balance is part of the total that the hub has signed. Compare the balance with the account's own history\n" +
		"at that time, and the signed text with what others were shown. It does not prove that the hub has the money, or that it\n" +
		"has not left out somebody who never checks."
	bindKey(c, &key)
	return must(c, "key")
}

func (a *app) liabilityMake() *cobra.Command {
	var cred credentials
	c := a.verb("make", "Have the hub make a proof of liabilities now, with the operator's token", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		cl, _, err := cred.client(a)
		if err != nil {
			return err
		}
		signed, err := cl.MakeLiabilities(ctx)
		if err != nil {
			return err
		}
		lines := strings.SplitN(string(signed), "\n", 4)
		if len(lines) < 4 {
			return fmt.Errorf("%w: it is no signed root", client.ErrAnswer)
		}
		l, err := tlog.ParseLiabilities(lines[2])
		if err != nil {
			return fmt.Errorf("%w: %w", client.ErrAnswer, err)
		}
		return a.print(map[string]any{"epoch": l.Epoch, "block": l.Block, "holders": l.Leaves, "total_msat": l.Total, "signed": string(signed)},
			"epoch %d: %d msat owed to %d holders after block %d", l.Epoch, l.Total, l.Leaves, l.Block)
	})
	cred.bind(c.Flags())
	return c
}
