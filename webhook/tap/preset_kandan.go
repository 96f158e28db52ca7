package tap

// kandanPreset is the REST API of Kandan (kandanapp/kandan
// app/controllers/activities_controller.rb).
var kandanPreset = preset{
	name: "kandan",
	rules: []Rule{
		on(post, "/channels/{channel}/activities.json", created, mapped(kandanMessage...)).withDrop(kandanOther),
		on(post, "/channels/{channel}/activities", created, mapped(kandanMessage...)).withDrop(kandanOther),
		on(remove, "/channels/{channel}/activities/{id}.json", empty, mapped(kandanDeletion...)),
		on(remove, "/channels/{channel}/activities/{id}", empty, mapped(kandanDeletion...)),
	},
}

const kandanOther = "{res.action} != message"

var kandanMessage = noSpare(
	is("channel", "{res.channel_id}"),
	is("id", "{res.id}"),
	is("op", "create"),
	is("user", "{res.user_id}"),
	is("time", "{res.created_at}"),
	is("body", "{res.content}"),
)

var kandanDeletion = noSpare(is("channel", "{path.channel|number}"), is("id", "{path.id|number}"), is("op", "delete"))
