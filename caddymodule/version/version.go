// Package version knows which version of Sidestream this is, for logs, the command line
// and the User-Agent.
package version

import (
	"runtime/debug"
	"strings"
	"sync"
)

// path is that of the module that this package is a part of.
const path = "github.com/seed-078801ba/sidestream"

// release is set by the linker in builds that are released.
var release string

// String is that of the build of Sidestream, as in v1.2.3; "(source)" if it was built
// from a checkout without one.
var String = sync.OnceValue(func() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(source)"
	}
	found := ""
	if info.Main.Path == path {
		found = info.Main.Version
	}
	for _, dep := range info.Deps { // a Caddy that was built with the module
		if dep.Path == path {
			found = dep.Version
		}
	}
	if found == "" || found == "(devel)" || strings.HasPrefix(found, "v0.0.0-00010101") {
		return "(source)"
	}
	return found
})

// UserAgent is how Sidestream names itself to the app.
func UserAgent() string {
	if v := String(); v != "(source)" {
		return "Sidestream/" + strings.TrimPrefix(v, "v")
	}
	return "Sidestream"
}
