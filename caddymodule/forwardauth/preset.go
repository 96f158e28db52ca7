package forwardauth

import (
	"fmt"
	"maps"
	"slices"

	"github.com/seed-078801ba/sidestream/caddymodule/suggest"
)

// presets are the requests that answer "may this client listen here?" on
// known backends. Some have other addresses that look right and answer 200 to
// people who may not.
var presets = map[string]Config{
	// once-campfire: the page of one's own membership, known by cookie. Not
	// signed in is a redirect, not a member 404.
	"campfire": {
		URI: "/rooms/{channel}/involvement", Status: []int{200}, Cookies: []string{"session_token"},
	},
	// Apps with the API of the Campfire of 2006: Basic, token as user.
	"campfire_classic": {
		URI: "/room/{channel}.json", Status: []int{200}, Identity: "/users/me.json", UserJSON: "user.id",
	},
	// Apps with Flowdock's REST API.
	"flowdock": {
		URI: "/flows/{org}/{flow}", Status: []int{200}, Identity: "/user", UserJSON: "id",
	},
	// Mattermost answers 401 to Basic, to access_token and to a good token
	// beside a stale cookie. /channels/{id} would be 200 for non-members.
	"mattermost": {
		URI: "/api/v4/channels/{channel}/members/me", Status: []int{200}, Cookies: []string{"MMAUTHTOKEN"},
		Headers:   []Field{{"Authorization", "Bearer {token}"}},
		AllowJSON: []*Condition{{Path: "channel_id", Op: "==", Value: "{channel}"}}, UserJSON: "user_id",
	},
	// Matrix: the member's own state is 200 after leaving, so the list of
	// joined rooms is asked.
	"matrix": {
		URI: "/_matrix/client/v3/joined_rooms", Status: []int{200},
		Headers:  []Field{{"Authorization", "Bearer {token}"}},
		ListJSON: "joined_rooms.*", HistoryShown: ShownSinceJoin,
		Identity: "/_matrix/client/v3/account/whoami", UserJSON: "user_id",
	},
	// Rocket.Chat needs two headers: clients send Basic with the user's id and
	// the token as password. Refusals are 400.
	"rocketchat": {
		URI: "/api/v1/rooms.info?roomId={channel}", Status: []int{200},
		Headers:   []Field{{"X-User-Id", "{username}"}, {"X-Auth-Token", "{password}"}},
		AllowJSON: []*Condition{{Path: "success", Op: "==", Value: "true"}},
		DenyJSON:  []*Condition{{Path: "error", Op: "==", Value: "not-allowed"}},
	},
	// Zulip: Basic with e-mail address and API key; the topics of a stream are
	// only shown to those who may read it.
	"zulip": {
		URI: "/api/v1/users/me/{channel}/topics", Status: []int{200},
		AllowJSON: []*Condition{{Path: "result", Op: "==", Value: "success"}},
		Identity:  "/api/v1/users/me", UserJSON: "user_id", HistoryShown: ShownSinceJoin,
	},
	// Discourse: a user API key as token, or the login cookie.
	"discourse": {
		URI: "/chat/api/channels/{channel}/messages?page_size=1", Status: []int{200}, Cookies: []string{"_t"},
		Headers: []Field{{"User-Api-Key", "{token}"}},
	},
	// Laravel authorises broadcasting channels to a form.
	"laravel": {
		Method: "POST", URI: "/broadcasting/auth", Status: []int{200}, Cookies: []string{"laravel_session"},
		Form: []Field{{"channel_name", "private-{channel}"}, {"socket_id", "1.1"}},
	},
}

// PresetNames lists the presets.
func PresetNames() []string { return slices.Sorted(maps.Keys(presets)) }

// applyPreset fills in what the configuration left open.
func (c *Config) applyPreset() error {
	p, ok := presets[c.Preset]
	if !ok {
		return fmt.Errorf("unknown preset %q%s", c.Preset, suggest.Among(c.Preset, PresetNames()))
	}
	if c.URI == "" {
		c.Method, c.URI = p.Method, p.URI
	}
	if len(c.Headers) == 0 {
		c.Headers = slices.Clone(p.Headers)
	}
	if len(c.Form) == 0 {
		c.Form = slices.Clone(p.Form)
	}
	if len(c.Cookies) == 0 {
		c.Cookies = slices.Clone(p.Cookies)
	}
	if len(c.Status) == 0 {
		c.Status = slices.Clone(p.Status)
	}
	if len(c.AllowJSON)+len(c.Allow) == 0 {
		c.AllowJSON = slices.Clone(p.AllowJSON)
	}
	if c.ListJSON == "" && c.List == "" && c.URI == p.URI {
		c.ListJSON = p.ListJSON
	}
	if len(c.DenyJSON)+len(c.Deny) == 0 {
		c.DenyJSON = slices.Clone(p.DenyJSON)
	}
	if c.HistoryShown == "" {
		c.HistoryShown = p.HistoryShown
	}
	if c.UserJSON == "" && c.User == "" && c.UserHeader == "" {
		c.UserJSON = p.UserJSON
		if c.Identity == "" {
			c.Identity = p.Identity
		}
	}
	return nil
}
