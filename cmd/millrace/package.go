package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/hub/media"
	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
	"github.com/spf13/cobra"
)

// packer is the verb package.
type packer struct {
	sealer
	unit          string
	chunks, anew  bool
	sealed        seal.Sealed
	manifest      *media.Manifest
	id            ledger.ContentID
	folder, plain string // that are under way; empty: there is nothing to discard
}

// packaged is what package prints.
type packaged struct {
	sealedWork
	Kind  string `json:"kind"`
	Unit  string `json:"unit"`
	Units uint32 `json:"units"`
	Files int    `json:"files"`
}

func (a *app) packageCommand() *cobra.Command {
	var p packer
	c := a.verb("package IN", "Make a folder of a film, a song or anything in parts, to be sold by the unit", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		return p.run(ctx, a, args[0])
	})
	c.Long = "Package cuts IN into units, encrypts each under a key of its own, and makes a folder that any web server can serve. Films and\n" +
		"songs become HLS with AES-128: ffmpeg cuts them, H.264 where it has key frames, anything else is encoded anew. With --chunks\n" +
		"IN is a folder, whose files are the parts in the order of their names, or a text, whose rows are.\n\n" +
		"Each unit costs the price. With --offline, or when the hub does not take it, there is a claim, OUT.claim, with which register puts\n" +
		"OUT/" + media.WorkFile + " on sale later: keep it to yourself until then."
	p.bind(c)
	p.bindFree(c)
	c.Flags().StringVarP(&p.out, "out", "o", "", "the folder to make")
	c.Flags().StringVar(&p.unit, "unit", "", "what is sold at a time: a length such as 10s, with --chunks a number of files or rows (default 10s, or 1)")
	c.Flags().BoolVar(&p.chunks, "chunks", false, "IN is a folder of parts, or a text of rows")
	c.Flags().BoolVar(&p.anew, "reencode", false, "encode the pictures anew, so that each unit has its exact length")
	c.Flags().BoolVar(&p.quiet, "quiet", false, "no progress")
	c.Flags().BoolVar(&p.offline, "offline", false, "without a hub")
	c.Flags().StringVar(&p.claim, "claim", "", "where the claim goes (default OUT.claim)")
	c.Flags().StringVar(&p.hubKey, "hub-key", "", "the hub's public key, with --offline")
	c.Flags().StringVar(&p.origin, "origin", "", "the hub's origin, with --offline")
	return must(c, "out")
}

func (p *packer) run(ctx context.Context, a *app, name string) error {
	if !p.offline && (p.hubKey != "" || p.origin != "") {
		return usage("--hub-key and --origin are for --offline")
	}
	p.out = filepath.Clean(p.out)
	if p.claim == "" {
		p.claim = p.out + claimSuffix
	}
	if _, err := os.Lstat(p.out); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(usage("%s exists already", p.out), err)
	}
	source, err := p.source(ctx, a, name)
	if err != nil {
		return err
	}
	var cl *client.Client
	var payees []client.Payee
	if !p.offline {
		if payees, err = p.check(ctx); err != nil {
			return err
		}
		if cl, _, err = p.cred.client(a); err != nil {
			return err
		}
	}
	key, origin, err := p.key(ctx, cl)
	if err != nil {
		return err
	}
	defer p.discard()
	if err := p.pack(ctx, a, source, key, origin); err != nil {
		return err
	}
	if err := p.place(); err != nil {
		return err
	}
	w := p.work(key, origin)
	if cl == nil {
		return p.answer(a, w)
	}
	if err := p.register(ctx, cl, p.sealed, payees, &w.sealedWork); err != nil {
		return fmt.Errorf("%w (%s is made; register puts it on sale, with the claim %s)", err, p.out, p.claim)
	}
	if err := os.Remove(p.claim); err != nil { // on sale, it has no further use
		a.note("%v", err)
	}
	w.Claim = ""
	return p.answer(a, w)
}

// source opens what is to be packaged.
func (p *packer) source(ctx context.Context, a *app, name string) (media.Source, error) {
	if p.chunks {
		return p.parts(ctx, a, name)
	}
	unit, err := time.ParseDuration(p.unit)
	if p.unit == "" {
		unit, err = 10*time.Second, nil
	}
	if err != nil || unit < media.MinUnit || unit > media.MaxUnit {
		return media.Source{}, usage("--unit %q: want a length from %v to %v, such as 10s", p.unit, media.MinUnit, media.MaxUnit)
	}
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return media.Source{}, usage("%w", err)
	case info.IsDir():
		return media.Source{}, usage("%s is a folder: --chunks sells its files", name)
	case !info.Mode().IsRegular():
		return media.Source{}, usage("%s: want a regular file", name)
	}
	film, err := media.Probe(ctx, name)
	if err != nil {
		return media.Source{}, err
	}
	return film.Source(unit, p.anew)
}

