package tap

// discoursePreset is the chat of Discourse (plugins/chat: routes.rb, api controllers).
// The answer has the message's id alone. A webhook, or a pull, brings more: edits and
// deletions are mapped only where nobody reads the app.
var discoursePreset = preset{
	name: "discourse",
	rules: []Rule{
		on(post, "/chat/{channel}.json", ok, mapped(discourseMessage...)).withWhen(discourseGood),
		on(post, "/chat/{channel}", ok, mapped(discourseMessage...)).withWhen(discourseGood),
		on(put, "/chat/api/channels/{channel}/messages/{id}", ok, mapped(
			is("channel", "{path.channel|number}"), is("id", "{path.id|number}"), is("op", "edit"), is("version", "hash"), is("user", "{auth.user|number}"),
			is("body", "{req.message}"),
		)).withWhen("{path.channel} matches ^[0-9]+$").poking("{path.channel|number}"),
		on(remove, "/chat/api/channels/{channel}/messages/{id}", ok, mapped(
			is("channel", "{path.channel|number}"), is("id", "{path.id|number}"), is("op", "delete"),
		)).withWhen("{path.channel} matches ^[0-9]+$").poking("{path.channel|number}"),
	},
	revokes: []Revocation{
		{Method: remove, Path: "/session/{user}", Statuses: []int{ok, 302}},
		asking(remove, "/chat/api/channels/{channel}/memberships/me", ok, "", ""),
	},
}

const discourseGood = "{res.message_id} exists and {path.channel} matches ^[0-9]+$"

var discourseMessage = noSpare(
	is("channel", "{path.channel|number}"),
	is("id", "{res.message_id}"),
	is("op", "create"),
	is("user", "{auth.user|number}"),
	is("user", "{auth.user}"),
	is("body", "{req.message}"),
)
