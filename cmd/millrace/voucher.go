package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/millrace/millrace/channels/voucher"
	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// termsFlags are on whose word a channel pays, and how much in a minute.
type termsFlags struct {
	key       string // file of the payer's key
	payee     bool
	perMinute msatFlag
}

func (f *termsFlags) bind(c *cobra.Command) {
	c.Flags().StringVar(&f.key, "signed", "", "it pays by your signed vouchers alone: `FILE` of the key that signs them, made if there is none")
	c.Flags().BoolVar(&f.payee, "payee-advances", false, "the payee advances it, on his word alone")
	c.Flags().Var(&f.perMinute, "per-minute", "the most that it pays in one minute (default: no limit)")
	c.MarkFlagsMutuallyExclusive("signed", "payee-advances")
}

// terms are what the flags say. A key that is made is in its file before the channel that it signs for is opened.
func (f *termsFlags) terms(ctx context.Context, a *app) (t ledger.ChannelTerms, err error) {
	t.PerMinute = ledger.Msat(f.perMinute)
	switch {
	case f.payee:
		t.Mode = ledger.PayeeAdvances
	case f.key != "":
		t.Mode = ledger.Signed
		k, err := a.voucherKey(ctx, f.key)
		if err != nil {
			return t, err
		}
		t.Key = k.Public()
	}
	return t, nil
}

// voucherKey reads a key, or makes one that nobody but its owner can read.
func (a *app) voucherKey(ctx context.Context, file string) (voucher.PrivateKey, error) {
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return readVoucherKey(ctx, file)
	}
	k := voucher.NewKey()
	out, err := newOutput(file, false, 0o600)
	if err != nil {
		return k, err
	}
	defer out.discard()
	if err := out.finish(k.Secret() + "\n"); err != nil {
		return k, err
	}
	a.note("a new key is in %s: whoever has the file signs your vouchers", file)
	return k, nil
}

func readVoucherKey(ctx context.Context, file string) (voucher.PrivateKey, error) {
	b, err := readStart(ctx, file, 128)
	if err != nil {
		return voucher.PrivateKey{}, usage("key file: %w", err)
	}
	k, err := voucher.ParsePrivateKey(strings.TrimSpace(string(b)))
	if err != nil {
		return k, usage("%s: %w", file, err)
	}
	return k, nil
}

// channelVoucher needs no hub: it signs for the one that it is told.
func (a *app) channelVoucher() *cobra.Command {
	var cred credentials
	var key string
	var total msatFlag
	c := a.verb("voucher CHANNEL", "Sign a voucher: that so much, in all, is paid through a channel. No hub is asked", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		no, err := ledger.ParseChannelNo(args[0])
		if err != nil {
			return usage("%w", err)
		}
		hub, _ := cred.url(a)
		origin, err := seal.ParseOrigin(hub)
		if err != nil {
			return usage("%w", err)
		}
		k, err := readVoucherKey(ctx, key)
		if err != nil {
			return err
		}
		v, err := k.Sign(origin, no, ledger.Msat(total))
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(a.out, voucher.Format(origin, &v)) // it is JSON, whatever was asked for
		return err
	})
	hubFlag(c.Flags(), &cred.hub)
	c.Flags().StringVar(&key, "key", "", "`FILE` of the key that the channel was opened with")
	c.Flags().Var(&total, "total-msat", "all that the channel is to have paid since it opened")
	return must(c, "key", "total-msat")
}

func hubFlag(fs *pflag.FlagSet, hub *string) {
	fs.StringVar(hub, "hub", "", "the hub's origin, as millrace info shows it (default MILLRACE_HUB, or "+defaultHub+")")
}

func (a *app) channelRedeem() *cobra.Command {
	var cred credentials
	c := a.verb("redeem FILE", "Show a voucher (- reads standard input) to the hub, which pays what it says", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		in, err := a.openInput(ctx, args[0])
		if err != nil {
			return err
		}
		defer in.close()
		b, err := io.ReadAll(io.LimitReader(in, voucher.MaxText+1))
		if err != nil {
			return fmt.Errorf("reading the voucher: %w", err)
		}
		_, v, err := voucher.Parse(b)
		if err != nil {
			return usage("%s: %w", in.name, err)
		}
		cl, _, err := cred.client(a)
		if err != nil {
			return err
		}
		got, err := cl.Redeem(ctx, &v)
		if err != nil {
			return err
		}
		return a.print(got, "%s: paid %d msat, in all %d", plain(got.Result), got.PaidMsat, got.TotalMsat)
	})
	cred.bind(c.Flags())
	return c
}

func (a *app) channelRenew() *cobra.Command {
	var expires momentFlag
	c := a.onChannel("renew", "Put a channel's expiry off", func(ctx context.Context, cl *client.Client, no ledger.ChannelNo) error {
		got, err := cl.Renew(ctx, no, expires.Time)
		if err != nil {
			return err
		}
		return a.print(got, "%s: expires %s", plain(got.Result), clock(got.Expires))
	})
	c.Flags().Var(&expires, "expires", "when it ends: from now (720h) or a time of RFC 3339")
	return must(c, "expires")
}

// termsText is what channel show says of a channel's terms, and of its newest voucher.
func termsText(ch client.Channel, v *client.Voucher) string {
	text := "\nmode    " + map[string]string{"payer_advances": "the payer advances it", "payee_advances": "the payee advances it",
		"signed": "by vouchers signed by " + plain(ch.Key)}[ch.Mode]
	if ch.PerMinute > 0 {
		text += fmt.Sprintf("\nlimit   %d msat a minute", ch.PerMinute)
	}
	if v != nil {
		text += "\nvoucher " + plain(v.Signature)
	}
	return text
}

// newestVoucher is that of a signed channel, or nil.
func newestVoucher(ctx context.Context, cl *client.Client, ch client.Channel, no ledger.ChannelNo) (*client.Voucher, error) {
	if ch.Mode != "signed" || ch.TotalMsat == 0 {
		return nil, nil
	}
	v, err := cl.Voucher(ctx, no)
	return &v, err
}
