package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/millrace/millrace/hub/keyring"
	"github.com/millrace/millrace/ledger"
	"github.com/millrace/millrace/ledger/store"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// dataFlags gives a verb those flags of serve that say where a hub's data is.
func dataFlags(c *cobra.Command, file *string) {
	hubFlags(c, file, "data", "wal-dir", "kek-file", "kek-env", "kek-credential")
}

// logFlags are those that say where its log is.
func logFlags(c *cobra.Command, file *string) { hubFlags(c, file, "data", "wal-dir") }

func hubFlags(c *cobra.Command, file *string, names ...string) {
	defaults := defaultConfig()
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	bindServeFlags(all, &defaults)
	for _, name := range names {
		c.Flags().AddFlag(all.Lookup(name))
	}
	c.Flags().StringVar(file, "config", "", "configuration file of the hub (TOML)")
}

// load is loadConfig with errors that are the caller's to mend.
func (a *app) load(file string, flags *pflag.FlagSet) (config, error) {
	c, err := within(a.ctx, func() (config, error) { return loadConfig(file, a.env, flags) })
	if err != nil {
		return c, usage("%w", err)
	}
	return c, nil
}

func (c *config) keys() string { return filepath.Join(c.Data, "hub.keys") }

// kek is where the key over the hub's keys comes from.
func (c *config) kek() keyring.Source {
	if c.KEKFile == "" && c.KEKEnv == "" && c.KEKCredential == "" {
		return keyring.Source{File: filepath.Join(c.Data, "hub.kek")}
	}
	return keyring.Source{File: c.KEKFile, Env: c.KEKEnv, Credential: c.KEKCredential}
}

func (a *app) initCommand() *cobra.Command {
	params := ledger.DefaultParams()
	var file string
	window := time.Duration(params.IDWindow) * time.Millisecond
	var c *cobra.Command
	c = a.verb("init", "Make a hub's data folder", cobra.NoArgs, func(context.Context, []string) error {
		cfg, err := a.load(file, c.Flags())
		if err != nil {
			return err
		}
		params.IDWindow = uint64(max(0, window.Milliseconds()))
		if err := params.Validate(); err != nil {
			return usage("%w", err)
		}
		return a.initialise(cfg, params)
	})
	dataFlags(c, &file)
	c.Flags().Uint32Var(&params.FeePPM, "fee-ppm", params.FeePPM, "the hub's part of every sale, in parts per million; for ever")
	c.Flags().DurationVar(&window, "id-window", window, "for how long a repeated payment is recognised; for ever")
	return c
}

// initialise makes the hub's keys and then the ledger, which is whole when its last file is: what is interrupted is seen.
func (a *app) initialise(cfg config, params ledger.Params) error {
	if err := vacant(cfg); err != nil {
		return err
	}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return fmt.Errorf("%w: %w", errData, err)
	}
	kek, made, err := makeKEK(cfg.kek())
	if err != nil {
		return fmt.Errorf("%w: %w", errData, err)
	}
	ring, err := keyring.Create(cfg.keys(), kek, time.Now())
	if err != nil {
		return fmt.Errorf("%w: %w", errData, err)
	}
	if err := store.Init(store.Options{Dir: cfg.Data, WALDir: cfg.WALDir}, params); err != nil {
		return fmt.Errorf("%w: %w", errData, err)
	}
	if made != "" {
		a.note("the key over the hub's keys is in %s: without it the hub's keys are lost; in production keep it apart from the data", made)
	}
	return a.print(map[string]any{
		"data": cfg.Data, "key_id": ring.Public().ID(), "public_key": ring.Public().String(), "kek_file": made,
		"fee_ppm": params.FeePPM, "id_window_ms": params.IDWindow,
	}, "made %s, sealing key %s", cfg.Data, ring.Public().ID())
}

// vacant refuses a folder that is a hub's already, or half of one.
func vacant(cfg config) error {
	if _, err := os.Stat(filepath.Join(cfg.Data, "FORMAT")); err == nil {
		return fmt.Errorf("%w: %s holds a hub", store.ErrExists, cfg.Data)
	}
	for _, name := range []string{"hub.keys", "ledger", "snapshots"} {
		if _, err := os.Stat(filepath.Join(cfg.Data, name)); err == nil {
			return fmt.Errorf("%w %s is half-written: it has no FORMAT file, but %s. If an init was interrupted, remove the folder and init again; if a hub ever ran on it, remove nothing", errData, cfg.Data, name)
		}
	}
	return nil
}

// makeKEK loads the key over the keys, or makes it if it is to be in a file that is not there. made is that file.
func makeKEK(src keyring.Source) (kek keyring.KEK, made string, err error) {
	if src.File != "" {
		if _, err := os.Lstat(src.File); errors.Is(err, fs.ErrNotExist) {
			kek, err = keyring.CreateKEKFile(src.File)
			return kek, src.File, err
		}
	}
	kek, err = keyring.LoadKEK(src)
	return kek, "", err
}

// openRing opens the keys of a hub.
func openRing(cfg config) (*keyring.Ring, error) {
	kek, err := keyring.LoadKEK(cfg.kek())
	if err != nil {
		return nil, err
	}
	ring, err := keyring.Open(cfg.keys(), kek)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errData, err)
	}
	return ring, nil
}
