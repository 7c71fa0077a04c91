package main

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/hub/token"
	"github.com/millrace/millrace/ledger"
	"github.com/spf13/pflag"
	"gopkg.in/macaroon.v2"
)

const defaultHub = client.DefaultHub

// credentials are which hub, and as whom.
type credentials struct{ hub, token, tokenFile string }

func (c *credentials) bind(fs *pflag.FlagSet) {
	c.bindHub(fs)
	fs.StringVar(&c.token, "token", "", "token, or @FILE with it (default MILLRACE_TOKEN); a token here shows in ps")
	fs.StringVar(&c.tokenFile, "token-file", "", "file with the token (default MILLRACE_TOKEN_FILE)")
}

func (c *credentials) bindHub(fs *pflag.FlagSet) {
	fs.StringVar(&c.hub, "hub", "", "the hub's URL (default MILLRACE_HUB, or "+defaultHub+")")
}

// url is the hub's, and whether somebody chose it.
func (c *credentials) url(a *app) (text string, chosen bool) {
	if c.hub != "" {
		return c.hub, true
	}
	if v := a.getenv("MILLRACE_HUB"); v != "" {
		return v, true
	}
	return defaultHub, false
}

// secret is the token's text. A flag is stronger than a variable.
func (c *credentials) secret(a *app) (string, error) {
	if c.token != "" && c.tokenFile != "" {
		return "", usage("--token and --token-file: give one")
	}
	text, file := c.token, c.tokenFile
	if text == "" && file == "" {
		text, file = a.getenv("MILLRACE_TOKEN"), a.getenv("MILLRACE_TOKEN_FILE")
		if text != "" && file != "" {
			return "", usage("MILLRACE_TOKEN and MILLRACE_TOKEN_FILE: set one")
		}
	}
	if name, ok := strings.CutPrefix(text, "@"); ok {
		text, file = "", name
	}
	if file != "" {
		return readToken(a.ctx, file)
	}
	if text == "" {
		return "", usage("a token is needed: --token-file, --token, MILLRACE_TOKEN_FILE or MILLRACE_TOKEN")
	}
	return checkToken(strings.TrimSpace(text), "the token")
}

func readToken(ctx context.Context, file string) (string, error) {
	b, err := readStart(ctx, file, 2*token.MaxText)
	if err != nil {
		return "", usage("token file: %w", err)
	}
	return checkToken(strings.TrimSpace(string(b)), file)
}

// checkToken refuses what is no token before it is sent anywhere, and never quotes it.
func checkToken(text, where string) (string, error) {
	if _, err := identify(text); err != nil {
		return "", usage("%s: %w", where, err)
	}
	return text, nil
}

// identify reads the account that a token says it is of; nobody has checked it. It is zero for an operator's token.
func identify(text string) (ledger.AccountNo, error) {
	wrong := errors.New("this is not a token")
	if len(text) > token.MaxText {
		return 0, wrong
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return 0, wrong
	}
	var m macaroon.Macaroon
	if m.UnmarshalBinary(b) != nil || len(m.Id()) != 22 || m.Id()[0] != 1 { // the form is drawn in hub/token
		return 0, wrong
	}
	return ledger.AccountNo(binary.LittleEndian.Uint32(m.Id()[2:])), nil
}

// anonymous is a client without a token.
func (c *credentials) anonymous(a *app) (*client.Client, error) {
	hub, _ := c.url(a)
	return dial(hub, "")
}

// client is a client with the token, and the account that the token names.
func (c *credentials) client(a *app) (*client.Client, ledger.AccountNo, error) {
	secret, err := c.secret(a)
	if err != nil {
		return nil, 0, err
	}
	hub, _ := c.url(a)
	cl, err := dial(hub, secret)
	if err != nil {
		return nil, 0, err
	}
	if inClear(cl.URL()) {
		a.note("warning: the token goes to %s without encryption", cl.URL())
	}
	no, err := identify(secret)
	return cl, no, err
}

// clientOf is client, with the account that an argument names, if there is one, in place of the token's.
func (c *credentials) clientOf(ctx context.Context, a *app, args []string) (*client.Client, ledger.AccountNo, error) {
	cl, no, err := c.client(a)
	if err != nil || len(args) == 0 {
		return cl, no, err
	}
	if no, err = parseAccount(ctx, args[0]); err != nil {
		return nil, 0, usage("%w", err)
	}
	return cl, no, nil
}

func dial(hub, secret string) (*client.Client, error) {
	c, err := client.New(client.Config{Hub: hub, Token: secret})
	if err != nil {
		return nil, usage("%w", err)
	}
	return c, nil
}

// inClear says whether others can read what is sent to a URL.
func inClear(hub string) bool {
	u, err := url.Parse(hub)
	if err != nil || u.Scheme == "https" || u.Hostname() == "localhost" {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return err != nil || !ip.IsLoopback()
}

// clientFor is a client with the token for the hub that a file names as its own. A file can name anybody: the token only
// goes to a hub that the user chose, or that runs on this machine, and only if that hub says that it is the file's, or, having
// been chosen, sells this very file: a hub that has moved still sells what was sealed under its old name.
func (c *credentials) clientFor(ctx context.Context, a *app, h seal.Header) (*client.Client, error) {
	hub, chosen := c.url(a)
	origin := h.Origin
	probe, err := dial(hub, "")
	if err != nil {
		return nil, err
	}
	advice := fmt.Sprintf("the file is sold by %s; your token was not sent anywhere; if you trust that hub with it, pass --hub %s", origin, origin)
	info, err := probe.Hub(ctx)
	if err != nil {
		if !chosen && probe.URL() != origin && errors.Is(err, client.ErrUnreachable) {
			return nil, usage("no hub given: %s", advice)
		}
		return nil, err
	}
	sold, err := seal.ParseOrigin(info.Origin)
	if (err != nil || sold != origin) && !(chosen && sells(ctx, probe, h)) {
		return nil, usage("the hub at %s is %s: %s", probe.URL(), plain(info.Origin), advice)
	}
	cl, _, err := c.client(a)
	return cl, err
}

// sells says whether a hub has a file's own header registered as its content.
func sells(ctx context.Context, probe *client.Client, h seal.Header) bool {
	q, err := probe.Content(ctx, h.Content)
	digest := h.SHA256()
	return err == nil && q.HeaderSHA256 == hex.EncodeToString(digest[:])
}
