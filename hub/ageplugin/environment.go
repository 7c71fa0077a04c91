package ageplugin

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/hub/token"
	"github.com/millrace/millrace/ledger"
)

// account is an identity, and whether somebody chose its hub.
type account struct {
	Identity
	chosen bool
}

// accountOf reads an identity's bytes. There are none for age -d -j millrace: that one pays as the command line does, by the
// environment.
func accountOf(data []byte, getenv func(string) string) (account, error) {
	most, err := capOf(getenv)
	if err != nil {
		return account{}, err
	}
	if len(data) == 0 {
		return fromEnvironment(getenv, most)
	}
	i, err := ParseIdentity(data)
	if err == nil && i.Cap == 0 {
		i.Cap = most
	}
	return account{i, true}, err
}

// capOf is the most to pay for one file: 0 where nobody has set it.
func capOf(getenv func(string) string) (ledger.Msat, error) {
	text := getenv("MILLRACE_MAX_MSAT")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == 0 || ledger.Msat(n) > ledger.MaxMsat {
		return 0, fmt.Errorf("MILLRACE_MAX_MSAT: want whole msat from 1 to %d", ledger.MaxMsat)
	}
	return ledger.Msat(n), nil
}

func fromEnvironment(getenv func(string) string, most ledger.Msat) (account, error) {
	hub, chosen := getenv("MILLRACE_HUB"), true
	if hub == "" {
		hub, chosen = client.DefaultHub, false
	}
	origin, err := seal.ParseOrigin(strings.TrimSuffix(hub, "/"))
	if err != nil {
		return account{}, fmt.Errorf("MILLRACE_HUB: %w", err)
	}
	text, err := tokenOf(getenv)
	if err != nil {
		return account{}, err
	}
	return account{Identity{Hub: origin, Token: text, Cap: most}, chosen}, nil
}

// tokenOf is the token that the environment gives, and never quoted in an error.
func tokenOf(getenv func(string) string) (string, error) {
	text, file := getenv("MILLRACE_TOKEN"), getenv("MILLRACE_TOKEN_FILE")
	if text != "" && file != "" {
		return "", errors.New("MILLRACE_TOKEN and MILLRACE_TOKEN_FILE: set one")
	}
	if name, ok := strings.CutPrefix(text, "@"); ok {
		text, file = "", name
	}
	if file != "" {
		if !filepath.IsAbs(file) {
			return "", errors.New("the token's file: want an absolute path: age starts its plugins in a folder of its own")
		}
		f, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("token file: %w", err)
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, 2*token.MaxText))
		if err != nil {
			return "", fmt.Errorf("token file: %w", err)
		}
		text = string(b)
	}
	if text = strings.TrimSpace(text); text == "" {
		return "", errors.New("a token is needed: set MILLRACE_TOKEN_FILE, or give an identity: millrace age identity makes one")
	}
	if _, err := token.Restrict(text, token.Limits{}); err != nil {
		return "", errors.New("what the environment gives as a token is none")
	}
	return text, nil
}
