package e2e

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/seed-078801ba/sidestream/caddymodule"
	"github.com/seed-078801ba/sidestream/stream"
	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/format"
)

// The reference has every word that the parser knows, and no other. Nobody keeps
// a list of them for this test: it tries every word that stands as a string in
// the source, in every place, and looks at whether the parser takes it.

// places are where words may stand. Each has a Caddyfile with %s for the word,
// and the sections that list the words of this place.
var places = []struct {
	name     string
	config   string
	page     string
	sections []string
	// symbols are words that are not names, to be tried as well.
	symbols []string
	// elsewhere are words that another section explains.
	elsewhere []string
	// named: the words are values of an option. It is enough that the page names
	// them.
	named bool
}{
	{
		name: "options of the directive", config: "sidestream localhost:3000 {\n%s\n}",
		page: "caddymodule/README.md", sections: []string{"#"},
	},
	{
		name: "options of campfire", config: inDirective("campfire {\n%s\n}"),
		page: "caddymodule/README.md", sections: []string{"campfire"},
	},
	{
		name: "options of flowdock", config: inDirective("flowdock {\n%s\n}"),
		page: "caddymodule/README.md", sections: []string{"flowdock"},
	},
	{
		name: "options of bayeux", config: inDirective("bayeux {\n%s\n}"),
		page: "caddymodule/README.md", sections: []string{"bayeux"},
	},
	{
		name: "options of tambur", config: inDirective("tambur {\n%s\n}"),
		page: "caddymodule/README.md", sections: []string{"tambur"},
	},
	{
		name: "options of auth", config: "sidestream localhost:3000 {\nauth GET /room/{channel}.json {\n%s\n}\n}",
		page: "caddymodule/README.md", sections: []string{"Options of auth"},
	},
	{
		name: "presets of auth", config: "sidestream localhost:3000 {\nauth preset %s\n}",
		page: "caddymodule/README.md", sections: []string{"Presets of auth"},
	},
	{
		name: "options of limits", config: inDirective("limits {\n%s\n}"),
		page: "caddymodule/README.md", sections: []string{"limits"},
	},
	{
		name: "options of cors", config: inDirective("cors {\n%s\n}"),
		page: "caddymodule/README.md", sections: []string{"cors"},
	},
	{
		name: "options of revoke", config: inDirective("revoke /hooks/revoke {\n%s\n}"),
		page: "caddymodule/README.md", sections: []string{"revoke"},
	},
	{
		name: "options of presence", config: inDirective("presence {\n%s\n}"),
		page: "caddymodule/README.md", sections: []string{"presence"},
	},
	{
		name: "options of tell", config: inDirective("presence {\ntell POST /x {\nsecret whsec_0123456789abcdef0123456789abcdef\n%s\n}\n}"),
		page: "caddymodule/README.md", sections: []string{"Telling the app"},
	},
	{
		name: "kinds of tell", config: inDirective("presence {\ntell POST /x {\nsecret whsec_0123456789abcdef0123456789abcdef\nkinds %s\n}\n}"),
		page: "caddymodule/README.md", named: true,
	},
	{
		name: "options of history", config: inDirective("history {\n%s\n}"),
		page: "stream/log/README.md", sections: []string{"Options"},
	},
	{
		name: "options of store redis", config: inDirective("history {\nstore redis redis://localhost {\n%s\n}\n}"),
		page: "stream/log/README.md", sections: []string{"Options of store redis"},
	},
	{
		name: "options of a webhook", config: inDirective("webhook /hooks/x {\n%s\n}"),
		page: "webhook/README.md", sections: []string{"Options of a webhook"},
	},
	{
		name: "presets of a webhook", config: inWebhook("preset %s"),
		page: "webhook/README.md", sections: []string{"Presets"},
	},
	{
		name: "schemes of verify", config: inWebhook("verify %s"),
		page: "webhook/README.md", sections: []string{"verify"},
	},
	{
		name: "options of verify hmac", config: inWebhook("verify hmac header X-S %s hex"),
		page: "webhook/README.md", sections: []string{"Options of verify hmac"},
	},
	{
		name: "options of verify token", config: inWebhook("verify token %s {json.x}"),
		page: "webhook/README.md", sections: []string{"Options of verify token"},
	},
	{
		name: "options of verify bearer", config: inWebhook("verify bearer %s name"),
		page: "webhook/README.md", sections: []string{"Options of verify bearer"}, elsewhere: []string{"tolerance"},
	},
	{
		name: "options of verify path", config: inWebhook("verify path %s name"),
		page: "webhook/README.md", sections: []string{"Options of verify path"}, elsewhere: []string{"tolerance"},
	},
	{
		name: "fields of map", config: inWebhook("map %s {json.x}"),
		page: "webhook/README.md", sections: []string{"map"},
	},
	{
		name: "sources", config: inWebhook("map body {%s.x}\nmap body {%[1]s}"),
		page: "webhook/README.md", sections: []string{"The mapping language"},
		elsewhere: []string{"dir", "file"}, // Caddy's own names for parts of a path
	},
	{
		name: "filters", config: inWebhook("map body {json.x|%s}\nmap body {json.x|%[1]s:x}"),
		page: "webhook/README.md", sections: []string{"Filters"},
	},
	{
		name: "comparisons", config: inWebhook("drop {json.x} %s x\ndrop {json.x} %[1]s\ndrop {json.x} %[1]s exists"),
		page: "webhook/README.md", sections: []string{"Conditions"}, symbols: []string{"==", "!="},
	},
	{
		name: "options of a tap", config: inDirective("tap POST /x 201 {\nmap channel {res.x}\n%s\n}"),
		page: "webhook/README.md", sections: []string{"Options of a tap"},
	},
	{
		name: "options of a tap with a preset", config: inDirective("tap preset mattermost {\n%s\n}"),
		page: "webhook/README.md", sections: []string{"Options of a tap"},
	},
	{
		name: "options of revoke tap", config: inDirective("revoke tap POST /x 200 {\n%s\n}"),
		page: "webhook/README.md", sections: []string{"revoke tap"},
	},
	{name: "presets of tap", config: inDirective("tap preset %s"), page: "webhook/README.md", sections: []string{"Presets of tap"}},
	{
		name: "sources of a tap", config: inDirective("tap POST /x/{x} 201 {\nmap channel {res.x}\nmap body {%s.x}\nmap body {%[1]s}\n}"),
		page: "webhook/README.md", sections: []string{"What a tap reads"},
		elsewhere: []string{"dir", "file"}, // Caddy's own names for parts of a path
	},
	{
		name: "options of redis", config: inDirective("redis redis://localhost {\n%s\n}"),
		page: "webhook/README.md", sections: []string{"Options of redis"},
	},
	{
		name: "options of pull", config: inDirective("pull GET /x/{channel} {\n%s\n}"),
		page: "webhook/README.md", sections: []string{"Options of pull"},
	},
	{
		name: "options of doorbell", config: inDirective("doorbell sse /x {\n%s\n}"),
		page: "caddymodule/README.md", sections: []string{"Options of doorbell"},
	},
	{name: "kinds of doorbell", config: inDirective("doorbell %s"), page: "caddymodule/README.md", named: true},
	{
		name: "presets of pull", config: inDirective("pull preset %s"),
		page: "webhook/README.md", sections: []string{"Presets of pull"},
	},
	{name: "recipes", config: inWebhook("preset %s"), page: "webhook/APPS.md", named: true, elsewhere: []string{
		"svix", "slack_legacy", // other names
		"slack", "standardwebhooks", // of old, and without a preset
	}},
	{name: "formats", config: inWebhook("format %s"), page: "webhook/README.md", named: true},
	{name: "on_unmapped", config: inWebhook("on_unmapped %s"), page: "webhook/README.md", named: true},
	{name: "stores", config: inDirective("history {\nstore %s\n}"), page: "stream/log/README.md", named: true},
	{name: "heartbeats", config: inDirective("heartbeat %s 1s"), page: "caddymodule/README.md", named: true},
	{name: "kinds of allow", config: inAuth("allow %s 200"), page: "caddymodule/README.md", named: true},
	{name: "kinds of user", config: inAuth("user %s x"), page: "caddymodule/README.md", named: true},
	{name: "comparisons of auth", config: inAuth("allow json x %s y\nallow json x %[1]s"), page: "caddymodule/README.md", named: true},
}

