package decode_test

import (
	"fmt"

	"github.com/valyala/fastjson"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// A payload becomes events by the rules of a configuration, or of a preset.
func ExampleDecoder() {
	decoder, err := decode.NewDecoder(decode.Config{
		Each: "{json.events}",
		Map: []decode.MapRule{
			{Field: "channel", Value: "{item.room.id ?? item.room_id}"},
			{Field: "id", Value: "{item.id}"},
			{Field: "body", Value: "{item.text|trim}"},
			{Field: "op", Value: "edit", When: "{item.edited} == true"},
		},
		Drop: []string{"{item.kind} in typing presence"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	decoded, err := decoder.Decode(decode.Input{Body: []byte(`{"events":[
		{"id":1,"room":{"id":"lobby"},"text":" hello "},
		{"id":1,"room_id":"lobby","text":"hello!","edited":true},
		{"kind":"typing","room_id":"lobby"}]}`)})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range decoded.Events {
		fmt.Println(e.Channel.Text, e.ID.Text, e.Op, e.Body)
	}
	fmt.Println("dropped:", decoded.Dropped)
	// Output:
	// lobby 1 create hello
	// lobby 1 edit hello!
	// dropped: 1
}

// answer is what a backend said about a channel: a Source for what may be asked
// and for what the answer must say.
type answer struct {
	channel, token string
	document       *fastjson.Value
}

func (a *answer) JSON(_ string, path decode.Path) (decode.Value, error) { return path.Find(a.document) }

func (a *answer) Text(_, name string) (string, bool, error) {
	switch name {
	case "channel":
		return a.channel, true, nil
	case "token":
		return a.token, true, nil
	}
	return "", false, nil
}

// Other parts of a configuration speak the same language with names of their
// own.
func ExampleVocabulary() {
	vocabulary := &decode.Vocabulary{Documents: []string{"json"}, Variables: []string{"channel", "token"}}
	uri, err := vocabulary.Template("/rooms/{channel}/members?token={token}")
	if err != nil {
		fmt.Println(err)
		return
	}
	allow, err := vocabulary.Condition("{json.rooms.*.id} contains {channel} and {json.user.blocked} != true")
	if err != nil {
		fmt.Println(err)
		return
	}
	document, err := decode.ParseJSON(new(fastjson.Parser), []byte(`{"rooms":[{"id":"a/b"},{"id":7}],"user":{"id":5}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	a := &answer{channel: "a/b", token: "x y", document: document}
	asked, err := uri.FillURI(a)
	fmt.Println(asked, err)
	holds, err := allow.Holds(a)
	fmt.Println(holds, err)
	// Whether the user is blocked is not said: that proves nothing.
	proved, err := allow.Proves(a)
	fmt.Println(proved, err)
	// Output:
	// /rooms/a%2Fb/members?token=x+y <nil>
	// true <nil>
	// false <nil>
}

// A comparison can also be made from its parts.
func ExampleVocabulary_Compare() {
	vocabulary := &decode.Vocabulary{Documents: []string{"json"}, Variables: []string{"channel", "token"}}
	condition, err := vocabulary.Compare("json", "room.id", "==", "{channel}")
	if err != nil {
		fmt.Println(err)
		return
	}
	a := &answer{channel: "7", document: fastjson.MustParse(`{"room":{"id":7}}`)}
	proved, err := condition.Proves(a)
	fmt.Println(condition, proved, err)
	fmt.Println(condition.Filled(a))
	// Output:
	// room.id == {channel} true <nil>
	// room.id == 7
}

func ExamplePath() {
	path, err := decode.ParsePath("joined_rooms.*")
	if err != nil {
		fmt.Println(err)
		return
	}
	rooms, err := path.Find(fastjson.MustParse(`{"joined_rooms":["!a:x","!b:x"]}`))
	fmt.Println(rooms.Texts(), err)
	_, err = path.Find(fastjson.MustParse(`{"joined_rooms":["!a:x"],"joined_rooms":[]}`))
	fmt.Println(err)
	// Output:
	// [!a:x !b:x] <nil>
	// a key twice in a JSON object on a mapped path
}
