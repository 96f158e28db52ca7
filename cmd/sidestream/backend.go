package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/seed-078801ba/sidestream/cmd/sidestream/chatbackend"
	"github.com/seed-078801ba/sidestream/cmd/sidestream/tail"
)

// hookSecretEnv names the variable with the secret that the chat app and
// Caddyfile.example share, exampleSecret what both take if it is not set.
const (
	hookSecretEnv = "HOOK_SECRET"
	exampleSecret = "whsec_bm90LWEtc2VjcmV0LWp1c3QtdGhlLWV4YW1wbGUh"
)

func backendCommand() caddycmd.Command {
	return caddycmd.Command{
		Name:  "backend",
		Usage: "[--listen <address>] [--hook <url>]",
		Short: "Starts the chat app of the demo alone",
		Long: `
Starts the chat app of the demo alone, for a Sidestream that is run beside it:

	$ sidestream backend
	$ sidestream run --config Caddyfile.example

It posts its webhooks to --hook, signed with the secret in $` + hookSecretEnv + `, or with
the one that Caddyfile.example has for trying. Everything is kept in memory.`,
		CobraFunc: func(cmd *cobra.Command) {
			listen := cmd.Flags().StringP("listen", "l", "127.0.0.1:3000", "The address of the app")
			hook := cmd.Flags().String("hook", "http://localhost:8080/hooks/chat", "Where webhooks are posted; empty for nowhere")
			cmd.Args = cobra.NoArgs
			cmd.RunE = func(cmd *cobra.Command, _ []string) error {
				cmd.SilenceUsage = true
				ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
				defer stop()
				return runBackend(ctx, *listen, *hook, cmd.OutOrStdout())
			}
		},
	}
}

// runBackend serves the chat app until ctx ends.
func runBackend(ctx context.Context, listen, hook string, out io.Writer) error {
	if hook != "" {
		if err := tail.CheckURL(hook); err != nil {
			return fmt.Errorf("--hook: %w", err)
		}
	}
	secret := os.Getenv(hookSecretEnv)
	if secret == "" {
		secret = exampleSecret
	}
	users, address, stop, err := serveBackend(listen, chatbackend.Config{Hook: hook, Secret: secret, Log: backendLog()})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "chat app on http://%s\n", address)
	for _, u := range users {
		fmt.Fprintf(out, "  %-6s has the token %s\n", u.Name, u.Token)
	}
	<-ctx.Done()
	stop(context.Background())
	return nil
}

// serveBackend starts a chat app. stop ends it, with its open requests, and
// returns when it has ended.
func serveBackend(listen string, c chatbackend.Config) (users []chatbackend.User, address string, stop func(context.Context), err error) {
	backend, err := chatbackend.New(c)
	if err != nil {
		return nil, "", nil, err
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		backend.Close()
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, "", nil, fmt.Errorf("%s is taken by another program: end that one, or choose another address with --listen", listen)
		}
		return nil, "", nil, fmt.Errorf("listening for the chat app: %w", err)
	}
	server := &http.Server{Handler: backend, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			c.Log.Error("the chat app ended", "error", err)
		}
	}()
	return backend.Users(), l.Addr().String(), func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			server.Close()
		}
		<-ended
		backend.Close()
	}, nil
}

// backendLog is where the chat app tells of trouble.
func backendLog() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
