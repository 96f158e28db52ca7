package tap

// zulipPreset is the REST API of Zulip (zerver/views: message_send.py,
// message_edit.py). The answer has the message's id alone. A stream that is named, and
// a direct message, cannot be told apart by what is there: then the app is read, if
// somebody does. Changes are found by the message's id.
var zulipPreset = preset{
	name:  "zulip",
	rules: append(zulipRules("/api/v1"), zulipRules("/json")...),
	revokes: []Revocation{
		asking(remove, "/api/v1/users/{user}", ok, "{path.user}", ""),
		asking(remove, "/api/v1/users/me/subscriptions", ok, "", ""),
		asking(remove, "/json/users/me/subscriptions", ok, "", ""),
	},
}

func zulipRules(root string) []Rule {
	return []Rule{
		on(post, root+"/messages", ok, mapped(
			is("channel", "{req.to|number}"), is("id", "{res.id}"), is("user", "{auth.user|number}"), is("user", "{auth.user}"), is("body", "{req.content}"), is("op", "create"),
		)).withWhen("{res.result} == success and {req.type} in stream channel and {req.to} matches ^[0-9]+$"),
		{Method: post, Path: root + "/messages", Statuses: []int{ok}, When: "{res.result} == success", Poke: "{req.to}"},
		on(patch, root+"/messages/{id}", ok, mapped(
			is("id", "{path.id|number}"), is("op", "edit"), is("version", "hash"), is("body", "{req.content}"),
		)).withWhen("{res.result} == success").withDrop("{req.content} not exists"),
		on(remove, root+"/messages/{id}", ok, mapped(is("id", "{path.id|number}"), is("op", "delete"))).withWhen("{res.result} == success"),
	}
}
