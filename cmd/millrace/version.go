package main

import (
	"context"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (a *app) versionCommand() *cobra.Command {
	return a.verb("version", "Print the version", cobra.NoArgs, func(context.Context, []string) error {
		v := buildVersion()
		return a.print(map[string]string{"version": v, "go": runtime.Version()}, "millrace %s (%s)", v, runtime.Version())
	})
}

// buildVersion is what the toolchain has recorded: the module's version, or the commit.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version[:min(len(info.Main.Version), 100)] // the API's bound
}
