package tap

// campfirePreset is once-campfire (basecamp/once-campfire, config/routes.rb,
// app/controllers/messages_controller.rb, messages/by_bots_controller.rb). A browser is
// answered with HTML, which makes somebody read the room. A bot is answered with an
// empty 201, whose Location has the id: where nobody reads the room, that is mapped,
// with the text that the bot has posted. Edits of a browser are sent in ways that only
// make the room be read.
var campfirePreset = preset{
	name: "campfire",
	rules: []Rule{
		{Method: post, Path: "/rooms/{room}/messages", Statuses: []int{ok}, Poke: "{path.room|number}"},
		on(post, "/rooms/{room}/{bot}/messages", created, mapped(
			is("channel", "{path.room|number}"),
			is("id", "{header.Location|re:/messages/([0-9]+)$|number}"),
			is("op", "create"),
			is("body", "{req}"),
		)).poking("{path.room|number}"),
		on(patch, "/rooms/{room}/{bot}/messages/{id}", ok, mapped(
			is("channel", "{res.room.id ?? path.room|number}"), is("id", "{res.id}"), is("op", "edit"), is("version", "hash"),
			is("user", "{res.creator.id}"), is("user_name", "{res.creator.name}"), is("time", "{res.created_at}"), is("body", "{res.body.plain_text}"),
		)),
		{Method: put, Path: "/rooms/{room}/messages/{id}", Statuses: []int{ok}, Poke: "{path.room|number}"},
		{Method: patch, Path: "/rooms/{room}/messages/{id}", Statuses: []int{ok}, Poke: "{path.room|number}"},
		on(remove, "/rooms/{room}/messages/{id}", empty, mapped(campfireDeletion...)),
		on(remove, "/rooms/{room}/messages/{id}", ok, mapped(campfireDeletion...)),
		on(remove, "/rooms/{room}/{bot}/messages/{id}", empty, mapped(campfireDeletion...)),
	},
	revokes: []Revocation{
		{Method: remove, Path: "/session", Statuses: []int{ok, empty, 302, 303}},
		{Method: remove, Path: "/account/users/{user}", Statuses: []int{ok, empty, 302, 303}, User: "{path.user}"},
		{Method: remove, Path: "/rooms/{room}", Statuses: []int{ok, empty, 302, 303}, Channel: "{path.room}"},
	},
}

var campfireDeletion = noSpare(is("channel", "{path.room|number}"), is("id", "{path.id|number}"), is("op", "delete"))
