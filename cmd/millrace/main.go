// Millrace is the hub and its command line: see millrace --help.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if os.Getenv("GOMAXPROCS") == "" {
		// What follows the log keeps processors of Go's busy for milliseconds at a time, and only an idle one hears of the
		// network at once. With two more than cores there is one, and the kernel shares the cores: with all followers on, two
		// cores then took a quarter more payments, at half the p99.
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 2)
	}
	os.Exit(run(ctx, os.Args, os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program but for the process around it. args[0] is how it was called.
func run(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{ctx: ctx, program: args[0], env: env, in: stdin, out: stdout, err: stderr, exit: os.Exit}
	root := a.root()
	a.mark(root)
	root.SetArgs(args[1:])
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err != nil && !a.running { // cobra's own errors: an unknown verb or flag, a missing argument
		err = usage("%w", err)
		a.json = slices.Contains(args, "--json")
	}
	return a.report(err)
}

// app is what all verbs share.
type app struct {
	ctx      context.Context // the process's: for what opens files while flags are read
	program  string
	env      []string // as of os.Environ
	in       io.Reader
	out, err io.Writer
	exit     func(int) // os.Exit, for a hub that must not go on
	json     bool
	running  bool // a verb's own code has begun
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "millrace",
		Short: "A hub for micropayments, and what speaks to it",
		Long: "Millrace sells sealed files and moves micropayments: `serve` runs a hub, the other verbs speak to one.\n\n" +
			"The hub's URL comes from --hub or MILLRACE_HUB (default " + defaultHub + "), the token from --token, --token-file,\n" +
			"MILLRACE_TOKEN or MILLRACE_TOKEN_FILE. A value of --token that starts with @ names a file.\n\n" + exitCodes,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print one JSON value on stdout and nothing else")
	root.AddCommand(
		a.initCommand(), a.serveCommand(), a.exportCommand(), a.fsckCommand(), a.rebuildCommand(), a.keyCommand(),
		a.accountCommand(), a.tokenCommand(), a.fundCommand(), a.payCommand(), a.channelCommand(),
		a.depositCommand(), a.withdrawCommand(), a.settleCommand(), a.payoutsCommand(), a.reconcileCommand(),
		a.nameCommand(), a.linkCommand(), a.loginCommand(), a.connectionCommand(),
		a.historyCommand(), a.statementCommand(), a.eventsCommand(), a.webhookCommand(),
		a.sealCommand(), a.packageCommand(), a.registerCommand(), a.inspectCommand(), a.openCommand(), a.unitCommand(), a.contentCommand(), a.rateCommand(),
		a.ageCommand(), a.receiptCommand(), a.liabilityCommand(), a.backupCommand(), a.restoreCommand(),
		newBenchCommand(), a.versionCommand(),
		&cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: exitCodes},
	)
	return root
}

// verb is a command that does something: do runs when its flags and arguments are in order.
func (a *app) verb(use, short string, args cobra.PositionalArgs, do func(ctx context.Context, args []string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: args, RunE: func(cmd *cobra.Command, args []string) error {
		return do(cmd.Context(), args)
	}}
}

// mark has every command say when its own code begins: what fails before that is usage.
func (a *app) mark(c *cobra.Command) {
	if do := c.RunE; do != nil {
		c.RunE = func(cmd *cobra.Command, args []string) error {
			a.running = true
			if err := given(cmd); err != nil {
				return err
			}
			return do(cmd, args)
		}
	}
	for _, sub := range c.Commands() {
		a.mark(sub)
	}
}

// given refuses flags that were given and are empty, as a shell variable that is not set makes them: what stands in for a flag
// that is left out is not what was asked for.
func given(c *cobra.Command) error {
	for _, name := range []string{"hub", "token", "token-file", "save-token", "out", "claim", "to", "from", "name", "key", "cursor", "delivery"} {
		if f := c.Flags().Lookup(name); f != nil && f.Changed && f.Value.String() == "" {
			return usage("--%s is empty: leave it out, or give a value", name)
		}
	}
	return nil
}

// noun is a command that only has verbs.
func (a *app) noun(use, short string, verbs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs}
	c.RunE = func(_ *cobra.Command, args []string) error {
		var names []string
		for _, v := range verbs {
			names = append(names, v.Name())
		}
		return usage("%s %q: want one of %s", use, strings.Join(args, " "), strings.Join(names, ", "))
	}
	c.AddCommand(verbs...)
	return c
}

// must marks flags without which the verb does not run.
func must(c *cobra.Command, flags ...string) *cobra.Command {
	for _, name := range flags {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err) // the flag is not defined: a mistake in this package, which every test meets
		}
	}
	return c
}

// print is a verb's answer: v for --json, and otherwise the text.
func (a *app) print(v any, format string, args ...any) error {
	if a.json {
		e := json.NewEncoder(a.out)
		e.SetEscapeHTML(false)
		return e.Encode(v)
	}
	_, err := fmt.Fprintf(a.out, format+"\n", args...)
	return err
}

// note tells a person something beside the answer.
func (a *app) note(format string, args ...any) {
	fmt.Fprintf(a.err, "millrace: "+format+"\n", args...)
}

// getenv is empty for a variable that is not set.
func (a *app) getenv(name string) string {
	for _, kv := range slices.Backward(a.env) {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value
		}
	}
	return ""
}
