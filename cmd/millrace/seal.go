package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
	"github.com/spf13/cobra"
)

// offer are the terms of a sale, as flags.
type offer struct {
	cred   credentials
	price  priced
	title  string
	payees []string
	free   uint32 // units, of a work that is sold by units
}

func (o *offer) bind(c *cobra.Command) {
	o.cred.bind(c.Flags())
	o.price.bind(c, "what a buyer pays, the hub's fee included")
	c.Flags().StringVar(&o.title, "title", "", "what the work is called")
	c.Flags().StringArrayVar(&o.payees, "payee", nil, "ACCOUNT=SHARE: who shares the price; may be repeated (default: the seller alone)")
}

func (o *offer) bindFree(c *cobra.Command) {
	c.Flags().Uint32Var(&o.free, "free", 0, "how many units, from the first on, are free for everybody")
}

// check finds what the hub would refuse before a large file is read.
func (o *offer) check(ctx context.Context) ([]client.Payee, error) {
	if _, err := o.price.get(); err != nil {
		return nil, err
	}
	if !ledger.TitleOK(o.title) {
		return nil, usage("--title: want 1 to %d bytes of UTF-8 without control characters", ledger.MaxTitle)
	}
	return parsePayees(ctx, o.payees)
}

// sealer is the verb seal.
type sealer struct {
	offer
	out, claim, hubKey, origin string
	force, quiet, offline      bool
}

// sealedWork is what seal and register print.
type sealedWork struct {
	Content      string      `json:"content"`
	Out          string      `json:"out,omitempty"`
	Claim        string      `json:"claim,omitempty"`
	Origin       string      `json:"origin"`
	KeyID        string      `json:"key_id"`
	Size         int64       `json:"size"`
	SHA256       string      `json:"sha256"`
	HeaderSHA256 string      `json:"header_sha256"`
	Registered   bool        `json:"registered"`
	Title        string      `json:"title,omitempty"`
	PriceMsat    ledger.Msat `json:"price_msat,omitempty"`
	Currency     string      `json:"currency,omitempty"`     // of the price, where it is not in msat
	PriceMicros  uint64      `json:"price_micros,omitempty"` // in it
	PriceVersion uint32      `json:"price_version,omitempty"`
	Result       string      `json:"result,omitempty"`
	Seq          uint64      `json:"seq,omitempty"`
}

func (a *app) sealCommand() *cobra.Command {
	var s sealer
	c := a.verb("seal IN", "Seal a file, and put it on sale", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		return s.run(ctx, a, args[0])
	})
	c.Long = "Seal encrypts IN (- for standard input) so that the hub can release its key to whoever pays, and registers it.\n" +
		"With --offline it needs no hub but the hub's key and origin (millrace key show --hub URL); register puts it on sale later.\n" +
		"For that it writes a claim, OUT.claim, which proves to the hub that you sealed the file: nobody else can register it. Keep\n" +
		"the claim to yourself until then: who has it and the sealed file can register the work as his. Without it nobody can."
	s.bind(c)
	c.Flags().StringVarP(&s.out, "out", "o", "", "the sealed file, - for standard output")
	c.Flags().BoolVar(&s.force, "force", false, "replace the sealed file, and its claim, if there is one")
	c.Flags().BoolVar(&s.quiet, "quiet", false, "no progress")
	c.Flags().BoolVar(&s.offline, "offline", false, "only seal, without a hub")
	c.Flags().StringVar(&s.claim, "claim", "", "where the claim goes, with --offline (default OUT.claim)")
	c.Flags().StringVar(&s.hubKey, "hub-key", "", "the hub's public key, with --offline")
	c.Flags().StringVar(&s.origin, "origin", "", "the hub's origin, with --offline")
	return must(c, "out")
}

func (s *sealer) run(ctx context.Context, a *app, name string) error {
	var cl *client.Client
	var payees []client.Payee
	var err error
	if !s.offline {
		if s.hubKey != "" || s.origin != "" {
			return usage("--hub-key and --origin are for --offline")
		}
		if payees, err = s.check(ctx); err != nil {
			return err
		}
		if cl, _, err = s.cred.client(a); err != nil {
			return err
		}
	}
	in, err := a.openInput(ctx, name)
	if err != nil {
		return err
	}
	defer in.close()
	if in.is(s.out) {
		return usage("%s is both what to seal and where to", s.out)
	}
	if err := s.claimPlace(in); err != nil {
		return err
	}
	key, origin, err := s.key(ctx, cl)
	if err != nil {
		return err
	}
	out, err := a.openOutput(s.out, s.force)
	if err != nil {
		return err
	}
	defer out.discard()
	kept, err := s.openClaim()
	if err != nil {
		return err
	}
	defer kept.discard()
	var id ledger.ContentID
	_, _ = rand.Read(id[:]) // it never fails: the runtime ends the process first
	sealed, err := seal.Seal(out, a.watch(ctx, "sealing", in.size, in, s.quiet), key, origin, id)
	if err != nil {
		return err
	}
	if err := out.flush(); err != nil {
		return err
	}
	if err := writeClaim(kept, id, sealed.Commitment); err != nil { // both are durable before either is in its place
		return err
	}
	digest := seal.Header{Raw: sealed.Header}.SHA256()
	work := sealedWork{Content: id.String(), Out: s.out, Claim: s.claim, Origin: origin, KeyID: key.ID(), Size: sealed.Size,
		SHA256: hex.EncodeToString(sealed.SHA256[:]), HeaderSHA256: hex.EncodeToString(digest[:])}
	if cl != nil {
		if err := s.register(ctx, cl, sealed, payees, &work); err != nil {
			if out.stdout() {
				a.note("what went to standard output is not on sale")
			}
			return err
		}
	}
	if err := out.commit(); err != nil {
		if cl != nil && out.temp != "" {
			kept := out.temp
			out.temp = ""
			return fmt.Errorf("%w (the work is on sale; the sealed file is kept as %s)", err, kept)
		}
		return err
	}
	if err := s.keep(a, kept); err != nil {
		return err
	}
	return s.answer(a, out, work)
}

