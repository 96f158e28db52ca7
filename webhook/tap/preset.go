package tap

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// preset is what is known of an app's answers. Each lies in a file of its own,
// preset_NAME.go. Where an app's webhook has a preset, too, both make the same event
// of a message: channel, id, operation and version are those of package decode.
type preset struct {
	name    string
	rules   []Rule
	revokes []Revocation
}

var presets = []*preset{
	&campfirePreset, &campfireClassicPreset, &discoursePreset, &flowdockPreset, &kandanPreset, &letschatPreset, &matrixPreset,
	&mattermostPreset, &rocketchatPreset, &zulipPreset,
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
	i := slices.IndexFunc(presets, func(p *preset) bool { return p.name == name })
	if i < 0 {
		return nil, fmt.Errorf("unknown preset %q of tap; the presets are %s", name, strings.Join(Presets(), ", "))
	}
	return presets[i], nil
}

// mapped are the rules of map, field by field.
func mapped(rules ...decode.MapRule) decode.Config { return decode.Config{Map: rules} }

// noSpare are rules that can be appended to without sharing.
func noSpare(rules ...decode.MapRule) []decode.MapRule { return slices.Clip(rules) }

// is makes a rule of map.
func is(field, value string, when ...string) decode.MapRule {
	return decode.MapRule{Field: field, Value: value, When: strings.Join(when, " and ")}
}

// on makes a rule for the answers to a request.
func on(method, path string, status int, c decode.Config) Rule {
	return Rule{Method: method, Path: path, Statuses: []int{status}, Config: c}
}

// withWhen is the rule with a condition.
func (r Rule) withWhen(condition string) Rule {
	r.When = condition
	return r
}

// withDrop is the rule with messages that are thrown away.
func (r Rule) withDrop(conditions ...string) Rule {
	r.Drop = conditions
	return r
}

// poking is the rule, where nobody reads the channel; otherwise that is read.
func (r Rule) poking(channel string) Rule {
	r.Poke = channel
	return r
}

// asking makes a revocation; user and channel may be empty.
func asking(method, path string, status int, user, channel string) Revocation {
	return Revocation{Method: method, Path: path, Statuses: []int{status}, User: user, Channel: channel}
}

const (
	post, put, patch, remove = http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete
	ok, created, empty       = http.StatusOK, http.StatusCreated, http.StatusNoContent
)
