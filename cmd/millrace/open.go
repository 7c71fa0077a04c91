package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
	"github.com/spf13/cobra"
)

// opener is the verb open.
type opener struct {
	cred                   credentials
	max                    msatFlag
	out                    string
	force, quiet, noVerify bool
	offset, length         uint64 // of the part that is opened; both 0: all of it
}

func (a *app) openCommand() *cobra.Command {
	var o opener
	c := a.verb("open IN", "Pay for a sealed file and open it", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		return o.run(ctx, a, args[0])
	})
	c.Long = "Open checks that IN (- for standard input) is the work that was registered, pays for it unless it is paid for already,\n" +
		"and decrypts it. Opening it again with the same account is free. With --offset and --length it decrypts that part alone,\n" +
		"and with --no-verify also reads no more than that.\n\n" +
		"The token only goes to the hub of --hub or MILLRACE_HUB, if that sells the file, or to " + defaultHub + " if that is the\n" +
		"hub which the file names: a file can name anybody."
	o.cred.bind(c.Flags())
	c.Flags().Var(&o.max, "max-msat", "the most to pay")
	c.Flags().StringVarP(&o.out, "out", "o", "", "the opened file, - for standard output")
	c.Flags().BoolVar(&o.force, "force", false, "replace the opened file if there is one")
	c.Flags().BoolVar(&o.quiet, "quiet", false, "no progress")
	c.Flags().BoolVar(&o.noVerify, "no-verify", false, "pay without reading the whole file first")
	c.Flags().Uint64Var(&o.offset, "offset", 0, "open from this byte of the opened file on")
	c.Flags().Uint64Var(&o.length, "length", 0, "open this many bytes at most (default: to the end)")
	return must(c, "max-msat", "out")
}

func (o *opener) run(ctx context.Context, a *app, name string) error {
	in, err := a.openInput(ctx, name)
	if err != nil {
		return err
	}
	defer in.close()
	if in.is(o.out) {
		return usage("%s is both what to open and where to", o.out)
	}
	header, whole, err := seal.ReadHeader(in)
	if err != nil {
		return fmt.Errorf("%s: %w", in.name, err)
	}
	decrypt, err := o.part(ctx, a, in, header)
	if err != nil {
		return fmt.Errorf("%s: %w", in.name, err)
	}
	out, err := a.openOutput(o.out, o.force)
	if err != nil {
		return err
	}
	defer out.discard()
	cl, err := o.cred.clientFor(ctx, a, header)
	if err != nil {
		return err
	}
	quoted, err := cl.Content(ctx, header.Content)
	if err != nil {
		return err
	}
	if in.seek = in.seek && !o.noVerify; !in.seek && !o.noVerify {
		if out.stdout() {
			a.note("a stream cannot be checked before it is paid for: what is wrong in it shows while it is opened")
		} else if in, err = o.spool(whole); err != nil {
			return err
		} else {
			defer in.close()
		}
	}
	if err := o.verify(ctx, a, in, header, quoted); err != nil {
		return fmt.Errorf("%s: %w; nothing was paid", in.name, err)
	}
	if in.seek {
		if err := in.rewind(); err != nil {
			return err
		}
		whole = in
	}
	if decrypt == nil {
		decrypt = func(dst io.Writer, key seal.FileKey) error {
			return seal.Open(dst, a.watch(ctx, "opening", in.size, whole, o.quiet), key)
		}
	}
	return o.buy(ctx, a, cl, header, quoted, decrypt, out)
}

// unseal decrypts a work, or a part of it, with its key.
type unseal func(dst io.Writer, key seal.FileKey) error

