// Where a reload takes a socket away, new connections are led to the next one, and the
// kernel can do that for plain TCP only.

//go:debug multipathtcp=0

// Command sidestream is Caddy with the standard modules and Sidestream, which
// gives a chat backend a streaming API. It has Caddy's own sub-commands (run,
// reload, validate, ...) and more: demo and backend to try Sidestream; tail, explain and
// log to see what it does, and why; hubs, streams, channels, events and kick to look
// into the server that runs.
package main

import (
	"context"
	"os"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/seed-078801ba/sidestream/caddymodule"
	"github.com/seed-078801ba/sidestream/caddymodule/version"
	"github.com/seed-078801ba/sidestream/cmd/sidestream/heap"
)

const longDescription = `Sidestream gives an existing chat backend a streaming API without changing it:
Campfire and Flowdock streams on the backend's own domain, fed by its webhooks,
with the backend deciding who may listen. This is Caddy with Sidestream in it.

To see it work, with nothing to install:

	$ sidestream demo

To run it in front of your own app, start from Caddyfile.example:

	$ sidestream run --config Caddyfile
`

func main() {
	caddy.CustomBinaryName = "sidestream"
	caddy.CustomLongDescription = longDescription
	if caddy.CustomVersion == "" { // unless the linker was told one
		caddy.CustomVersion = versionOnCaddy()
	}
	for _, command := range []caddycmd.Command{demoCommand(), backendCommand(), tailCommand(), explainCommand()} {
		caddycmd.RegisterCommand(command)
	}
	for _, command := range []*cobra.Command{logCommand(), hubsCommand(), streamsCommand(), channelsCommand(), kickCommand(), eventsCommand(), sendCommand()} {
		caddycmd.RegisterCommand(caddyCommand(command))
	}
	heap.Tune(context.Background(), caddymodule.OpenStreams)
	if len(os.Args) > 1 && os.Args[1] == "run" {
		forceExit()
	}
	caddycmd.Main()
}

// versionOnCaddy names the build of Sidestream; Caddy puts its own version behind it.
func versionOnCaddy() string { return "sidestream " + version.String() + " on Caddy" }

// caddyCommand turns a command of its own into one of Caddy's sub-commands.
func caddyCommand(sub *cobra.Command) caddycmd.Command {
	return caddycmd.Command{
		Name: sub.Name(), Short: sub.Short, Long: sub.Long,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.Use, cmd.Example, cmd.Args, cmd.RunE = sub.Use, sub.Example, sub.Args, sub.RunE
			cmd.SilenceUsage, cmd.SilenceErrors = sub.SilenceUsage, sub.SilenceErrors
			cmd.Flags().AddFlagSet(sub.Flags())
		},
	}
}
