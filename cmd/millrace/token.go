package main

import (
	"context"
	"strings"
	"time"

	"github.com/millrace/millrace/hub"
	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/hub/token"
	"github.com/millrace/millrace/ledger"
	"github.com/spf13/cobra"
)

func (a *app) tokenCommand() *cobra.Command {
	return a.noun("token", "Make tokens that may do less", a.tokenCreate(), a.tokenRestrict(), a.tokenOperator())
}

// limits are what a new token may do.
type limits struct {
	scopes  []string
	expires momentFlag
	max     msatFlag
	save    string
}

func (l *limits) bind(c *cobra.Command) {
	c.Flags().StringSliceVar(&l.scopes, "scope", nil, "all that it may do: read, pay, sell, separated by commas")
	l.bindEnds(c)
}

func (l *limits) bindEnds(c *cobra.Command) {
	c.Flags().Var(&l.expires, "expires", "when it ends: from now (720h) or a time of RFC 3339")
	c.Flags().Var(&l.max, "max-msat", "the most that one call may move")
	c.Flags().StringVar(&l.save, "save-token", "", "write it to this new file, for its owner only, and do not print it")
}

// answer prints the new token, or saves it.
func (l *limits) answer(a *app, text string) error {
	if l.save == "" {
		return a.print(map[string]string{"token": text}, "%s", plain(text))
	}
	file, err := newOutput(l.save, false, 0o600)
	if err != nil {
		return err
	}
	defer file.discard()
	if err := file.finish(text + "\n"); err != nil {
		return err
	}
	return a.print(map[string]string{"token_file": l.save}, "token in %s", l.save)
}

func (a *app) tokenCreate() *cobra.Command {
	var cred credentials
	var l limits
	c := a.verb("create", "Ask the hub for a narrower token of the same account", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		cl, no, err := cred.client(a)
		if err != nil {
			return err
		}
		if no == 0 {
			return usage("the operator's token has no account: token restrict narrows it")
		}
		if _, err := parseScopes(l.scopes); err != nil {
			return err
		}
		text, err := cl.CreateToken(ctx, no, client.Limits{Scopes: l.scopes, Expires: l.expires.Time, MaxMsat: ledger.Msat(l.max)})
		if err != nil {
			return err
		}
		return l.answer(a, text)
	})
	cred.bind(c.Flags())
	l.bind(c)
	return c
}

func (a *app) tokenRestrict() *cobra.Command {
	var cred credentials
	var l limits
	c := a.verb("restrict", "Narrow a token without asking the hub", cobra.NoArgs, func(context.Context, []string) error {
		secret, err := cred.secret(a)
		if err != nil {
			return err
		}
		scopes, err := parseScopes(l.scopes)
		if err != nil {
			return err
		}
		if scopes == 0 && l.expires.IsZero() && l.max == 0 {
			return usage("nothing to narrow: give --scope, --expires or --max-msat")
		}
		text, err := token.Restrict(secret, token.Limits{Scopes: scopes, Expires: l.expires.Time, MaxMsat: ledger.Msat(l.max)})
		if err != nil {
			return usage("%w", err)
		}
		return l.answer(a, text)
	})
	c.Flags().StringVar(&cred.token, "token", "", "token, or @FILE with it (default MILLRACE_TOKEN)")
	c.Flags().StringVar(&cred.tokenFile, "token-file", "", "file with the token (default MILLRACE_TOKEN_FILE)")
	l.bind(c)
	return c
}

func parseScopes(words []string) (token.Scope, error) {
	if len(words) == 0 {
		return 0, nil
	}
	s, err := token.ParseScope(strings.Join(words, " "))
	if err != nil {
		return 0, usage("--scope: %w", err)
	}
	return s, nil
}

// tokenOperator is how an operator comes to a token outside development mode. It reads the keys alone, so a hub may run.
func (a *app) tokenOperator() *cobra.Command {
	var file string
	var l limits
	var c *cobra.Command
	c = a.verb("operator", "Make a token that runs the hub, from the keys in its data folder", cobra.NoArgs, func(context.Context, []string) error {
		cfg, err := a.load(file, c.Flags())
		if err != nil {
			return err
		}
		ring, err := openRing(cfg)
		if err != nil {
			return err
		}
		if l.expires.IsZero() {
			l.expires.Time = time.Now().Add(hub.OperatorTokenLife)
		}
		text, err := token.NewMint(ring.TokenRoot(), 1).IssueOperator(token.Limits{Expires: l.expires.Time, MaxMsat: ledger.Msat(l.max)})
		if err != nil {
			return usage("%w", err)
		}
		return l.answer(a, text)
	})
	dataFlags(c, &file)
	l.bindEnds(c)
	return c
}
