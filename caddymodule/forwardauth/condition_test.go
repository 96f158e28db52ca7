package forwardauth

import (
	"testing"

	"github.com/valyala/fastjson"
)

func TestConditions(t *testing.T) {
	json := fastjson.MustParse(`{"id":"c1","n":9007199254740993,"ok":true,"none":null,"list":["a","c1",5],
		"users":[{"id":1},{"id":22}],"by":{"c1":{"x":1}},"a/b":{"x.y":"z"}}`)
	known := variables{"c1", &Credential{token: "tok"}}
	for _, c := range []struct {
		path, op, value string
		want            bool
	}{
		{"id", "==", "{channel}", true}, {"id", "==", "c2", false}, {"id", "!=", "c2", true}, {"id", "!=", "c1", false},
		{"n", "==", "9007199254740993", true}, {"n", "==", "9007199254740992", false},
		{"ok", "==", "true", true}, {"none", "exists", "", false}, {"missing", "!=", "x", false}, {"missing", "==", "x", false},
		{"list", "contains", "{channel}", true}, {"list", "contains", "5", true}, {"list", "contains", "b", false},
		{"list.1", "==", "c1", true}, {"list", "==", "c1", false}, {"list", "exists", "", true},
		{"users.*.id", "==", "22", true}, {"users.*.id", "contains", "2", false}, {"users.*.id", "!=", "3", true}, {"users.*.id", "!=", "1", false},
		{"by", "contains", "{channel}", true}, {"by.*.x", "==", "1", true}, {"/a~1b/x.y", "==", "z", true}, {"a/b", "exists", "", true},
	} {
		condition := &Condition{Path: c.path, Op: c.op, Value: c.value}
		if err := condition.provision(); err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		if got := condition.holds(json, known); got != c.want {
			t.Errorf("%s %s %s: %t", c.path, c.op, c.value, got)
		}
	}
	for _, c := range []Condition{
		{Path: "", Op: "exists"}, {Path: "a..b", Op: "exists"}, {Path: "a", Op: "="}, {Path: "a", Op: "=="},
		{Path: "a", Op: "exists", Value: "x"}, {Path: "a", Op: "==", Value: "{nobody}"}, {Path: "a", Op: "==", Value: "{channel"},
	} {
		if err := c.provision(); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}

func TestTemplate(t *testing.T) {
	known := variables{"a/b é", &Credential{token: "t&k", password: "p"}}
	for text, want := range map[string]string{
		"/room/{channel}.json":     "/room/a%2Fb%20%C3%A9.json",
		"/r?c={channel}&t={token}": "/r?c=a%2Fb+%C3%A9&t=t%26k",
		"/flows/{org}/{flow}":      "/flows/a/b%20%C3%A9",
		"/{username}/{password}":   "/t&k/p",
		"/plain":                   "/plain",
	} {
		parsed, err := parseTemplate(text, questionVariables)
		if err != nil {
			t.Fatal(err)
		}
		if got := parsed.expand(known, escapeURI); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}
