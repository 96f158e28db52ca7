package tambur

import (
	"slices"
	"strings"
	"testing"
)

func TestCommands(t *testing.T) {
	for text, want := range map[string]struct {
		c      command
		answer string
	}{
		`["subscribe",1,"S"]`:                 {command{"subscribe", "1", []string{"S"}}, ""},
		`["set_mode",2,"presence","S",7,"T"]`: {command{"set_mode", "2", []string{"presence", "S", "7", "T"}}, ""},
		`["direct",3,"S","bob",""]`:           {command{"direct", "3", []string{"S", "bob", ""}}, ""},
		`["direct",3,"S","bob"]`:              {command{"direct", "3", nil}, answerJSON},
		`["subscribe",-7]`:                    {command{"subscribe", "-7", nil}, answerJSON},
		`["subscribe",{},"S"]`:                {command{"subscribe", noHandle, []string{"S"}}, ""},
		`["subscribe",1,{}]`:                  {command{"", "1", nil}, answerJSON},
		`["publish",4,"S","x"]`:               {command{"publish", "4", nil}, answerCommand},
		`[]`:                                  {command{"", noHandle, nil}, answerJSON},
		`{"a":1}`:                             {command{"", noHandle, nil}, answerJSON},
		`fin`:                                 {command{"", noHandle, nil}, answerJSON},
		``:                                    {command{"", noHandle, nil}, answerJSON},
	} {
		c, answer := parse([]byte(text))
		if answer != want.answer || c.handle != want.c.handle || answer == "" && (c.name != want.c.name || !slices.Equal(c.args, want.c.args)) {
			t.Errorf("%s: %+v, %s", text, c, answer)
		}
	}
}

// Whatever a client sends, it is a command with enough arguments, or has an answer; and
// the handle is a number.
func FuzzCommand(f *testing.F) {
	for _, text := range []string{
		`["subscribe",1,"S"]`, `["set_mode",2,"presence","S","U","T"]`, `["unset_mode",3,"direct","S","U"]`, `["direct",4,"S","bob","x"]`,
		`["unsubscribe",9007199254740993,"S"]`, `[[[[`, `["subscribe",1e99,"\ud800"]`, strings.Repeat("[", 5000),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, answer := parse([]byte(text))
		if answer == "" && len(c.args) < arguments[c.name] {
			t.Fatalf("%s: %+v", text, c)
		}
		if strings.Trim(c.handle, "-0123456789") != "" || c.handle == "" {
			t.Fatalf("%s: the handle is %s", text, c.handle)
		}
	})
}

// A callback is a name in a program and nothing else.
func FuzzCallback(f *testing.F) {
	for _, name := range []string{"tambur.Utils.connect_callback", "f", "$", "a.b[0]", "alert(1)//", "a.", ".a", "a\u2028", strings.Repeat("a", 65)} {
		f.Add(name, "1")
	}
	f.Add("f", "1);alert(1")
	f.Fuzz(func(t *testing.T, name, instance string) {
		c, ok := callOf(map[string][]string{"callback": {name}, "instance": {instance}})
		if !ok {
			return
		}
		got := string(c.append(nil, []byte(`["<"]`)))
		head, ok := strings.CutSuffix(got, `,["\u003c"]);`+"\n")
		if !ok || strings.Count(head, "(") != 1 || strings.ContainsAny(head, "<>;/\"' \n)[]=+") || len(head) > 64+12 {
			t.Fatalf("%q", got)
		}
	})
}
