package main

import (
	"context"
	"fmt"
	"time"

	"github.com/millrace/millrace/hub/ageplugin"
	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/hub/token"
	"github.com/millrace/millrace/ledger"
	"github.com/spf13/cobra"
)

func (a *app) ageCommand() *cobra.Command {
	c := a.noun("age", "Use age itself, with age-plugin-millrace on the PATH", a.ageRecipient(), a.ageIdentity())
	c.Long = "With age-plugin-millrace on the PATH, age seals files for a hub and opens them:\n\n" +
		"  age -r $(millrace age recipient) -o song.sealed song   seals, and keeps a claim for millrace register\n" +
		"  age -d -j millrace -o song song.sealed                 pays as MILLRACE_HUB and MILLRACE_TOKEN_FILE say\n" +
		"  age -d -i identity.txt -o song song.sealed             pays as an identity says: millrace age identity\n\n" +
		"It asks before it pays. Without a terminal to ask at it pays nothing, unless MILLRACE_MAX_MSAT or the identity has the most to\n" +
		"pay for one file. Paths in the variables must be absolute: age starts its plugins in a folder of its own. Claims go to\n" +
		"MILLRACE_CLAIMS (default ~/.local/share/millrace/claims).\n\n" +
		"age shows its plugins only the header's stanzas: unlike millrace open, it finds that a file is not the one registered after\n" +
		"it is paid for."
	return c
}

func (a *app) ageRecipient() *cobra.Command {
	var cred credentials
	c := a.verb("recipient", "Show a hub as age -r takes it", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		cl, err := cred.anonymous(a)
		if err != nil {
			return err
		}
		got, err := cl.Key(ctx)
		if err != nil {
			return err
		}
		key, err := seal.ParsePublicKey(got.PublicKey)
		if err != nil {
			return fmt.Errorf("%w: %w", client.ErrAnswer, err)
		}
		origin, err := seal.ParseOrigin(got.Origin)
		if err != nil {
			return fmt.Errorf("%w: %w", client.ErrAnswer, err)
		}
		r := ageplugin.Recipient{Origin: origin, Key: key}
		return a.print(map[string]string{"recipient": r.String(), "origin": origin, "key_id": key.ID()}, "%s", r)
	})
	cred.bindHub(c.Flags())
	return c
}

func (a *app) ageIdentity() *cobra.Command {
	var cred credentials
	var file string
	var most msatFlag
	var expires momentFlag
	c := a.verb("identity", "Make an identity that age -d -i pays with", cobra.NoArgs, func(context.Context, []string) error {
		cl, no, err := cred.client(a)
		if err != nil {
			return err
		}
		if no == 0 {
			return usage("an operator's token has no account to pay from")
		}
		secret, err := cred.secret(a)
		if err != nil {
			return err
		}
		limits := token.Limits{Scopes: token.Pay, Expires: expires.Time, MaxMsat: ledger.Msat(most)}
		if secret, err = token.Restrict(secret, limits); err != nil {
			return usage("%w", err)
		}
		text, err := ageplugin.Identity{Hub: cl.URL(), Token: secret, Cap: ledger.Msat(most)}.Encode()
		if err != nil {
			return err
		}
		out, err := newOutput(file, false, 0o600)
		if err != nil {
			return err
		}
		defer out.discard()
		if err := out.finish(identityFile(cl.URL(), no, limits, text)); err != nil {
			return err
		}
		a.note("whoever has %s can spend from the account: keep it to yourself", file)
		return a.print(map[string]any{"identity_file": file, "hub": cl.URL(), "account": no.String(), "max_msat": ledger.Msat(most)}, "identity in %s", file)
	})
	c.Long = "Identity writes a file that holds the hub, a token that can only pay, and with --max-msat the most that it pays for one file:\n" +
		"that much it may also pay where there is no terminal to ask at. The token is narrowed to it, so the hub holds it to that, too.\n" +
		"The file is a bearer secret: whoever has it can spend from the account. Give it an end with --expires."
	cred.bind(c.Flags())
	c.Flags().Var(&most, "max-msat", "the most to pay for one file (default: whatever is agreed to at the terminal)")
	c.Flags().Var(&expires, "expires", "when it ends: from now (720h) or a time of RFC 3339")
	c.Flags().StringVarP(&file, "out", "o", "", "the new file, for its owner only")
	return must(c, "out")
}

// identityFile is an identity with what it is, for who finds it.
func identityFile(hub string, no ledger.AccountNo, l token.Limits, identity string) string {
	text := fmt.Sprintf("# age identity of account %v at %s\n# Whoever has this file can spend from that account: keep it to yourself.\n", no, hub)
	if l.MaxMsat != 0 {
		text += fmt.Sprintf("# It pays at most %d msat for one file, and that much without asking where there is no terminal.\n", l.MaxMsat)
	}
	if !l.Expires.IsZero() {
		text += fmt.Sprintf("# It ends at %s.\n", l.Expires.UTC().Format(time.RFC3339))
	}
	return text + identity + "\n"
}
