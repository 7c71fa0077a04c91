package main

import (
	"context"
	"time"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/ledger"
	"github.com/spf13/cobra"
)

// contentSession makes a token for a player.
func (a *app) contentSession() *cobra.Command {
	var cred credentials
	var most msatFlag
	var from uint32
	var expires momentFlag
	var save string
	c := a.verb("session CONTENT", "Make a token for a player: it unlocks units of one work, up to a cap over all", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		id, err := parseContent(args[0])
		if err != nil {
			return err
		}
		cl, _, err := cred.client(a)
		if err != nil {
			return err
		}
		ask := client.NewSession{Content: id, MaxTotalMsat: ledger.Msat(most), FromUnit: from}
		if !expires.IsZero() {
			ask.Life = max(time.Until(expires.Time).Round(time.Second), time.Second)
		}
		s, err := cl.CreateSession(ctx, ask)
		if err != nil {
			return err
		}
		if save != "" {
			l := limits{save: save}
			return l.answer(a, s.Token)
		}
		return a.print(s, "%s", plain(s.Token))
	})
	c.Long = "The token goes to a player: as a header (ffmpeg -headers 'Authorization: Bearer TOKEN'), or as ?token=TOKEN behind the URIs of keys.\n" +
		"It unlocks as many units, from --from-unit on, as the cap pays for at the present price, and does nothing else."
	cred.bind(c.Flags())
	c.Flags().Var(&most, "max-total-msat", "the most that it may cost in all")
	c.Flags().Uint32Var(&from, "from-unit", 0, "the first unit")
	c.Flags().Var(&expires, "expires", "when it ends: from now (2h) or a time of RFC 3339 (default six hours)")
	c.Flags().StringVar(&save, "save-token", "", "write it to this new file, for its owner only, and do not print it")
	return must(c, "max-total-msat")
}
