package tap

// letschatPreset is the REST API of Let's Chat (sdelements/lets-chat
// app/controllers/messages.js). Its own pages talk over a WebSocket, which is not seen
// here.
var letschatPreset = preset{
	name: "letschat",
	rules: []Rule{
		on(post, "/rooms/{room}/messages", created, mapped(letschatMessage...)),
		on(post, "/messages", created, mapped(letschatMessage...)),
	},
}

var letschatMessage = noSpare(
	is("channel", "{res.room.id ?? res.room}"),
	is("id", "{res.id}"),
	is("user", "{res.owner.id ?? res.owner}"),
	is("user_name", "{res.owner.username}"),
	is("time", "{res.posted}"),
	is("body", "{res.text}"),
)
