package decode

import (
	"reflect"
	"strings"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// A message about an object goes to channels of that object, to further ones under a
// condition, and to all of them or none.
func TestObjectChannels(t *testing.T) {
	cfg := own("map channel {json.room|object:live}/all_json", "map also {json.room|object:live}/promoted_json when {json.promoted} == true",
		"map also {json.photo|object:photo}/{json.kind}")
	live := event.ObjectOf("live", "5")
	for body, want := range map[string][]string{
		`{"id":1,"room":5}`:                                  {live.Channel("all_json")},
		`{"id":1,"room":"5","promoted":true}`:                {live.Channel("all_json"), live.Channel("promoted_json")},
		`{"id":1,"room":5,"photo":"x","kind":"comments"}`:    {live.Channel("all_json"), event.ObjectOf("photo", "x").Channel("comments")},
		`{"id":1,"photo":"x","kind":"a/b"}`:                  {event.ObjectOf("photo", "x").Channel("a/b")},
		`{"id":1,"room":5,"photo":"x","kind":"../../x"}`:     nil, // all or none
		`{"id":1,"room":5,"photo":"x","kind":"a b"}`:         nil,
		`{"id":1,"promoted":true}`:                           nil,
		`{"id":1,"room":{}}`:                                 nil,
		`{"id":1,"room":"` + strings.Repeat("x", 300) + `"}`: nil,
	} {
		var got []string
		for _, e := range decoded(t, cfg, body).Events {
			got = append(got, e.Channel.Text)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %q, want %q", body, got, want)
		}
	}
}

// No payload can name the channel of an object by itself.
func TestObjectsAreNotNamedByPayloads(t *testing.T) {
	stolen := event.ObjectOf("live", "5").Channel("all_json")
	for _, cfg := range []Config{own(), own("map channel {json.room}/x"), own("map also {json.room}"), own("map also signed{json.room|prefix:~}")} {
		for _, room := range []string{stolen, strings.TrimSuffix(stolen, "/all_json"), strings.TrimPrefix(stolen, "signed~")} {
			for _, e := range decoded(t, cfg, `{"id":1,"room":"`+room+`"}`).Events {
				if strings.HasPrefix(e.Channel.Text, event.ObjectPrefix) {
					t.Errorf("%+v: a payload chose %s", cfg.Map, e.Channel.Text)
				}
			}
		}
	}
}

func TestObjectsStandFirst(t *testing.T) {
	for value, want := range map[string]string{
		"x/{json.id|object:live}/a": "an object stands first", "{json.id|object:live|lower}/a": "an object stands first", "{json.id|object:live}": "a name behind the object",
		"{json.id|object:}/a": "behind the colon", "{json.id|object:a b}/a": "the kind of an object", "{json.id|object}/a": "behind the colon",
	} {
		if _, err := NewDecoder(Config{Map: []MapRule{{Field: "channel", Value: value}}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", value, err)
		}
	}
}
