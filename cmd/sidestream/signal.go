package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

// forceExit ends the process at once with the second signal that asks for its
// end; the first one closes streams in an orderly way, which takes a while. Caddy
// itself does it only for one SIGINT after another: with SIGTERM it hears no
// signal any more. What is stored is safe, as after a crash.
//
// It is to be called where Caddy traps signals, and works in a goroutine for the
// rest of the process.
func forceExit() {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	go func() {
		<-signals
		again := <-signals
		caddy.Log().Warn("force quit", zap.Stringer("signal", again))
		os.Exit(caddy.ExitCodeForceQuit)
	}()
}
