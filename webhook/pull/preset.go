package pull

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// preset is what is known of an app: what it is asked, and how its answers are read.
type preset struct {
	name                      string
	uri, newest, next, cursor string
	headers                   []Header
	basic                     func(user, token string) (string, string)
	// behind lists what is behind a message by its id, where uri goes by time.
	behind string
	// decode is the preset of package decode for messages in the app's own schema;
	// webhooks bring the same.
	decode                         string
	expect, lastID, lastTime, each string
	rules                          []decode.MapRule
	drop                           []string
}

var presets = []*preset{
	{
		// once-campfire, app/controllers/messages/by_bots_controller.rb: 40 a page,
		// oldest first; 404 if the message behind which is asked was deleted. The
		// token is the bot's key.
		name: "campfire",
		uri:  "/rooms/{channel}/{token}/messages?after={last.id}",
		rules: []decode.MapRule{
			{Field: "id", Value: "{item.id}"}, {Field: "user", Value: "{item.creator.id}"}, {Field: "user_name", Value: "{item.creator.name}"},
			{Field: "time", Value: "{item.created_at}"}, {Field: "body", Value: "{item.body.plain_text}"},
		},
		each: "{json}",
	},
	{
		// campfire-api, sections/messages.md: GET /room/#{id}/recent.
		name:   "campfire_classic",
		uri:    "/room/{channel}/recent.json?since_message_id={last.id}&limit=100",
		decode: "campfire_classic",
		basic:  func(_, token string) (string, string) { return token, "X" },
	},
	{
		// flowdock/api-docs, docs/messages.md: list messages.
		name:   "flowdock",
		uri:    "/flows/{org}/{flow}/messages?since_id={last.id}&sort=asc&limit=100",
		newest: "/flows/{org}/{flow}/messages?limit=100",
		decode: "flowdock",
		basic:  func(_, token string) (string, string) { return token, "" },
		lastID: "{item.id}",
	},
	{
		// Mattermost, api/v4: what was changed since a time, deleted posts too;
		// copies of edited posts have original_id. update_at is what since is about.
		name:     "mattermost",
		uri:      "/api/v4/channels/{channel}/posts?since={last.millis}",
		newest:   "/api/v4/channels/{channel}/posts?per_page=100",
		behind:   "/api/v4/channels/{channel}/posts?after={last.id}&per_page=100",
		each:     "{json.posts.*}",
		lastTime: "{item.update_at}",
		headers:  []Header{{"Authorization", "Bearer {token}"}},
		drop:     []string{"{item.original_id} matches ."},
		rules: []decode.MapRule{
			{Field: "id", Value: "{item.id}"}, {Field: "user", Value: "{item.user_id}"}, {Field: "time", Value: "{item.create_at}"},
			{Field: "thread", Value: "{item.root_id}", When: "{item.root_id} matches ."}, {Field: "body", Value: "{item.message}"},
			{Field: "op", Value: "delete", When: "{item.delete_at} matches ^[1-9]"},
			{Field: "op", Value: "edit", When: "{item.edit_at} matches ^[1-9]"},
			{Field: "version", Value: "{item.edit_at}", When: "{item.edit_at} matches ^[1-9] and {item.delete_at} not matches ^[1-9]"},
			{Field: "files", Value: "{item.file_ids|prefix:/api/v4/files/}"},
		},
	},
	{
		// Rocket.Chat, apps/meteor/app/api/server/v1/chat.ts: chat.syncMessages lists
		// what was updated since a time, in rooms of every kind.
		name:     "rocketchat",
		uri:      "/api/v1/chat.syncMessages?roomId={channel}&lastUpdate={last.time}",
		each:     "{json.result.updated}",
		expect:   "{json.success} == true",
		lastTime: "{item._updatedAt}",
		headers:  []Header{{"X-Auth-Token", "{token}"}, {"X-User-Id", "{user}"}},
		drop:     []string{"{item.t} matches ."},
		rules: []decode.MapRule{
			{Field: "id", Value: "{item._id}"}, {Field: "user", Value: "{item.u._id}"}, {Field: "user_name", Value: "{item.u.username}"},
			{Field: "time", Value: "{item.ts}"}, {Field: "thread", Value: "{item.tmid}"}, {Field: "body", Value: "{item.msg}"},
			{Field: "op", Value: "edit", When: "{item.editedAt} exists"}, {Field: "version", Value: "{item.editedAt}"},
		},
	},
	{
		// zulip.com/api/get-messages, by the id of the stream. The user is the bot's
		// address, the token its API key.
		name: "zulip",
		uri: "/api/v1/messages?anchor={last.id}&include_anchor=false&num_before=0&num_after=100&apply_markdown=false" +
			"&narrow=%5B%7B%22operator%22%3A%22channel%22%2C%22operand%22%3A{channel}%7D%5D",
		newest: "/api/v1/messages?anchor=newest&num_before=100&num_after=0&apply_markdown=false" +
			"&narrow=%5B%7B%22operator%22%3A%22channel%22%2C%22operand%22%3A{channel}%7D%5D",
		each:   "{json.messages}",
		expect: "{json.result} == success",
		basic:  func(user, token string) (string, string) { return user, token },
		rules: []decode.MapRule{
			{Field: "id", Value: "{item.id}"}, {Field: "user", Value: "{item.sender_id}"}, {Field: "user_name", Value: "{item.sender_full_name}"},
			{Field: "time", Value: "{item.timestamp}"}, {Field: "body", Value: "{item.content}"},
		},
	},
	{
		// Discourse, plugins/chat: channel_messages_controller.rb. The user is that of
		// the API key.
		name:    "discourse",
		uri:     "/chat/api/channels/{channel}/messages?target_message_id={last.id}&direction=future&page_size=50",
		newest:  "/chat/api/channels/{channel}/messages?page_size=50",
		each:    "{json.messages}",
		headers: []Header{{"Api-Key", "{token}"}, {"Api-Username", "{user}"}},
		rules: []decode.MapRule{
			{Field: "id", Value: "{item.id}"}, {Field: "user", Value: "{item.user.id}"}, {Field: "user_name", Value: "{item.user.username}"},
			{Field: "time", Value: "{item.created_at}"}, {Field: "thread", Value: "{item.thread_id}"}, {Field: "body", Value: "{item.message}"},
		},
	},
	{
		// api.slack.com/methods/conversations.history: the newest first.
		name:    "slack",
		uri:     "https://slack.com/api/conversations.history?channel={channel}&oldest={last.id}&limit=200",
		newest:  "https://slack.com/api/conversations.history?channel={channel}&limit=100",
		next:    "https://slack.com/api/conversations.history?channel={channel}&oldest={last.id}&limit=200&cursor={page.cursor}",
		cursor:  "{json.response_metadata.next_cursor}",
		each:    "{json.messages}",
		expect:  "{json.ok} == true",
		headers: []Header{{"Authorization", "Bearer {token}"}},
		drop:    []string{"{item.subtype} not in bot_message file_share thread_broadcast me_message and {item.subtype} exists"},
		rules: []decode.MapRule{
			{Field: "id", Value: "{item.ts}"}, {Field: "user", Value: "{item.user ?? item.bot_id}"}, {Field: "time", Value: "{item.ts}"},
			{Field: "thread", Value: "{item.thread_ts}"}, {Field: "body", Value: "{item.text}"},
		},
	},
	{
		// Matrix, client-server API, /rooms/{roomId}/messages: backwards from the
		// newest, because a token that leads forwards comes from /sync alone.
		name:    "matrix",
		uri:     "/_matrix/client/v3/rooms/{channel}/messages?dir=b&limit=50",
		next:    "/_matrix/client/v3/rooms/{channel}/messages?dir=b&limit=50&from={page.cursor}",
		cursor:  "{json.end}",
		each:    "{json.chunk}",
		lastID:  "{item.event_id}",
		headers: []Header{{"Authorization", "Bearer {token}"}},
		decode:  "matrix",
	},
}

