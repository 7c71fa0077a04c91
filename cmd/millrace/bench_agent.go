package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/bench"
	"github.com/millrace/millrace/bench/agent"
)

// newBenchAgentCommand is `millrace bench agent`.
func newBenchAgentCommand() *cobra.Command {
	var listen, secretFile string
	c := &cobra.Command{
		Use:   "agent",
		Short: "make a part of the load that millrace bench run or knee on another machine asks for",
		Long: "Waits for a coordinator, which is millrace bench run or knee with --agent, and sends what it is told to, one load after the other. All have to be\n" +
			"the same version. Coordinator and agents know each other by a secret in a file; what goes between them is not encrypted: use it in a network of\n" +
			"your own. An agent that hears nothing of its coordinator for 15 s ends the load, and waits for the next.",
		Example: "  head -c 32 /dev/urandom | base64 > bench.secret          # the same file on all machines\n" +
			"  millrace bench agent --listen 10.0.0.7:8500 --secret-file bench.secret\n" +
			"  millrace bench run page-views --hub-address 10.0.0.5:8402 --agent http://10.0.0.7:8500 --agent http://10.0.0.8:8500 --agent-secret-file bench.secret",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			secret, err := agentSecret(secretFile)
			if err != nil {
				return err
			}
			s, err := agent.NewServer(secret, bench.Join)
			if err != nil {
				return usage("%w", err)
			}
			ln, err := net.Listen("tcp", listen)
			if err != nil {
				return usage("%w", err)
			}
			s.Version, s.Log = buildVersion(), cmd.ErrOrStderr()
			defer s.Close()
			fmt.Fprintf(cmd.OutOrStdout(), "listening on http://%s\n", ln.Addr())
			server := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second}
			stopped := context.AfterFunc(cmd.Context(), func() { _ = server.Close() }) // a load that is on ends with it
			defer stopped()
			if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return cmd.Context().Err()
		},
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:8500", "host:port to wait at")
	c.Flags().StringVar(&secretFile, "secret-file", "", "file with the secret that the coordinator has, too")
	return c
}

func agentSecret(file string) (string, error) {
	if file == "" {
		return "", usage("a file with a secret is needed: coordinator and agents know each other by it")
	}
	text, err := readSmall(file)
	if err != nil {
		return "", usage("%w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// crowdFlags are those of a load that agents make.
type crowdFlags struct {
	agents     []string
	secretFile string
	address    string
}

func (f *crowdFlags) add(c *cobra.Command) {
	c.Flags().StringSliceVar(&f.agents, "agent", nil, "URL of a millrace bench agent that makes a part of the load (may be repeated; default: this process makes it all)")
	c.Flags().StringVar(&f.secretFile, "agent-secret-file", "", "file with the secret that the agents have, too")
	c.Flags().StringVar(&f.address, "hub-address", "", "host:port that the hub listens at, and where agents find it (default a free port of loopback)")
}

func (f *crowdFlags) set(cfg *bench.Config) (err error) {
	cfg.Agents, cfg.HubAddress, cfg.Version = f.agents, f.address, buildVersion()
	if len(f.agents) > 0 {
		cfg.AgentSecret, err = agentSecret(f.secretFile)
	}
	return err
}
