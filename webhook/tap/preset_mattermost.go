package tap

// mattermostPreset is the REST API of Mattermost (api/v4: posts.go, channel.go,
// user.go), seen running. POST /posts/ephemeral answers a post, too, which only one
// user may see: paths are exact. A pinned post is answered as an edited one, without a
// time of an edit.
var mattermostPreset = preset{
	name: "mattermost",
	rules: []Rule{
		on(post, "/api/v4/posts", created, mapped(mattermostPost...)).withDrop("{res.type} matches ^system_", "{res.id} not exists"),
		on(put, "/api/v4/posts/{id}", ok, mapped(mattermostEdit...)).withDrop("{res.edit_at} in 0 \"\""),
		on(put, "/api/v4/posts/{id}/patch", ok, mapped(mattermostEdit...)).withDrop("{res.edit_at} in 0 \"\""),
		on(remove, "/api/v4/posts/{id}", ok, mapped(is("id", "{path.id}"), is("op", "delete"))).withWhen("{res.status} == OK"),
	},
	revokes: []Revocation{
		asking(post, "/api/v4/users/logout", ok, "", ""),
		asking(remove, "/api/v4/channels/{channel}/members/{user}", ok, "{path.user}", "{path.channel}"),
		asking(remove, "/api/v4/teams/{team}/members/{user}", ok, "{path.user}", ""),
		asking(remove, "/api/v4/users/{user}", ok, "{path.user}", ""),
		asking(put, "/api/v4/users/{user}/active", ok, "{path.user}", ""),
		asking(post, "/api/v4/users/{user}/sessions/revoke", ok, "{path.user}", ""),
		asking(post, "/api/v4/users/{user}/sessions/revoke/all", ok, "{path.user}", ""),
	},
}

var (
	mattermostPost = append(mattermostMessage, is("op", "create"))
	mattermostEdit = append(mattermostMessage, is("op", "edit"), is("version", "{res.edit_at}"))
)

var mattermostMessage = noSpare(
	is("channel", "{res.channel_id}"),
	is("id", "{res.id}"),
	is("user", "{res.user_id}"),
	is("time", "{res.create_at}"),
	is("body", "{res.message}"),
	is("thread", "{res.root_id}"),
	is("files", "{res.file_ids.*|prefix:/api/v4/files/}"),
)
