//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench: it measures with epoll and /proc, and so runs on Linux only")
	os.Exit(1)
}
