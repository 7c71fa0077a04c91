package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/hub/statement"
	"github.com/millrace/millrace/ledger"
	"github.com/spf13/cobra"
)

// holder is whose history a verb is about: an account, by default the token's, or a channel.
type holder struct {
	account ledger.AccountNo
	channel ledger.ChannelNo // zero: an account's
}

// holderOf reads a verb's argument, if it has one.
func holderOf(ctx context.Context, args []string, own ledger.AccountNo) (holder, error) {
	if len(args) == 0 {
		if own == 0 {
			return holder{}, usage("the operator's token has no account of its own: name one, or a channel")
		}
		return holder{account: own}, nil
	}
	if strings.HasPrefix(args[0], "c") {
		no, err := ledger.ParseChannelNo(args[0])
		if err != nil {
			return holder{}, usage("%w", err)
		}
		return holder{channel: no}, nil
	}
	no, err := parseAccount(ctx, args[0])
	if err != nil {
		return holder{}, usage("%w", err)
	}
	return holder{account: no}, nil
}

func (a *app) historyCommand() *cobra.Command {
	var cred credentials
	var p client.Page
	var since, until pastFlag
	c := a.verb("history [ACCOUNT|CHANNEL]", "What happened to an account or a channel", cobra.MaximumNArgs(1), func(ctx context.Context, args []string) error {
		cl, no, err := cred.client(a)
		if err != nil {
			return err
		}
		of, err := holderOf(ctx, args, no)
		if err != nil {
			return err
		}
		if p.Limit < 1 || p.Limit > 1000 {
			return usage("--limit: want 1 to 1000")
		}
		p.Since, p.Until = since.Time, until.bound()
		if of.channel != 0 {
			got, err := cl.ChannelEntries(ctx, of.channel, p)
			if err != nil {
				return err
			}
			return printPage(a, got, func(e client.ChannelEntry) string {
				return entryText(e.Seq, e.Time, e.Kind, e.Object, e.Other, e.PaidChangeMsat, "paid", e.PaidMsat, "left", e.LeftMsat)
			})
		}
		got, err := cl.Entries(ctx, of.account, p)
		if err != nil {
			return err
		}
		return printPage(a, got, func(e client.Entry) string {
			return entryText(e.Seq, e.Time, e.Kind, e.Object, e.Other, e.ChangeMsat, "balance", e.BalanceMsat, "held", e.HeldMsat)
		})
	})
	c.Long = "History shows a page of the entries that touch an account (the token's, unless one is named) or a channel, the newest first.\n" +
		"A line is time, seq, kind, what it is about, the other side, the change in msat, and what there was after it. When there is more, the\n" +
		"last line on stderr says how to get it; with --json that is next."
	cred.bind(c.Flags())
	c.Flags().BoolVar(&p.Oldest, "oldest", false, "the oldest first")
	c.Flags().IntVar(&p.Limit, "limit", 100, "how many, up to 1000")
	c.Flags().StringVar(&p.Cursor, "cursor", "", "go on behind the page before, in the same order")
	c.Flags().Var(&since, "since", "not before: a time of RFC 3339, or how long ago (24h)")
	c.Flags().Var(&until, "until", "before: a time of RFC 3339, or how long ago (24h)")
	return c
}

func printPage[E client.Entry | client.ChannelEntry](a *app, page client.Entries[E], line func(E) string) error {
	if a.json {
		return a.print(page, "")
	}
	var text strings.Builder
	for _, e := range page.Entries {
		text.WriteString(line(e))
		text.WriteByte('\n')
	}
	if _, err := fmt.Fprint(a.out, text.String()); err != nil {
		return err
	}
	if page.Next != "" {
		a.note("there is more: the same with --cursor %s", plain(page.Next))
	}
	return nil
}

func entryText(seq uint64, millis int64, kind, object, other string, change int64, first string, n int64, second string, m int64) string {
	return fmt.Sprintf("%s %d %-12s %s %s %+d msat, %s %d, %s %d", time.UnixMilli(millis).UTC().Format("2006-01-02T15:04:05.000Z"), seq,
		plain(kind), orDash(object), orDash(other), change, first, n, second, m)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return plain(s)
}

func (a *app) statementCommand() *cobra.Command {
	var cred credentials
	var from, until pastFlag
	var format, out string
	var force bool
	c := a.verb("statement [ACCOUNT|CHANNEL]", "A statement of an account or a channel for a period", cobra.MaximumNArgs(1), func(ctx context.Context, args []string) error {
		if _, err := statement.ParseFormat(format); err != nil {
			return usage("--format: %w", err)
		}
		cl, no, err := cred.client(a)
		if err != nil {
			return err
		}
		of, err := holderOf(ctx, args, no)
		if err != nil {
			return err
		}
		file, err := a.openOutput(out, force)
		if err != nil {
			return err
		}
		defer file.discard()
		size := &counter{w: file}
		if of.channel != 0 {
			err = client.Statement(ctx, cl, of.channel, from.Time, until.bound(), format, size)
		} else {
			err = client.Statement(ctx, cl, of.account, from.Time, until.bound(), format, size)
		}
		if err != nil {
			return err
		}
		if err := file.commit(); err != nil || file.stdout() {
			return err
		}
		return a.print(map[string]any{"out": out, "format": format, "size": size.n}, "statement of %d bytes in %s", size.n, out)
	})
	c.Long = "Statement writes the opening balance, every entry with the balance after it, and the closing balance. One that comes to an error on\n" +
		"its way is no statement: to a file, nothing is written then."
	cred.bind(c.Flags())
	c.Flags().Var(&from, "from", "its beginning: a time of RFC 3339, or how long ago (720h); default: the account's")
	c.Flags().Var(&until, "until", "its end, which does not belong to it; default: now")
	c.Flags().StringVar(&format, "format", "csv", "csv, json, hledger or parquet")
	c.Flags().StringVarP(&out, "out", "o", "-", "file to write, or - for standard output")
	c.Flags().BoolVar(&force, "force", false, "replace the file")
	return c
}