// Presets are the names of all presets, in order.
func Presets() []string {
	names := make([]string, len(presets))
	for i, p := range presets {
		names[i] = p.name
	}
	slices.Sort(names)
	return names
}

func findPreset(name string) (*preset, error) {
	for _, p := range presets {
		if p.name == name {
			return p, nil
		}
	}
	return nil, fmt.Errorf("unknown preset %q; the presets are %s", name, strings.Join(Presets(), ", "))
}

// fill sets what the configuration does not.
func (p *preset) fill(c *Config) {
	if c.Name == "" {
		c.Name = p.name
	}
	own := c.URI != "" // then pages are the configuration's, too
	for _, f := range []struct {
		to   *string
		text string
		page bool
	}{
		{&c.URI, p.uri, true}, {&c.Newest, p.newest, true}, {&c.Next, p.next, true}, {&c.Cursor, p.cursor, true},
		{&c.Expect, p.expect, false}, {&c.LastID, p.lastID, false}, {&c.LastTime, p.lastTime, false}, {&c.Each, p.each, false},
	} {
		if *f.to == "" && !(own && f.page) {
			*f.to = f.text
		}
	}
	if len(c.Headers) == 0 {
		c.Headers = p.headers
	}
	if !slices.Contains(c.Drop, "none") {
		c.Drop = append(slices.Clone(p.drop), c.Drop...)
	}
	rules := slices.Clone(c.Map)
	for _, r := range p.rules {
		if !slices.ContainsFunc(c.Map, func(own decode.MapRule) bool { return own.Field == r.Field }) {
			rules = append(rules, r)
		}
	}
	c.Map = rules
	c.Config.Preset = p.decode
}
