package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/hub/media"
	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
	"github.com/spf13/cobra"
)

// maxUnitBytes bounds the files of one unit, which are in memory between the check and the payment.
const maxUnitBytes = 1 << 30

// unitOpener is the verb unit.
type unitOpener struct {
	cred  credentials
	max   msatFlag
	out   string
	force bool
}

func (a *app) unitCommand() *cobra.Command {
	var u unitOpener
	c := a.verb("unit PACKAGE N", "Pay for one unit of a package and open it", cobra.ExactArgs(2), func(ctx context.Context, args []string) error {
		n, err := strconv.ParseUint(args[1], 10, 32)
		if err != nil {
			return usage("%q: want the number of a unit, counted from 0", args[1])
		}
		return u.run(ctx, a, args[0], uint32(n))
	})
	c.Long = "Unit opens unit N, counted from 0, of a package: a folder that `package` made, or the URL of one. It checks the package and the\n" +
		"unit's files against what was registered, pays for the unit unless it is paid for or free, and writes what was in it. To open it\n" +
		"again with the same account is free. The token goes where that of `open` goes."
	u.cred.bind(c.Flags())
	c.Flags().Var(&u.max, "max-msat", "the most to pay")
	c.Flags().StringVarP(&u.out, "out", "o", "", "the opened unit, - for standard output")
	c.Flags().BoolVar(&u.force, "force", false, "replace the opened unit if there is one")
	return must(c, "max-msat", "out")
}

func (u *unitOpener) run(ctx context.Context, a *app, where string, unit uint32) error {
	from, err := openPackage(where)
	if err != nil {
		return err
	}
	header, manifest, err := from.manifest(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	if unit >= manifest.Units {
		return usage("%s has units 0 to %d", where, manifest.Units-1)
	}
	out, err := a.openOutput(u.out, u.force)
	if err != nil {
		return err
	}
	defer out.discard()
	cl, err := u.cred.clientFor(ctx, a, header)
	if err != nil {
		return err
	}
	quoted, err := cl.Content(ctx, header.Content)
	if err != nil {
		return err
	}
	if digest := header.SHA256(); hex.EncodeToString(digest[:]) != quoted.HeaderSHA256 {
		return fmt.Errorf("%s: %w: its header differs from the one registered as content %s; nothing was paid", where, errDiffers, header.Content)
	}
	first, end := manifest.Of(unit)
	var files [][]byte
	total := int64(0)
	for i := first; i < end; i++ {
		if total += manifest.Chunks[i].Size; total > maxUnitBytes {
			return usage("%s: unit %d has more than %d bytes", where, unit, int64(maxUnitBytes))
		}
		file, err := from.read(ctx, manifest.File(i), manifest.Chunks[i].Size)
		if err == nil {
			err = manifest.Check(i, file)
		}
		if err != nil {
			return fmt.Errorf("%s: %w; nothing was paid", where, err)
		}
		files = append(files, file)
	}
	paid, err := cl.BuyUnit(ctx, client.UnitPurchase{Content: header.Content, Unit: unit, PriceVersion: quoted.PriceVersion, MaxMsat: ledger.Msat(u.max)})
	if err != nil {
		return tooExpensive(err, quoted)
	}
	size := 0
	for i, file := range files {
		plain, err := manifest.Open(first+i, paid.Key, file)
		if err == nil {
			_, err = out.Write(plain)
		}
		if err != nil {
			return fmt.Errorf("%w (the unit is paid for: opening it again is free)", err)
		}
		size += len(plain)
	}
	if err := out.commit(); err != nil {
		return fmt.Errorf("%w (the unit is paid for: opening it again is free)", err)
	}
	return u.answer(a, out, header, quoted, unit, size, paid)
}

func (u *unitOpener) answer(a *app, out *output, h seal.Header, q client.Content, unit uint32, size int, paid client.BoughtUnit) error {
	text := fmt.Sprintf("opened %s: unit %d of %q, %d bytes, paid %d msat", u.out, unit, plain(q.Title), size, paid.PaidMsat)
	if paid.Result == "repeated" {
		text = fmt.Sprintf("opened %s: unit %d of %q, %d bytes, nothing paid now", u.out, unit, plain(q.Title), size)
	}
	if out.stdout() {
		a.note("%s", text)
		return nil
	}
	return a.print(map[string]any{
		"content": h.Content.String(), "title": q.Title, "unit": unit, "out": u.out, "size": size,
		"result": paid.Result, "seq": paid.Seq, "paid_msat": paid.PaidMsat,
	}, "%s", text)
}

// packagePlace is where a package lies: a folder, or a URL that ends with a slash.
type packagePlace struct {
	dir, url string
	http     http.Client
}

func openPackage(where string) (*packagePlace, error) {
	if !strings.Contains(where, "://") {
		return &packagePlace{dir: where}, nil
	}
	u, err := url.Parse(where)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, usage("%q: want a folder or its URL, with http or https", where)
	}
	u.RawQuery, u.Fragment = "", ""
	return &packagePlace{url: strings.TrimSuffix(u.String(), "/") + "/", http: http.Client{Timeout: 5 * time.Minute}}, nil
}

// manifest reads the header of the package's work, and the manifest that it names.
func (p *packagePlace) manifest(ctx context.Context) (seal.Header, *media.Manifest, error) {
	work, err := p.read(ctx, media.WorkFile, seal.MaxHeader+2*media.MaxManifest)
	if err != nil {
		return seal.Header{}, nil, err
	}
	header, _, err := seal.ReadHeader(bytes.NewReader(work))
	if err != nil {
		return header, nil, err
	}
	text, err := p.read(ctx, media.ManifestFile, media.MaxManifest)
	if err != nil {
		return header, nil, err
	}
	m, err := media.ParseManifest(text, header)
	return header, m, err
}

// read reads a file of the package, which has at most so many bytes.
func (p *packagePlace) read(ctx context.Context, name string, most int64) ([]byte, error) {
	from, err := p.open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	b, err := io.ReadAll(io.LimitReader(from, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("%s: %w: it has more than %d bytes", name, media.ErrChunk, most)
	}
	return b, err
}

func (p *packagePlace) open(ctx context.Context, name string) (io.ReadCloser, error) {
	if p.dir != "" {
		f, err := within(ctx, func() (*os.File, error) { return os.Open(filepath.Join(p.dir, name)) })
		if errors.Is(err, fs.ErrNotExist) {
			return nil, usage("%w: want a folder that package made", err)
		}
		return f, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+name, nil)
	if err != nil {
		return nil, usage("%w", err)
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", client.ErrUnreachable, err)
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("%s%s: answered %d", p.url, name, resp.StatusCode)
	}
	return resp.Body, nil
}
