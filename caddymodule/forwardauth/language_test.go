package forwardauth

import (
	"net/http"
	"strings"
	"testing"

	"github.com/valyala/fastjson"
)

// known are the values of a question about c1, with an answer.
func known(t *testing.T, answer string) *values {
	t.Helper()
	json, err := fastjson.Parse(answer)
	if err != nil {
		t.Fatal(err)
	}
	return &values{channel: "c1", client: &Client{Credential: Credential{token: "tok"}}, json: json}
}

func TestConditions(t *testing.T) {
	const answer = `{"id":"c1","n":9007199254740993,"ok":true,"none":null,"list":["a","c1",5],
		"users":[{"id":1},{"id":22}],"by":{"c1":{"x":1}},"a/b":{"x.y":"z"}}`
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
		{"id", "==", "{password}", false}, {"id", "!=", "{password}", false}, // what the client has not proves nothing
	} {
		condition, err := (&Condition{Path: c.path, Op: c.op, Value: c.value}).read(new(vocabulary), "allow")
		if err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		if got, err := condition.holds(known(t, answer)); got != c.want || err != nil {
			t.Errorf("%s %s %s: %t, %v", c.path, c.op, c.value, got, err)
		}
	}
	for _, c := range []*Condition{
		{Path: "", Op: "exists"}, {Path: "a..b", Op: "exists"}, {Path: "a", Op: "="}, {Path: "a", Op: "=="},
		{Path: "a", Op: "exists", Value: "x"}, {Path: "a", Op: "==", Value: "{nobody}"}, {Path: "a", Op: "==", Value: "{channel"},
	} {
		if err := c.Check(); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}

