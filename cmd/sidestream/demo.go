package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/seed-078801ba/sidestream/cmd/sidestream/chatbackend"
)

func demoCommand() caddycmd.Command {
	return caddycmd.Command{
		Name:  "demo",
		Usage: "[--listen <address>]",
		Short: "Starts a chat app with Sidestream in front of it, to try it",
		Long: `
Starts a small chat app on a free port of this machine, and Caddy with Sidestream
in front of it. Open the web page in two windows and type, and listen with the
commands that are printed. Ctrl-C ends it. Nothing is left behind.`,
		CobraFunc: func(cmd *cobra.Command) {
			listen := cmd.Flags().StringP("listen", "l", "localhost:8080", `Where the page and the streams are; ":8080" lets other machines in`)
			cmd.Args = cobra.NoArgs
			cmd.RunE = func(cmd *cobra.Command, _ []string) error {
				cmd.SilenceUsage = true
				return runDemo(*listen, cmd.OutOrStdout())
			}
		},
	}
}

// runDemo returns only with an error. A signal ends the whole process, as with every
// Caddy: that is when streams are closed in an orderly way.
func runDemo(listen string, out io.Writer) error {
	front, err := freePlace(listen)
	if err != nil {
		return err
	}
	caddy.TrapSignals()
	forceExit()

	folder, err := os.MkdirTemp("", "sidestream-demo-")
	if err != nil {
		return fmt.Errorf("making a folder for the demo: %w", err)
	}
	caddy.OnExit(func(context.Context) { os.RemoveAll(folder) })

	config := demoConfig{front: front, folder: folder, secret: chatbackend.NewSecret()}
	users, address, stop, err := serveBackend("127.0.0.1:0", chatbackend.Config{
		Hook: front.url("/hooks/chat"), Secret: config.secret, Log: backendLog(),
	})
	if err != nil {
		return err
	}
	caddy.OnExit(stop)

	config.backend = address
	if err := loadCaddyfile(config.caddyfile()); err != nil {
		return err
	}
	fmt.Fprint(out, welcome("http://localhost:"+front.port, users))
	select {}
}

// loadCaddyfile makes this process run the configuration.
func loadCaddyfile(text string) error {
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return fmt.Errorf("adapting the demo's Caddyfile: %w", err)
	}
	if err := caddy.Load(config, true); err != nil {
		return fmt.Errorf("starting Caddy: %w", err)
	}
	return nil
}
