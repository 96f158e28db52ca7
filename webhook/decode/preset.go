package decode

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// preset is what is known of an app: how it delivers, what it sends, and how
// that becomes events. Each lies in a file of its own, preset_NAME.go.
type preset struct {
	name    string
	aliases []string
	sender  Sender

	format Format // the only one; otherwise the Content-Type decides
	usual  Format // where there is no Content-Type; default: JSON
	each   string
	rules  []MapRule
	drop   []string
	revoke []RevokeRule

	// whole is the shape of a message that is passed on as it came.
	whole event.Shape
	// document is the field of a form that holds the JSON, for apps that send
	// either.
	document string
	// secrets are places of the payload that hold secrets of the app. They are
	// cut out of what is passed on.
	secrets []string
	// eventName is where the name of a message's kind stands, and events are the
	// names of those that are taken.
	eventName string
	events    []string
	// anonymous: a message without an id is taken.
	anonymous bool

	maxBody int64
}

// ownForm is what there is without a preset.
var ownForm = preset{sender: Sender{Conflict: true}}

var presets = []*preset{
	&actioncablePreset, &anycablePreset, &campfirePreset, &campfireClassicPreset, &cloudeventsPreset, &discoursePreset,
	&flowdockPreset, &githubPreset, &laravelPreset, &matrixPreset, &mattermostPreset, &rocketchatPreset, &slackPreset,
	&slackEventsPreset, &socketioPreset, &standardwebhooksPreset, &stripePreset, &zulipPreset,
}

// Presets are the names of all presets, in order.
func Presets() []string {
	names := make([]string, len(presets))
	for i, p := range presets {
		names[i] = p.name
	}
	return names
}

func findPreset(name string) (*preset, error) {
	if name == "" {
		return &ownForm, nil
	}
	for _, p := range presets {
		if p.name == name || slices.Contains(p.aliases, name) {
			return p, nil
		}
	}
	return nil, fmt.Errorf("unknown preset %q; the presets are %s", name, strings.Join(Presets(), ", "))
}

// eitherBody is a field that apps send as JSON or as a form.
func eitherBody(name string) string { return "{json." + name + " ?? form." + name + "}" }