// The answer's JSON is read in one way: where a key that decides is there twice,
// two readers may take different ones, and it decides nothing.
func TestAnswersThatCanBeReadInTwoWays(t *testing.T) {
	const twice = `{"role":"member","role":"none","user":{"id":1,"id":2},"rooms":["1"],"rooms":[],"other":1}`
	for name, config := range map[string]Config{
		"allow":      {URI: "/{channel}", AllowJSON: []*Condition{{Path: "role", Op: "==", Value: "member"}}},
		"allow text": {URI: "/{channel}", Allow: []string{"{json.role} == member"}},
		"deny":       {URI: "/{channel}", DenyJSON: []*Condition{{Path: "role", Op: "==", Value: "none"}}},
		"deny text":  {URI: "/{channel}", Deny: []string{"{json.role} == none"}},
		"user":       {URI: "/{channel}", UserJSON: "user.id"},
		"user text":  {URI: "/{channel}", User: "{json.user.id}"},
		"list":       {URI: "/", ListJSON: "rooms.*"},
		"list text":  {URI: "/", List: "{json.rooms}"},
	} {
		a, err := New(config, "", nil, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		trace := new(Trace)
		r, _ := a.request("1", a.list != nil, &Client{})
		v := a.judge(&reply{status: 200, header: http.Header{}, body: []byte(twice)}, r, trace)
		if v.Outcome.String() != "unknown" || !strings.Contains(trace.Steps[len(trace.Steps)-1], "twice") {
			t.Errorf("%s: %s, %q", name, v.Outcome, trace.Steps)
		}
		if v := a.judge(&reply{status: 200, header: http.Header{}, body: []byte(`{"role":"member","user":{"id":1},"rooms":["1"],"x":1,"x":2}`)}, r, new(Trace)); v.Outcome.String() != "allowed" {
			t.Errorf("%s: a key twice that decides nothing makes it %s", name, v.Outcome)
		}
	}
}

// Auth speaks the language of mappings; both ways to write a condition mean the
// same.
func TestOneLanguage(t *testing.T) {
	a, err := New(Config{
		URI:   "/rooms/{channel|lower}?who={username ?? channel}",
		Allow: []string{"{json.role} in member admin and {json.rooms.*.id} contains {channel}", `{json.name} matches ^b.b$`},
		Deny:  []string{"{json.banned} exists"},
		User:  "{json.user.id ?? json.user_id}",
	}, "", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, _ := a.request("A/b", false, &Client{})
	if r.uri != "/rooms/a%2Fb?who=A%2Fb" {
		t.Errorf("asks %s", r.uri)
	}
	for answer, want := range map[string]string{
		`{"role":"admin","rooms":[{"id":"x"},{"id":"A/b"}],"name":"bob","user_id":7}`:              "allowed 7",
		`{"role":"admin","rooms":[{"id":"x"},{"id":"A/b"}],"name":"bob","user":{"id":8}}`:          "allowed 8",
		`{"role":"guest","rooms":[{"id":"x"},{"id":"A/b"}],"name":"bob","user_id":7}`:              "denied ",
		`{"role":"admin","rooms":[{"id":"x"}],"name":"bob","user_id":7}`:                           "denied ",
		`{"role":"admin","rooms":[{"id":"A/b"}],"name":"eve","user_id":7}`:                         "denied ",
		`{"role":"admin","rooms":[{"id":"A/b"}],"name":"bob","user_id":7,"banned":0}`:              "denied ",
		`{"role":"admin","rooms":[{"id":"A/b"}],"user_id":7}`:                                      "denied ",
		`{"role":"admin","rooms":[{"id":"A/b"}],"name":"bob","user_id":7,"banned":null,"user":{}}`: "allowed 7",
	} {
		trace := new(Trace)
		v := a.judge(&reply{status: 200, header: http.Header{}, body: []byte(answer)}, r, trace)
		if got := v.Outcome.String() + " " + v.User; got != want {
			t.Errorf("%s: %s, want %s: %q", answer, got, want, trace.Steps)
		}
	}
	for _, c := range []Config{
		{URI: "/{chanel}"}, {URI: "/{json.x}"}, {URI: "/{channel}", Allow: []string{"{json.x} = 1"}}, {URI: "/{channel}", Allow: []string{"json.x == 1"}},
		{URI: "/{channel}", User: "x"}, {URI: "/{channel}", User: "{channel}"}, {URI: "/{channel}", User: "{json.x}", UserJSON: "x"},
		{URI: "/{channel}", List: "{json.x}"}, {URI: "/", List: "{json.x}", ListJSON: "x"}, {URI: "/{channel|nothing}"}, {URI: "/ {channel}"},
	} {
		if _, err := New(c, "", nil, nil); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}

// What is written for a place in the answer in another language would be part of a
// key: then nobody is allowed, or no user is ever known, and nobody says why.
func TestPathsInTheAnswer(t *testing.T) {
	for _, path := range []string{"json.user.id", "{json.user.id}", "$.user.id", "{user.id}"} {
		for name, c := range map[string]Config{
			"user":  {URI: "/{channel}", UserJSON: path},
			"allow": {URI: "/{channel}", AllowJSON: []*Condition{{Path: path, Op: "exists"}}},
			"deny":  {URI: "/{channel}", DenyJSON: []*Condition{{Path: path, Op: "exists"}}},
			"list":  {URI: "/", ListJSON: path},
		} {
			if _, err := New(c, "", nil, nil); err == nil || !strings.Contains(err.Error(), "write user.id ") {
				t.Errorf("%s %s: %v", name, path, err)
			}
		}
	}
	for _, path := range []string{"user.id", "/json/id", "jsonb.id", "data.json.id"} {
		if _, err := New(Config{URI: "/{channel}", UserJSON: path}, "", nil, nil); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// A question with an empty place where the channel should stand is about another page
// of the app.
func TestQuestionsNameTheChannel(t *testing.T) {
	number := Config{URI: "/api/{channel|re:^room-([0-9]+)$}"}
	headers := Config{URI: "/api", Headers: []Field{{"X-Org", "{org}"}, {"X-Flow", "{flow}"}}}
	for _, x := range []struct {
		c       Config
		channel string
		want    bool
	}{
		{number, "room-5", true},
		{number, "lobby", false},
		{headers, "acme/main", true},
		{headers, "lobby", false},
		{headers, "acme/", false},
		{Config{URI: "/{org}/{flow}"}, "acme/", false},
		{Config{URI: "/{channel|trim}"}, " ", false},
		{Config{URI: "/{channel}", Headers: []Field{{"X-Flow", "{flow}"}}}, "lobby", true},
		{Config{URI: "/api", AllowJSON: []*Condition{{Path: "rooms", Op: "contains", Value: "{channel}"}}}, "lobby", true},
	} {
		a, err := New(x.c, "", nil, nil)
		if err != nil {
			t.Fatalf("%+v: %v", x.c, err)
		}
		if got := a.names(x.channel, &Client{}); got != x.want {
			t.Errorf("%+v names %q: %v", x.c, x.channel, got)
		}
	}
}

// A question that has nothing to do with the channel would open every channel
// with one yes.
func TestQuestionsAreAboutTheChannel(t *testing.T) {
	for name, x := range map[string]struct {
		c  Config
		ok bool
	}{
		"one room":         {Config{URI: "/api/rooms/lobby"}, false},
		"a fixed query":    {Config{URI: "/api/rooms?id=1"}, false},
		"only a token":     {Config{URI: "/api/{token}"}, false},
		"only the org":     {Config{URI: "/api/{org}"}, false},
		"only the flow":    {Config{URI: "/api/{flow}"}, false},
		"a fixed form":     {Config{URI: "/api", Method: "POST", Form: []Field{{"room", "1"}}}, false},
		"identity":         {Config{URI: "/api", Identity: "/me", UserJSON: "id"}, false},
		"condition":        {Config{URI: "/api", AllowJSON: []*Condition{{Path: "room", Op: "==", Value: "1"}}}, false},
		"deny":             {Config{URI: "/api", DenyJSON: []*Condition{{Path: "room", Op: "!=", Value: "{channel}"}}}, false},
		"preset, changed":  {Config{Preset: "campfire_classic", URI: "/me"}, false},
		"alternative":      {Config{URI: "/api/{username ?? channel}"}, false},
		"last part":        {Config{URI: "/api/{channel|last:/}"}, false},
		"first letter":     {Config{URI: "/api/{channel|re:^(.)}"}, false},
		"open end":         {Config{URI: "/api/{channel|re:^room-([0-9]+)}"}, false},
		"two groups":       {Config{URI: "/api/{channel|re:^([a-z]+)-([0-9]+)$}"}, false},
		"any case":         {Config{URI: "/api/{channel|re:(?i)^room-([0-9]+)$}"}, false},
		"token header":     {Config{URI: "/api", Cookies: []string{"s"}, Headers: []Field{{"X-Room", "{channel} {token}"}}}, false},
		"part of a flow":   {Config{URI: "/api/{org}/{flow|last:-}"}, false},
		"number of room":   {Config{URI: "/api/{channel|re:^room-([0-9]+)$}"}, true},
		"prefixed":         {Config{URI: "/api/{channel|prefix:private-}"}, true},
		"a part, said so":  {Config{URI: "/api/{channel|last:/}", AllChannels: true}, true},
		"part and whole":   {Config{URI: "/api/{channel|last:/}?room={channel}"}, true},
		"only tokens":      {Config{URI: "/api", Headers: []Field{{"X-Room", "{channel} {token}"}}}, true},
		"path":             {Config{URI: "/api/{channel}"}, true},
		"filtered":         {Config{URI: "/api/{channel|lower}"}, true},
		"query":            {Config{URI: "/api?room={channel}"}, true},
		"header":           {Config{URI: "/api", Headers: []Field{{"X-Room", "{channel}"}}}, true},
		"form":             {Config{URI: "/api", Method: "POST", Form: []Field{{"room", "private-{channel}"}}}, true},
		"org and flow":     {Config{URI: "/api/{org}", Headers: []Field{{"X-Flow", "{flow}"}}}, true},
		"list":             {Config{URI: "/api", ListJSON: "rooms.*"}, true},
		"proved":           {Config{URI: "/api", AllowJSON: []*Condition{{Path: "rooms", Op: "contains", Value: "{channel}"}}}, true},
		"proved in text":   {Config{URI: "/api", Allow: []string{"{json.rooms} contains {channel}"}}, true},
		"disproved":        {Config{URI: "/api", Allow: []string{"{json.room} != {channel}"}}, false},
		"not contained":    {Config{URI: "/api", Allow: []string{"{json.rooms} not contains {channel}"}}, false},
		"there is one":     {Config{URI: "/api", Allow: []string{"{channel} exists"}}, false},
		"of itself":        {Config{URI: "/api", Allow: []string{"{channel} == {channel}"}}, false},
		"one of several":   {Config{URI: "/api", Allow: []string{"{json.room} in {channel} lobby"}}, false},
		"part proved":      {Config{URI: "/api", Allow: []string{"{json.room} == {channel|last:/}"}}, false},
		"proved, and more": {Config{URI: "/api", Allow: []string{"{json.muted} != true and {json.room} == {channel|lower}"}}, true},
		"said so":          {Config{URI: "/api", AllChannels: true}, true},
		"none":             {Config{None: true}, true},
	} {
		_, err := New(x.c, "", nil, nil)
		if (err == nil) != x.ok || err != nil && !strings.Contains(err.Error(), "all_channels") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
