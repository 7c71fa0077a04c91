package main

import (
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/bench"
)

// newBenchHubCommand is the hub of a scenario with a slow disk, which the suite starts for itself.
func newBenchHubCommand() *cobra.Command {
	var data, listen string
	c := &cobra.Command{
		Use: "hub", Hidden: true, Args: cobra.NoArgs,
		Short: "a hub on a disk that standard input makes slow",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg := bench.Config{Serve: serveBench, ServeNoop: serveNoop, Progress: cmd.ErrOrStderr()}
			return bench.ServeSlow(cmd.Context(), cfg, data, listen, cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	c.Flags().StringVar(&data, "data", "", "data folder that the suite has made")
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "host:port of the API")
	return c
}