func (p *packer) parts(ctx context.Context, a *app, name string) (media.Source, error) {
	each := 1
	if p.unit != "" {
		n, err := strconv.Atoi(p.unit)
		if err != nil || n < 1 {
			return media.Source{}, usage("--unit %q: with --chunks want a number of files or rows", p.unit)
		}
		each = n
	}
	if p.anew {
		return media.Source{}, usage("--reencode is for films")
	}
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		s, err := media.Folder(name, each)
		if err != nil {
			return s, usage("%w", err)
		}
		return s, nil
	}
	in, err := a.openInput(ctx, name)
	if err != nil {
		return media.Source{}, err
	}
	if in.size == 0 {
		return media.Source{}, usage("%s is empty", name)
	}
	return media.Rows(in, each) // the process closes it
}

// pack makes the package beside its place.
func (p *packer) pack(ctx context.Context, a *app, source media.Source, key seal.PublicKey, origin string) error {
	_, _ = rand.Read(p.id[:]) // it never fails: the runtime ends the process first
	var random [6]byte
	_, _ = rand.Read(random[:])
	beside := filepath.Join(filepath.Dir(p.out), "."+filepath.Base(p.out)+".millrace-"+hex.EncodeToString(random[:]))
	if err := os.Mkdir(beside, 0o777); err != nil {
		return usage("cannot write to the folder of %s: %w", p.out, err)
	}
	p.folder = beside
	if err := os.Mkdir(beside+".plain", 0o700); err != nil {
		return err
	}
	p.plain = beside + ".plain"
	var err error
	p.sealed, p.manifest, err = media.Pack(ctx, media.Config{Key: key, Origin: origin, Content: p.id, Dir: p.folder, Temp: p.plain,
		Source: source, Mode: 0o666, Progress: a.steps(p.quiet)})
	return err
}

// place moves the package to its place, and its claim beside it. Both are durable before either is there.
func (p *packer) place() error {
	kept, err := newOutput(p.claim, false, 0o600)
	if err != nil {
		return err
	}
	defer kept.discard()
	if err := writeClaim(kept, p.id, p.sealed.Commitment); err != nil {
		return err
	}
	if err := kept.commit(); err != nil {
		return err
	}
	if _, err := os.Lstat(p.out); err == nil { // a rename would put the package in the place of an empty folder
		return errors.Join(usage("%s exists already", p.out), os.Remove(p.claim))
	}
	if err := os.Rename(p.folder, p.out); err != nil {
		return errors.Join(err, os.Remove(p.claim))
	}
	p.folder = ""
	return syncFolder(p.out)
}

func (p *packer) discard() {
	for _, dir := range []string{p.folder, p.plain} {
		if dir != "" {
			os.RemoveAll(dir)
		}
	}
}

func (p *packer) work(key seal.PublicKey, origin string) packaged {
	digest := seal.Header{Raw: p.sealed.Header}.SHA256()
	return packaged{Kind: p.manifest.Kind, Unit: p.manifest.Unit, Units: p.manifest.Units, Files: len(p.manifest.Chunks),
		sealedWork: sealedWork{Content: p.id.String(), Out: p.out, Claim: p.claim, Origin: origin, KeyID: key.ID(), Size: p.sealed.Size,
			SHA256: hex.EncodeToString(p.sealed.SHA256[:]), HeaderSHA256: hex.EncodeToString(digest[:])}}
}

func (p *packer) answer(a *app, w packaged) error {
	if unit, err := time.ParseDuration(w.Unit); err == nil && p.manifest.Longest() > unit+unit/2 {
		a.note("there is a unit of %v, since the film has key frames so seldom: with --reencode each has %s", p.manifest.Longest().Round(time.Millisecond), w.Unit)
	}
	text := fmt.Sprintf("packaged %s: %d times %s, in %d files\ncontent %s\n", w.Out, w.Units, w.Unit, w.Files, w.Content)
	if w.Registered {
		return a.print(w, "%son sale at %s for %d msat a unit", text, w.Origin, w.PriceMsat)
	}
	a.note("keep %s to yourself until the work is registered: who has it and %s can register the work", w.Claim, media.WorkFile)
	return a.print(w, "%sclaim   %s\nnot on sale yet: millrace register --hub %s --price-msat N --title S --claim %s %s", text,
		w.Claim, w.Origin, quote(w.Claim), quote(filepath.Join(w.Out, media.WorkFile)))
}

// steps tells how far a work of several steps is: once a second to a terminal, and every ten seconds to anything else.
func (a *app) steps(quiet bool) media.Progress {
	every := 10 * time.Second
	if isTerminal(a.err) {
		every = time.Second
	}
	told := time.Now()
	return func(step string, done, total int64) {
		if now := time.Now(); !quiet && !a.json && now.Sub(told) >= every {
			told = now
			if total > 0 {
				a.note("%s: %d %%", step, done*100/total)
			} else {
				a.note("%s: %d", step, done)
			}
		}
	}
}
