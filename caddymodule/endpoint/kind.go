package endpoint

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// Kind is the settings of one kind of endpoint, as a configuration has them.
type Kind interface {
	// Where is the part of the settings that all kinds have.
	Where() *Place
	// Options lists the options that the endpoint's block in a Caddyfile may
	// have.
	Options() []string
	// Option takes one of them.
	Option(name string, args []string) error
	// Usual tells whether it is on where no endpoint is configured.
	Usual() bool
	// Heartbeat is how often an idle stream is written to by default.
	Heartbeat() time.Duration
	// New makes the endpoint.
	New(Site) Endpoint
}

// Namer is a Kind that says how the channels of its hub are named.
type Namer interface{ ChannelNames() event.Names }

// Pathed is a Kind that is at paths of its own, any number of them, instead of behind a
// prefix.
type Pathed interface {
	Kind
	// AddPath takes one of them.
	AddPath(path string) error
}

// Secretive is a Kind with settings that may be placeholders, such as {env.NAME}.
type Secretive interface {
	Kind
	// Resolve has them replaced, and says what is wrong with the settings.
	Resolve(func(text string) (string, error)) error
}

// Checked is a Kind whose settings can be wrong in ways that only show when all are
// there.
type Checked interface {
	Kind
	Check() error
}

// Place says where an endpoint is.
type Place struct {
	// Prefix stands before the paths, as in `/stream`. Default: none; then the
	// backend's own API may live on the same paths.
	Prefix string `json:"prefix,omitempty"`
}

// Where implements Kind.
func (p *Place) Where() *Place { return p }

// segments are those of the prefix.
func (p *Place) segments() []string {
	prefix := strings.Trim(p.Prefix, "/")
	if prefix == "" {
		return nil
	}
	return strings.Split(prefix, "/")
}

// Site is what endpoints are told of the site that they serve.
type Site struct {
	// Realm is what clients are asked to log in to.
	Realm string
	// MaxChannels bounds the channels of one stream.
	MaxChannels int
	// Origins decides on web pages of other sites. Those of an endpoint with
	// sessions are asked by itself.
	Origins *Origins
	// Heartbeat is how often an idle stream is written to.
	Heartbeat time.Duration
	// Objects are the app's objects that clients know by signed names; nil if there
	// are none.
	Objects *Objects
}

// errSwitch is the error of an option that is a switch and got a value.
var errSwitch = errors.New("it is a switch, and takes no value")

// CheckPrefix refuses a prefix that no canonical path begins with.
func CheckPrefix(directive, prefix string) error {
	if prefix == "" {
		return nil
	}
	if err := checkLiteral(prefix); err != nil {
		return fmt.Errorf("%s: %q is no prefix of a path: %w; write for example /stream", directive, prefix, err)
	}
	return nil
}

// CheckPath refuses what cannot be the path of an endpoint of our own.
func CheckPath(directive, path string) error {
	err := checkLiteral(path)
	if err == nil && strings.HasSuffix(path, "/") {
		err = errors.New("it ends with a slash")
	}
	if err != nil {
		return fmt.Errorf("%s: %q is no path: %w; write for example /%[1]s", directive, path, err)
	}
	return nil
}

// checkLiteral says why a path, or the beginning of one, is not one that a
// canonical request has.
func checkLiteral(path string) error {
	segments, plain := splitPath("/" + strings.TrimPrefix(path, "/"))
	switch {
	case strings.Contains(path, "://"):
		return errors.New("it is a whole address")
	case !strings.HasPrefix(path, "/"):
		return errors.New("it does not begin with a slash")
	case strings.ContainsAny(path, "*{}<>$") || strings.Contains(path, "/:"):
		return errors.New("it would be taken as it stands, without wildcards or parameters")
	case strings.HasPrefix(path, "//"), segments == nil, !plain, strings.Contains(path, "%"):
		return errors.New("no request in canonical form has it")
	}
	return nil
}
