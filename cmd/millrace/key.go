package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/hub/keyring"
	"github.com/millrace/millrace/ledger/store"
	"github.com/millrace/millrace/ledger/tlog"
	"github.com/spf13/cobra"
)

func (a *app) keyCommand() *cobra.Command {
	return a.noun("key", "The hub's sealing keys and its log's key", a.keyShow(), a.keyRotate(), a.keyLog())
}

func (a *app) keyLog() *cobra.Command {
	var cred credentials
	var file string
	c := a.verb("log", "Show the key that verifies receipts and proofs of liabilities, as a hub says it", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		cl, err := cred.anonymous(a)
		if err != nil {
			return err
		}
		k, err := cl.LogKey(ctx)
		if err != nil {
			return err
		}
		if _, err := tlog.NewVerifier(k.LogKey); err != nil {
			return fmt.Errorf("%w: %w", client.ErrAnswer, err)
		}
		if file == "" {
			return a.print(k, "%s", plain(k.LogKey))
		}
		out, err := newOutput(file, false, 0o666)
		if err != nil {
			return err
		}
		defer out.discard()
		if err := out.finish(k.LogKey + "\n"); err != nil {
			return err
		}
		return a.print(map[string]any{"out": file, "log_key": k.LogKey}, "log key in %s", file)
	})
	cred.bindHub(c.Flags())
	c.Flags().StringVarP(&file, "out", "o", "", "write it to this new file")
	return c
}

func (a *app) keyShow() *cobra.Command {
	var cred credentials
	var file string
	var c *cobra.Command
	c = a.verb("show", "Show the keys: of a stopped hub's data folder, or of a hub with --hub", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		if cred.hub == "" {
			return a.offlineKeys(file, c, func(*keyring.Ring) error { return nil })
		}
		cl, err := cred.anonymous(a)
		if err != nil {
			return err
		}
		k, err := cl.Key(ctx)
		if err != nil {
			return err
		}
		return a.print(k, "origin %s\nkey    %s", plain(k.Origin), plain(k.PublicKey))
	})
	dataFlags(c, &file)
	c.Flags().StringVar(&cred.hub, "hub", "", "ask this hub instead")
	c.MarkFlagsMutuallyExclusive("hub", "data")
	return c
}

func (a *app) keyRotate() *cobra.Command {
	var file string
	var c *cobra.Command
	c = a.verb("rotate", "Seal with a new key from now on; older files still open. The hub must be stopped", cobra.NoArgs,
		func(context.Context, []string) error {
			return a.offlineKeys(file, c, func(r *keyring.Ring) error { return r.Rotate(time.Now()) })
		})
	dataFlags(c, &file)
	return c
}

// shownKey is a key as printed.
type shownKey struct {
	Number    uint32 `json:"number"`
	KeyID     string `json:"key_id"`
	Created   string `json:"created"`
	PublicKey string `json:"public_key"`
	Active    bool   `json:"active"`
}

// offlineKeys changes the keys of a data folder that no hub has open, and prints them.
func (a *app) offlineKeys(file string, c *cobra.Command, change func(*keyring.Ring) error) (err error) {
	cfg, err := a.load(file, c.Flags())
	if err != nil {
		return err
	}
	s, err := store.Open(store.Options{Dir: cfg.Data, WALDir: cfg.WALDir})
	if errors.Is(err, store.ErrInUse) {
		return fmt.Errorf("%w: stop the hub first, or ask it: millrace key show --hub URL", err)
	}
	if err != nil {
		return ofData(err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	ring, err := openRing(cfg)
	if err != nil {
		return err
	}
	if err := change(ring); err != nil {
		return err
	}
	var keys []shownKey
	var text strings.Builder
	for _, k := range ring.Keys() {
		active := k.Public.Equal(ring.Public())
		keys = append(keys, shownKey{k.Number, k.Public.ID(), k.Created.Format(time.RFC3339), k.Public.String(), active})
		fmt.Fprintf(&text, "%d %s %s %s\n", k.Number, k.Created.Format(time.RFC3339), k.Public.ID(), k.Public)
	}
	return a.print(keys, "%sthe last one is active", text.String())
}
