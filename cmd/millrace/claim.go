package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

const (
	claimSuffix = ".claim" // after the sealed file's name
	maxClaim    = 4 << 10  // bytes; a claim has about 130
)

// claim is what registering takes besides the sealed file. The commitment cannot be computed from the file, so who seals
// offline keeps it until then.
type claim struct {
	Content    string `json:"content"`
	Commitment string `json:"commitment"`
}

// text is the claim as its file has it.
func (c claim) text() string {
	b, _ := json.Marshal(c) // two strings: it cannot fail
	return string(b) + "\n"
}

// readClaim reads the commitment to the file key of a sealed work, which must be the one with this header.
func readClaim(ctx context.Context, file string, h seal.Header) (commitment [32]byte, err error) {
	b, err := readStart(ctx, file, maxClaim)
	if errors.Is(err, fs.ErrNotExist) {
		return commitment, usage("there is no claim %s: seal --offline makes it with the sealed file; if it is elsewhere, pass --claim FILE", file)
	}
	if err != nil {
		return commitment, usage("claim: %w", err)
	}
	var c claim
	err = json.Unmarshal(b, &c)
	id, bad := ledger.ParseContentID(c.Content)
	sum, wrong := hex.DecodeString(c.Commitment)
	if err != nil || bad != nil || wrong != nil || len(sum) != len(commitment) {
		return commitment, usage("%s is not a claim", file) // what it is instead may be a secret
	}
	if id != h.Content {
		return commitment, usage("%s is the claim to content %v, and the file is content %v", file, id, h.Content)
	}
	return [32]byte(sum), nil
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
	c := claim{Content: id.String(), Commitment: hex.EncodeToString(commitment[:])}
	if _, err := io.WriteString(kept, c.text()); err != nil {
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
