package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"unicode"

	"github.com/millrace/millrace/bench"
	"github.com/millrace/millrace/bench/generator"
	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/hub/keyring"
	"github.com/millrace/millrace/hub/media"
	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/hub/webhook"
	"github.com/millrace/millrace/ledger/store"
	"github.com/millrace/millrace/ledger/store/backup"
	"github.com/millrace/millrace/ledger/tlog"
)

// The exit codes. Scripts depend on them.
const (
	exitDone        = 0
	exitInternal    = 1
	exitUsage       = 2
	exitRefused     = 3
	exitUnreachable = 4
	exitFile        = 5
	exitData        = 6
	exitFailed      = 7
	exitInterrupted = 130
)

const exitCodes = `Exit codes:
  0    done
  1    internal error, or the machine's: a full disk, a busy port
  2    usage or configuration
  3    refused by the hub: insufficient funds, price above the maximum, a token that may not, ...
  4    the hub cannot be reached or is overloaded, another backup is being made, or a withdrawal or deposit is still under
       way: try the same again
  5    the file is not a sealed work, is corrupt, or is not the one that was registered; what is to be packaged is no film or
       song; a backup is damaged; a receipt or proof does not verify
  6    the data folder cannot be used
  7    a bench has failed: a threshold does not hold, or the books do not agree with what was acknowledged
  130  interrupted by a signal

An error is one line on stderr. With --json it is also on stdout, as
  {"error":{"code":"insufficient_funds","detail":"...","status":402,"retryable":true}}
where status is that of the hub's answer and 0 if there was none.`

var (
	errDiffers = errors.New("it is not the registered work")
	errData    = errors.New("data folder")
)

// usageError is the caller's to mend, without the hub.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usage(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// printed is an error whose JSON the verb has put into its own answer.
type printed struct{ error }

func (e printed) Unwrap() error { return e.error }

// failure is an error as it is reported.
type failure struct {
	exit      int
	kind      string // before the text, for a person
	Code      string `json:"code"`
	Detail    string `json:"detail"`
	Status    int    `json:"status"`
	Retryable bool   `json:"retryable"`
}

// report prints an error and returns the exit code.
func (a *app) report(err error) int {
	if err == nil {
		return exitDone
	}
	f := classify(err)
	text := f.Detail
	if f.kind != "" {
		text = f.kind + ": " + text
	}
	a.note("%s", text)
	var already printed
	if a.json && !errors.As(err, &already) {
		e := json.NewEncoder(a.out)
		e.SetEscapeHTML(false)
		_ = e.Encode(map[string]failure{"error": f}) // stdout may be what failed
	}
	return f.exit
}

// classify finds what kind of error it is; the first that fits.
func classify(err error) failure {
	var wrong *usageError
	var later *underWay
	var failed *notPaid
	var problem *client.Problem
	is := func(targets ...error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
	f := failure{Detail: plain(err.Error())}
	switch {
	case errors.As(err, &problem):
		return refused(problem, err)
	case errors.As(err, &later):
		f.exit, f.Code, f.Retryable = exitUnreachable, "under_way", true
	case errors.As(err, &failed):
		f.exit, f.Code = exitRefused, "withdrawal_failed"
	case is(errFileRefused):
		f.exit, f.Code = exitRefused, "file_refused"
	case is(context.Canceled):
		f.exit, f.Code, f.Retryable = exitInterrupted, "interrupted", true
	case is(syscall.ENOSPC, syscall.EDQUOT): // whatever it was that did not fit
		f.exit, f.Code = exitInternal, "no_space"
		if full := syscall.ENOSPC.Error(); !strings.Contains(f.Detail, full) {
			f.Detail = full + ": " + f.Detail
		}
	case is(client.ErrUnreachable, generator.ErrAway, context.DeadlineExceeded):
		f.exit, f.Code, f.Retryable = exitUnreachable, "unreachable", true
	case is(seal.ErrNotSealed, seal.ErrNoStanza):
		f.exit, f.Code = exitFile, "not_sealed"
	case is(seal.ErrHeader, seal.ErrCorrupt, seal.ErrStanza):
		f.exit, f.Code = exitFile, "corrupt"
	case is(media.ErrManifest, media.ErrChunk):
		f.exit, f.Code = exitFile, "corrupt"
	case is(media.ErrNoFFmpeg):
		f.exit, f.Code = exitInternal, "no_ffmpeg"
	case is(media.ErrMedia):
		f.exit, f.Code = exitFile, "not_media"
	case is(tlog.ErrForm):
		f.exit, f.Code = exitFile, "no_proof"
	case is(tlog.ErrProof):
		f.exit, f.Code = exitFile, "proof_fails"
	case is(bench.ErrFailed):
		f.exit, f.Code = exitFailed, "bench_failed"
	case is(errDiffers):
		f.exit, f.Code = exitFile, "differs"
	case is(backup.ErrDamaged):
		f.exit, f.Code = exitFile, "corrupt"
	case is(backup.ErrHeld):
		f.exit, f.Code, f.Retryable = exitUnreachable, "backup_under_way", true
	case is(backup.ErrNone):
		f.exit, f.Code = exitUsage, "no_backup"
	case is(errData, webhook.ErrFile, store.ErrFormat, store.ErrInUse, store.ErrExists, store.ErrCorrupt):
		f.exit, f.Code = exitData, "data_unusable"
	case is(keyring.ErrFormat, keyring.ErrKEK, keyring.ErrFull, keyring.ErrChanged):
		f.exit, f.Code = exitData, "keys_unusable"
	case errors.As(err, &wrong):
		f.exit, f.Code, f.kind = exitUsage, "usage", "usage"
	default:
		f.exit, f.Code = exitInternal, "internal"
	}
	return f
}

// refused sorts what the hub answered.
func refused(p *client.Problem, err error) failure {
	f := failure{Code: plain(p.Code), Detail: plain(p.Text()), Status: p.Status, Retryable: p.Retryable}
	switch {
	case p.Code == "header_mismatch":
		f.exit, f.kind = exitFile, "refused: "+f.Code
	case p.Status == 429 || p.Status >= 502 && p.Status <= 504:
		f.exit, f.kind = exitUnreachable, "the hub cannot take this now: "+f.Code
	case p.Status >= 400 && p.Status < 500:
		f.exit, f.kind = exitRefused, "refused: "+f.Code
	default:
		f.exit, f.kind, f.Detail = exitInternal, "", plain(err.Error())
	}
	return f
}

// ofData says of an error of the store that the data folder is at fault, where it lacks a part or does not let one in.
func ofData(err error) error {
	err = mendable(err)
	if errors.Is(err, errData) {
		return err
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("%w: %w", errData, err)
	}
	return err
}

// ofIndex says of an error of the index that the data folder is at fault, whatever it is, and what to do if that can be mended.
func ofIndex(err error) error {
	if err = ofData(err); errors.Is(err, errData) {
		return err
	}
	return fmt.Errorf("%w: %w", errData, err)
}

// plain makes one line without control characters of text that may come from anywhere, so that a hub or a file cannot
// write to the terminal as it likes.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return '\ufffd'
		}
		return r
	}, s)
	const most = 2000
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "..."
	}
	return s
}
