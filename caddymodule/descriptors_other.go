//go:build !unix

package caddymodule

// probeDescriptors finds no limit here.
func probeDescriptors() (room bool, limit uint64) { return true, 0 }