// part is how the part that was asked for is decrypted; nil: all of the work was. What is not there is found before it is paid for.
func (o *opener) part(ctx context.Context, a *app, in *input, h seal.Header) (unseal, error) {
	if o.offset == 0 && o.length == 0 {
		return nil, nil
	}
	if !in.seek {
		return nil, usage("--offset and --length want a regular file")
	}
	size, err := seal.PlainSize(h, in.size)
	if err != nil {
		return nil, err
	}
	if o.offset > uint64(size) {
		return nil, usage("--offset: the opened file has %d bytes", size)
	}
	from, n := int64(o.offset), size-int64(o.offset)
	if o.length != 0 && o.length < uint64(n) {
		n = int64(o.length)
	}
	return func(dst io.Writer, key seal.FileKey) error {
		r, err := seal.OpenAt(in.file, in.size, key)
		if err != nil {
			return err
		}
		const readAtOnce = 1 << 20 // each read allocates a chunk of 64 KiB
		_, err = io.CopyBuffer(dst, a.watch(ctx, "opening", n, io.NewSectionReader(r, from, n), o.quiet), make([]byte, readAtOnce))
		return err
	}, nil
}

// spool keeps a stream beside the output, so that it can be checked before it is paid for. The file has no name by then, and
// ends with the process.
func (o *opener) spool(whole io.Reader) (*input, error) {
	f, err := besides(o.out, 0o600)
	if err != nil {
		return nil, err
	}
	err = os.Remove(f.Name())
	size, copyErr := io.Copy(f, whole)
	if err := errors.Join(err, copyErr); err != nil {
		return nil, errors.Join(fmt.Errorf("keeping standard input: %w", err), f.Close())
	}
	return &input{Reader: f, name: "standard input", size: size, file: f, seek: true}, nil
}

// verify compares a file with what was registered, as far as it can be read twice.
func (o *opener) verify(ctx context.Context, a *app, in *input, h seal.Header, q client.Content) error {
	if digest := h.SHA256(); hex.EncodeToString(digest[:]) != q.HeaderSHA256 {
		return fmt.Errorf("%w: its header differs from the one registered as content %s", errDiffers, h.Content)
	}
	if !in.seek {
		return nil
	}
	if uint64(in.size) != q.Size {
		return fmt.Errorf("%w: it has %d bytes, the registered one %d", errDiffers, in.size, q.Size)
	}
	sum, _, err := in.digest(ctx, a, o.quiet)
	if err != nil {
		return err
	}
	if hex.EncodeToString(sum[:]) != q.SHA256 {
		return fmt.Errorf("%w: its SHA-256 is not the registered one", errDiffers)
	}
	return nil
}

// buy pays, and decrypts what was paid for. A price above the maximum is the hub's to refuse: who owns the work is not asked
// for the present price.
func (o *opener) buy(ctx context.Context, a *app, cl *client.Client, h seal.Header, q client.Content, decrypt unseal, out *output) error {
	digest := h.SHA256()
	most, err := asQuoted(ctx, cl, h.Content, &q, ledger.Msat(o.max))
	if err != nil {
		return err
	}
	paid, err := cl.Buy(ctx, client.Purchase{Content: h.Content, PriceVersion: q.PriceVersion, MaxMsat: most, HeaderSHA256: &digest})
	if err != nil {
		return tooExpensive(err, q)
	}
	owned := func(err error) error {
		return fmt.Errorf("%w (the work is paid for: opening it again is free)", err)
	}
	plaintext := &counter{w: out}
	if err := decrypt(plaintext, paid.Key); err != nil {
		return owned(err)
	}
	if err := out.commit(); err != nil {
		return owned(err)
	}
	text := fmt.Sprintf("opened %s: %q, %d bytes, paid %d msat", o.out, plain(q.Title), plaintext.n, paid.PaidMsat)
	if paid.Result == "repeated" {
		text = fmt.Sprintf("opened %s: %q, %d bytes, owned already, nothing paid now", o.out, plain(q.Title), plaintext.n)
	}
	if out.stdout() {
		a.note("%s", text)
		return nil
	}
	return a.print(map[string]any{
		"content": h.Content.String(), "title": q.Title, "out": o.out, "size": plaintext.n,
		"result": paid.Result, "seq": paid.Seq, "paid_msat": paid.PaidMsat,
	}, "%s", text)
}

// tooExpensive adds the price to a refusal that is about it.
func tooExpensive(err error, q client.Content) error {
	var p *client.Problem
	if errors.As(err, &p) && (p.Code == "price_too_high" || p.Code == "price_changed") {
		told := *p
		told.Detail = fmt.Sprintf("%s (the price quoted was %s)", p.Text(), priceText(q))
		return &told
	}
	return err
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
