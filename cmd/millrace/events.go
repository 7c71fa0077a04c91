package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/ledger"
	"github.com/spf13/cobra"
)

// errEnough ends a stream that was to have so many events.
var errEnough = errors.New("enough events")

func (a *app) eventsCommand() *cobra.Command {
	var cred credentials
	var after seqFlag
	var count uint64
	c := a.verb("events [ACCOUNT]", "Follow what happens to an account, or to the whole ledger", cobra.MaximumNArgs(1), func(ctx context.Context, args []string) error {
		cl, no, err := cred.clientOf(ctx, a, args)
		if err != nil {
			return err
		}
		var seen uint64
		err = cl.Events(ctx, no, after.seq, func(e client.Event) error {
			if err := a.printEvent(no, e); err != nil {
				return err
			}
			if seen++; seen == count {
				return errEnough
			}
			return nil
		})
		if errors.Is(err, errEnough) {
			return nil
		}
		return err
	})
	c.Long = "Events prints a line for each entry that touches the account (the token's, unless one is named), as it comes; with the operator's\n" +
		"token and no account, for every entry of the ledger. With --json each line is the entry as the hub sends it. It goes on over lost\n" +
		"connections and restarts of the hub, without missing or repeating an entry, until it is interrupted."
	cred.bind(c.Flags())
	c.Flags().Var(&after, "after", "begin behind the entry of this seq (default: with what comes from now on; 0: with the first)")
	c.Flags().Uint64Var(&count, "count", 0, "end after so many entries (0: never)")
	return c
}

func (a *app) printEvent(no ledger.AccountNo, e client.Event) error {
	if a.json {
		return a.print(e.Data, "")
	}
	if no == 0 {
		_, err := fmt.Fprintln(a.out, plain(string(e.Data)))
		return err
	}
	var line client.Entry
	if err := json.Unmarshal(e.Data, &line); err != nil {
		return fmt.Errorf("%w: %w", client.ErrAnswer, err)
	}
	_, err := fmt.Fprintln(a.out, entryText(line.Seq, line.Time, line.Kind, line.Object, line.Other, line.ChangeMsat,
		"balance", line.BalanceMsat, "held", line.HeldMsat))
	return err
}
