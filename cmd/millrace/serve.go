package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) serveCommand() *cobra.Command {
	var file string
	var c *cobra.Command
	c = a.verb("serve", "Run a hub", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		cfg, err := a.load(file, c.Flags())
		if err != nil {
			return err
		}
		return a.serve(ctx, cfg)
	})
	c.Long = "Serve runs the hub in a data folder that millrace init made. Every flag can also be set in the --config file\n" +
		"(max_connections = 100) and in the environment (MILLRACE_MAX_CONNECTIONS=100); flags are the strongest.\n\n" +
		"SIGTERM and SIGINT stop it gracefully; a second one at once, which is safe too: the next start recovers."
	defaults := defaultConfig()
	bindServeFlags(c.Flags(), &defaults)
	c.Flags().StringVar(&file, "config", "", "configuration file (TOML)")
	return c
}

// serve runs a hub until the context ends.
func (a *app) serve(ctx context.Context, cfg config) (err error) {
	log := a.logger(cfg)
	n, err := a.startNode(ctx, cfg, log)
	if ctx.Err() != nil {
		return errors.Join(n.stop(cfg.ShutdownTimeout.Duration))
	}
	if err != nil {
		return errors.Join(err, n.stop(cfg.ShutdownTimeout.Duration))
	}
	failed := make(chan error, 1)
	go func() { failed <- n.server.Serve(n.listener) }()
	log.Info("serving", "listen", n.listener.Addr().String(), "origin", n.hub.Origin(), "dev", cfg.Dev)
	if err := a.announce(cfg, n); err != nil {
		return errors.Join(err, n.stop(cfg.ShutdownTimeout.Duration))
	}
	select {
	case <-ctx.Done():
		log.Info("stopping")
	case err = <-failed:
		err = fmt.Errorf("serving: %w", err)
	}
	err = errors.Join(err, n.stop(cfg.ShutdownTimeout.Duration))
	if err == nil {
		log.Info("stopped")
	}
	return err
}

func (a *app) logger(cfg config) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if err, ok := a.Value.Any().(error); ok { // the text handler would print pebble's with the stack of each cause
			a.Value = slog.StringValue(plain(err.Error()))
		}
		return a
	}}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(a.err, options))
	}
	return slog.New(slog.NewTextHandler(a.err, options))
}

// announce says on stdout where the hub is, and on a development hub what to try.
func (a *app) announce(cfg config, n *node) error {
	info := map[string]any{"listen": n.listener.Addr().String(), "hub": n.hub.Origin(), "dev": cfg.Dev}
	if !cfg.Dev {
		return a.print(info, "hub %s", n.hub.Origin())
	}
	info["operator_token_file"] = n.operator
	return a.print(info, "hub %s, in development mode: money is made of nothing\n\n%s", n.hub.Origin(), a.firstSteps(cfg, n.hub.Origin(), n.operator))
}

// firstSteps are commands that work as they stand: fund, seal, open. The files go to the data folder.
func (a *app) firstSteps(cfg config, hub, operator string) string {
	program := quote(a.program)
	reader, creator := filepath.Join(cfg.Data, "reader.token"), filepath.Join(cfg.Data, "creator.token")
	sealed, opened := filepath.Join(cfg.Data, "README.sealed"), filepath.Join(cfg.Data, "README.opened")
	var s strings.Builder
	fmt.Fprintf(&s, "export MILLRACE_HUB=%s\n", hub)
	for _, file := range []string{reader, creator} {
		if _, err := os.Stat(file); err != nil {
			fmt.Fprintf(&s, "%s account create --save-token %s\n", program, quote(file))
		}
	}
	fmt.Fprintf(&s, "%s fund --token-file %s --account @%s --amount-msat 1000000\n", program, quote(operator), quote(reader))
	fmt.Fprintf(&s, "%s seal --token-file %s --price-msat 250000 --title README --force -o %s README.md\n", program, quote(creator), quote(sealed))
	fmt.Fprintf(&s, "%s open --token-file %s --max-msat 250000 --force -o %s %s\n", program, quote(reader), quote(opened), quote(sealed))
	return s.String()
}

// quote is a word for a POSIX shell.
func quote(word string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:@%+=,", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !safe(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// listen opens the API's address, and says by which origin the hub is then known.
func listen(cfg config) (net.Listener, string, error) {
	ln, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, "", fmt.Errorf("listening: %w", err)
	}
	if cfg.Origin == "" {
		return ln, cfg.originOf(ln.Addr().String()), nil
	}
	return ln, cfg.Origin, nil
}