func inAuth(text string) string {
	return "sidestream localhost:3000 {\nauth GET /room/{channel}.json {\n" + text + "\n}\n}"
}

func inDirective(text string) string {
	return "sidestream localhost:3000 {\nauth GET /room/{channel}.json\n" + text + "\n}"
}

func inWebhook(text string) string {
	return inDirective("webhook /hooks/x {\nsecret 0123456789abcdef0123456789abcdef\n" + text + "\n}")
}

// unknown is how the parser says that it does not know a word.
var unknown = regexp.MustCompile(`(?i)unknown|neither .* nor|belongs to|is no option|stands in the block of`)

// knows tells whether the parser takes a word in a place. It may want more of
// it, as long as the word itself is known. Where a place has several ways to
// write it, one of them is enough.
func knows(config, word string) bool {
	variants := variantsOf(config)
	for _, variant := range variants {
		adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte("http://localhost {\n"+fmt.Sprintf(variant, word)+"\n}\n"), nil)
		switch {
		case err != nil && unknown.MatchString(err.Error()):
		case strings.Contains(string(adapted), `"`+word+`","name"`), strings.Contains(string(adapted), `"`+word+`","hex"`),
			strings.Contains(string(adapted), `"`+word+`","{json.x}"`): // taken for a secret
		default:
			return true
		}
	}
	return false
}