func (s *sealer) key(ctx context.Context, cl *client.Client) (seal.PublicKey, string, error) {
	text, origin := s.hubKey, s.origin
	if cl != nil {
		got, err := cl.Key(ctx)
		if err != nil {
			return seal.PublicKey{}, "", err
		}
		text, origin = got.PublicKey, got.Origin
	} else if text == "" || origin == "" {
		return seal.PublicKey{}, "", usage("--offline needs --hub-key and --origin")
	}
	key, err := seal.ParsePublicKey(text)
	if err == nil {
		origin, err = seal.ParseOrigin(origin)
	}
	switch {
	case err == nil:
		return key, origin, nil
	case cl == nil:
		return key, "", usage("%w", err)
	}
	return key, "", fmt.Errorf("%w: %w", client.ErrAnswer, err)
}

// register puts a sealed work on sale.
func (o *offer) register(ctx context.Context, cl *client.Client, s seal.Sealed, payees []client.Payee, work *sealedWork) error {
	header, err := seal.ParseHeader(s.Header)
	if err != nil {
		return err
	}
	if units := header.Units.Count; o.free > units {
		return usage("--free %d: the work is sold by %d units", o.free, units)
	}
	price, err := o.price.get()
	if err != nil {
		return err
	}
	got, err := cl.Register(ctx, client.Offer{Header: s.Header, Commitment: s.Commitment, Title: o.title,
		Price: price, Size: uint64(s.Size), SHA256: s.SHA256, Payees: payees, FreeUnits: o.free})
	if err != nil {
		return err
	}
	work.Registered, work.Title = true, o.title
	if work.Currency = price.Currency.String(); work.Currency == "" {
		work.PriceMsat = ledger.Msat(price.Amount)
	} else {
		work.PriceMicros = price.Amount
	}
	work.PriceVersion, work.Result, work.Seq = got.PriceVersion, got.Result, got.Seq
	return nil
}

func (s *sealer) answer(a *app, out *output, w sealedWork) error {
	text := fmt.Sprintf("sealed  %s, %d bytes\ncontent %s\n", s.out, w.Size, w.Content)
	if w.Registered {
		text += fmt.Sprintf("on sale at %s for %s", w.Origin, s.price.text())
	} else {
		text += fmt.Sprintf("claim   %s\nnot on sale yet: millrace register --hub %s --price-msat N --title S", w.Claim, w.Origin)
		if w.Claim != s.out+claimSuffix {
			text += " --claim " + quote(w.Claim)
		}
		text += " " + quote(s.out)
	}
	if out.stdout() {
		fmt.Fprintln(a.err, text)
		return nil
	}
	return a.print(w, "%s", text)
}

func (a *app) registerCommand() *cobra.Command {
	var o offer
	var file string
	var quiet bool
	c := a.verb("register IN", "Put a file on sale that was sealed offline", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		payees, err := o.check(ctx)
		if err != nil {
			return err
		}
		in, err := a.openInput(ctx, args[0])
		if err != nil {
			return err
		}
		defer in.close()
		if !in.seek {
			return usage("%s: want a regular file", in.name)
		}
		header, _, err := seal.ReadHeader(in)
		if err != nil {
			return fmt.Errorf("%s: %w", in.name, err)
		}
		if file == "" {
			file = a.claimOf(args[0], header)
		}
		sealed := seal.Sealed{Header: header.Raw}
		if sealed.Commitment, err = readClaim(ctx, file, header); err != nil {
			return err
		}
		cl, err := o.cred.clientFor(ctx, a, header)
		if err != nil {
			return err
		}
		if sealed.SHA256, sealed.Size, err = in.digest(ctx, a, quiet); err != nil {
			return err
		}
		digest := header.SHA256()
		work := sealedWork{Content: header.Content.String(), Origin: header.Origin, KeyID: header.KeyID, Size: sealed.Size,
			SHA256: hex.EncodeToString(sealed.SHA256[:]), HeaderSHA256: hex.EncodeToString(digest[:])}
		if err := o.register(ctx, cl, sealed, payees, &work); err != nil {
			return err
		}
		each := ""
		if header.Units.Count > 0 {
			each = " a unit"
		}
		return a.print(work, "%s: content %s is on sale at %s for %s%s", plain(work.Result), work.Content, work.Origin, o.price.text(), each)
	})
	c.Long = "Register puts IN on sale, which seal --offline or age made together with a claim. The claim proves to the hub that you sealed\n" +
		"the file: a copy of the file alone cannot be registered. Once the work is on sale, the claim has no further use."
	o.bind(c)
	o.bindFree(c)
	c.Flags().StringVar(&file, "claim", "", "the file's claim (default IN.claim, or what age left in the folder of claims)")
	c.Flags().BoolVar(&quiet, "quiet", false, "no progress")
	c.MarkFlagsOneRequired("price", "price-msat")
	return must(c, "title")
}
