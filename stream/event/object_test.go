package event

import (
	"errors"
	"strings"
	"testing"
)

// Objects are told apart whatever their kinds and ids are made of.
func TestObjects(t *testing.T) {
	seen := map[Object]string{}
	for _, o := range [][2]string{{"live", "1"}, {"live", "11"}, {"live1", "1"}, {"", "live1"}, {"live", ""}, {"liv", "e1"}, {"li:ve", "1"}} {
		got := ObjectOf(o[0], o[1])
		if other, known := seen[got]; known {
			t.Errorf("%q and %q are one object", o, other)
		}
		seen[got] = o[0] + " " + o[1]
	}
	if got := ObjectOf("live", "1").Channel("all_json"); got != "signed~bef99e6e09dd614316321ebc/all_json" {
		t.Errorf("the channel of what is stored is another one now: %s", got)
	}
}

func TestObjectChannels(t *testing.T) {
	o := ObjectOf("live", "1")
	for name, want := range map[string]bool{
		o.Channel("all_json"): true, o.Channel("a/b/-_!~()$@"): true, o.String(): false, o.Channel(""): false, o.Channel("a//b"): false,
		o.Channel("a.b"): false, o.Channel("ä"): false, o.Channel("*"): false, o.Channel("a/"): false, strings.ToUpper(o.String()) + "/a": false,
		"signed~12/a": false, "x": false, o.Channel(strings.Repeat("a", MaxName)): false,
	} {
		if err := CheckObjectChannel(name); (err == nil) != want {
			t.Errorf("%q: %v", name, err)
		}
		if err := CheckChannel(name); strings.HasPrefix(name, ObjectPrefix) && !errors.Is(err, ErrNameObject) {
			t.Errorf("%q is a channel like others: %v", name, err)
		}
		if got := (Names{Flows: true}).Canonical(name); got != name {
			t.Errorf("%q became %q", name, got)
		}
	}
}