// variantsOf makes as many configurations of one as it has lines that name the
// word.
func variantsOf(config string) []string {
	lines := strings.Split(config, "\n")
	naming := func(l string) bool { return strings.Contains(l, "%s") || strings.Contains(l, "%[1]s") }
	var variants []string
	for _, chosen := range lines {
		if naming(chosen) {
			kept := slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return naming(l) && l != chosen })
			variants = append(variants, strings.ReplaceAll(strings.Join(kept, "\n"), "%[1]s", "%s"))
		}
	}
	return variants
}

// sourceWords are all words of the strings of the packages that read a
// configuration.
var sourceWords = sync.OnceValues(func() ([]string, error) {
	words := map[string]bool{}
	word := regexp.MustCompile(`[a-z][a-z0-9_]*`)
	for _, folder := range []string{"caddymodule", "webhook", "stream/redisconn", "stream/log"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
					text, _ := strconv.Unquote(literal.Value)
					for _, w := range word.FindAllString(text, -1) {
						words[w] = true
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return slices.Sorted(maps.Keys(words)), nil
})

func TestDocsReference(t *testing.T) {
	words, err := sourceWords()
	if err != nil {
		t.Fatal(err)
	}
	all := pages(t)
	for _, place := range places {
		t.Run(place.name, func(t *testing.T) {
			p := all[slices.IndexFunc(all, func(p page) bool { return p.name == place.page })]
			documented := documentedIn(t, p, place.sections)
			known := 0
			for _, w := range slices.Concat(words, place.symbols) {
				if strings.HasSuffix(w, "_") || slices.Contains(place.elsewhere, w) || !knows(place.config, w) {
					continue
				}
				known++
				if place.named && !regexp.MustCompile(`\b`+w+`\b`).MatchString(p.code) || !place.named && !slices.Contains(documented, w) {
					t.Errorf("the parser knows %q, and %s does not, under %q", w, place.page, place.sections)
				}
			}
			for _, w := range documented {
				if !knows(place.config, w) {
					t.Errorf("%s has %q under %q, and the parser does not know it", place.page, w, place.sections)
				}
			}
			if place.named && known == 0 {
				t.Error("the parser seems to know nothing here")
			}
			t.Logf("%d words", known)
		})
	}
}

// documentedIn are the words that sections of a page explain. The section "#"
// stands for the headings of the page that are words of a configuration.
func documentedIn(t *testing.T, p page, headings []string) []string {
	t.Helper()
	var words []string
	for _, heading := range headings {
		found := false
		for _, s := range p.sections {
			switch {
			case heading == "#" && regexp.MustCompile(`^[a-z_]+$`).MatchString(s.heading) && s.heading != "sidestream":
				words, found = append(words, s.heading), true
			case s.heading == heading:
				words, found = append(words, s.defined...), true
			}
		}
		if !found {
			t.Fatalf("%s has no section %q", p.name, heading)
		}
	}
	return words
}

// The page of figures names every scenario that is measured.
func TestDocsScenarios(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "cmd/bench/scenario_*.go"))
	if err != nil {
		t.Fatal(err)
	}
	code, count := pageNamed(t, "cmd/bench/README.md").code, 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^\tname: +"([a-z0-9-]+)",$`).FindAllStringSubmatch(string(text), -1) {
			count++
			if !slices.Contains(strings.Fields(code), m[1]) {
				t.Errorf("cmd/bench/README.md does not name the scenario %s", m[1])
			}
		}
	}
	if count < 12 {
		t.Errorf("%d scenarios found", count)
	}
}

// What the page says that the log says, the source says.
func TestDocsLogLines(t *testing.T) {
	var source strings.Builder
	for _, folder := range []string{"caddymodule", "webhook", "stream"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			source.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile(filepath.Join(root, "caddymodule/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "| the log says |")
	table, _, _ = strings.Cut(table, "\n\n")
	lines := regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(table, -1)
	if len(lines) < 10 {
		t.Fatalf("%d lines found", len(lines))
	}
	for _, line := range lines {
		if !strings.Contains(source.String(), line[1]) {
			t.Errorf("nothing says %q any more", line[1])
		}
	}
}

// The page of metrics has all of them, and all reasons why a stream ends.
func TestDocsMetrics(t *testing.T) {
	var names []string
	for _, name := range []string{"metrics.go", "times.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "caddymodule", name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if f, ok := call.Fun.(*ast.Ident); ok && (f.Name == "desc" || f.Name == "histogram") {
					name, _ := strconv.Unquote(call.Args[0].(*ast.BasicLit).Value)
					names = append(names, name)
				}
			}
			return true
		})
	}
	documented := documentedIn(t, pageNamed(t, "caddymodule/README.md"), []string{"Metrics"})
	reasons := documentedIn(t, pageNamed(t, "caddymodule/README.md"), []string{"Why streams end"})
	for _, reason := range stream.Reasons {
		if !slices.Contains(reasons, string(reason)) {
			t.Errorf("nothing says when a stream ends as %s", reason)
		}
	}
	for _, name := range names {
		if !slices.Contains(documented, name) {
			t.Errorf("the metric %s is not documented", name)
		}
	}
	for _, name := range documented {
		if !slices.Contains(names, name) {
			t.Errorf("the metric %s is documented, and there is none", name)
		}
	}
	if len(names) < 30 || len(reasons) != len(stream.Reasons) {
		t.Errorf("%d metrics, %d reasons", len(names), len(reasons))
	}
}

// The page of the commands has all their flags.
func TestDocsFlags(t *testing.T) {
	p := pageNamed(t, "cmd/sidestream/README.md")
	flag := regexp.MustCompile(`--[a-z][a-z-]*`)
	for _, name := range []string{"demo", "backend", "explain", "tail", "send", "hubs", "streams", "kick", "channels", "events", "log"} {
		help := run(t, nil, "", command(t), name, "--help")
		<-help.exited
		said, _, _ := help.out.state()
		_, flags, ok := strings.Cut(said, "\nFlags:\n")
		if !ok {
			t.Fatalf("%s --help has no flags: %s", name, said)
		}
		var known []string
		for line := range strings.Lines(flags) {
			if f := flag.FindString(line); f != "" && f != "--help" && f != "--version" && strings.Index(line, f) < 8 {
				known = append(known, f)
			}
		}
		var documented []string
		for _, w := range documentedIn(t, p, []string{name}) {
			if strings.HasPrefix(w, "--") {
				documented = append(documented, strings.TrimSuffix(w, ","))
			}
		}
		slices.Sort(known)
		slices.Sort(documented)
		if !slices.Equal(known, documented) {
			t.Errorf("sidestream %s has the flags %q, and its page %q", name, known, documented)
		}
	}
}

// What the page shows of the wires is what formats write.
func TestDocsWires(t *testing.T) {
	entry := &event.Entry{Seq: 17, Event: event.Event{
		Channel: event.Number("1"), ID: event.Number("17"), User: event.Number("2"), UserName: "Bob", Body: "hello",
		Time: time.Date(2026, 11, 29, 12, 1, 54, 0, time.UTC),
	}}
	written := map[string]bool{}
	for _, name := range format.Names() {
		f, _ := format.ByName(name)
		text := string(f.Event(nil, entry, event.Cursor{}))
		if _, data, ok := strings.Cut(text, "data: "); ok {
			text = data
		}
		written[strings.TrimSpace(text)] = true
	}
	at := time.UnixMilli(1795953714000)
	there := format.Presence{Kind: "joined", Channel: "acme/main", User: "7", State: "active", Streams: 1, Since: at, Changed: at, Count: 3}
	written[strings.TrimSpace(string(format.FlowdockJSON{}.Presence(&there)[0]))] = true
	written[strings.TrimSpace(string(format.FlowdockJSON{}.Activity(&there, at.Add(time.Minute))))] = true
	if event := string(format.SSE{}.Presence(&there)[0]); !slices.ContainsFunc(pageNamed(t, "stream/README.md").blocks, func(b block) bool { return strings.TrimSpace(b.text) == strings.TrimSpace(event) }) {
		t.Errorf("stream/README.md does not have what is told of presence:\n%s", event)
	}
	shown := 0
	for _, b := range pageNamed(t, "stream/README.md").blocks {
		if line := strings.TrimSpace(b.text); (b.info == "json" || b.info == "xml") && !strings.HasPrefix(line, `{"channel"`) {
			shown++
			if !written[line] {
				t.Errorf("stream/README.md:%d shows what no format writes:\n%s\nthey write\n%s", b.line, line,
					strings.Join(slices.Sorted(maps.Keys(written)), "\n"))
			}
		}
	}
	if shown != 5 {
		t.Errorf("the page shows %d messages", shown)
	}
}
