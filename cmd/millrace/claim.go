package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/millrace/millrace/hub/ageplugin"
	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

const claimSuffix = ".claim" // after the sealed file's name

// claimOf is where the claim to a sealed file lies: beside it, where seal --offline puts it, or else in the folder of claims, if age
// sealed it there.
func (a *app) claimOf(in string, h seal.Header) string {
	beside := in + claimSuffix
	if _, err := os.Lstat(beside); !errors.Is(err, fs.ErrNotExist) {
		return beside
	}
	if folder, err := ageplugin.ClaimFolder(a.getenv); err == nil {
		kept := ageplugin.ClaimPath(folder, h.Content)
		if _, err := os.Lstat(kept); err == nil {
			return kept
		}
	}
	return beside
}

// readClaim reads the commitment to the file key of a sealed work, which must be the one with this header.
func readClaim(ctx context.Context, file string, h seal.Header) (commitment [32]byte, err error) {
	b, err := readStart(ctx, file, seal.MaxClaim)
	if errors.Is(err, fs.ErrNotExist) {
		return commitment, usage("there is no claim %s: seal --offline makes it with the sealed file; if it is elsewhere, pass --claim FILE", file)
	}
	if err != nil {
		return commitment, usage("claim: %w", err)
	}
	c, err := seal.ParseClaim(b)
	if err != nil {
		return commitment, usage("%s is %w", file, err)
	}
	if c.Content != h.Content {
		return commitment, usage("%s is the claim to content %v, and the file is content %v", file, c.Content, h.Content)
	}
	return c.Commitment, nil
}

// samePlace says whether two paths name one entry of one folder, however they are written.
func samePlace(a, b string) bool {
	if filepath.Base(a) != filepath.Base(b) {
		return false
	}
	in, err := os.Stat(filepath.Dir(a))
	if err != nil {
		return false
	}
	other, err := os.Stat(filepath.Dir(b))
	return err == nil && os.SameFile(in, other)
}

// claimPlace finds where an offline seal puts its claim, and that nothing else goes there.
func (s *sealer) claimPlace(in *input) error {
	switch {
	case !s.offline && s.claim != "":
		return usage("--claim is for --offline")
	case !s.offline:
		return nil
	case s.claim == "-":
		return usage("--claim: want a file")
	case s.claim == "" && s.out == "-":
		return usage("--offline to standard output needs --claim FILE")
	case s.claim == "":
		s.claim = s.out + claimSuffix
	}
	if in.is(s.claim) {
		return usage("%s is both what to seal and where to put the claim", s.claim)
	}
	if samePlace(s.claim, s.out) {
		return usage("%s is both the sealed file and its claim", s.out)
	}
	return nil
}

// openClaim is nil unless there is a claim to make.
func (s *sealer) openClaim() (*output, error) {
	if !s.offline {
		return nil, nil
	}
	return newOutput(s.claim, s.force, 0o600)
}

// writeClaim makes a claim durable, and not yet seen. Without one there is nothing to do.
func writeClaim(kept *output, id ledger.ContentID, commitment [32]byte) error {
	if kept == nil {
		return nil
	}
	if _, err := io.WriteString(kept, seal.Claim{Content: id, Commitment: commitment}.Text()); err != nil {
		return err
	}
	return kept.flush()
}

// keep moves a claim that is durable already to its place, when its sealed file has come to its own.
func (s *sealer) keep(a *app, c *output) error {
	if c == nil {
		return nil
	}
	if err := c.commit(); err != nil {
		kept := c.temp
		c.temp = "" // without it the sealed file can never be registered
		return fmt.Errorf("%w (the file is sealed; its claim is kept as %s)", err, kept)
	}
	a.note("keep %s to yourself until the work is registered: who has it and the sealed file can register the work", s.claim)
	return nil
}
