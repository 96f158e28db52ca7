package tap

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-078801ba/sidestream/webhook/decode"
)

// Rules are the taps of one configuration, compiled. They are safe for concurrent
// use.
type Rules struct {
	routes map[string][]*route // by method
}

// route is a method and a path, with all rules for it.
type route struct {
	method, path string // as configured
	pattern      pattern
	rules        []*rule
	readsRequest bool
	// requestKeys are the fields of the request that rules read.
	requestKeys []string
}

// rule is a compiled Rule, or a Revocation.
type rule struct {
	name     string // METHOD path status, for logs and metrics
	statuses []int
	when     *decode.Condition
	poke     *decode.Template
	decoder  *decode.Decoder // nil: it only pokes
	thin     bool
	fields   []string

	revokes       bool // it is a Revocation
	user, channel *decode.Template

	readsBody, readsRequest, readsUser bool
	headers                            []string // of the answer, that are read
}

// Compile reads taps and revocations. Errors say what would be right.
func Compile(taps []Config, revocations []Revocation) (*Rules, error) {
	rs := &Rules{routes: map[string][]*route{}}
	for i := range taps {
		c := &taps[i]
		rules, revokes, err := c.expand()
		if err != nil {
			return nil, err
		}
		for j := range rules {
			if err := rs.add(&rules[j], c.Deliver == deliverThin); err != nil {
				return nil, fmt.Errorf("tap %s: %w", rules[j].title(), err)
			}
		}
		for _, r := range revokes {
			if err := rs.addRevocation(&r); err != nil {
				return nil, fmt.Errorf("revoke tap %s %s: %w", r.Method, r.Path, err)
			}
		}
	}
	for _, r := range revocations {
		if err := rs.addRevocation(&r); err != nil {
			return nil, fmt.Errorf("revoke tap %s %s: %w", r.Method, r.Path, err)
		}
	}
	return rs, nil
}

// Check says what is wrong with a tap.
func Check(c Config) error {
	_, err := Compile([]Config{c}, nil)
	return err
}

// CheckRevocation says what is wrong with a revocation.
func CheckRevocation(r Revocation) error {
	_, err := Compile(nil, []Revocation{r})
	return err
}

// expand is the configuration's rules: its own, or those of its preset.
func (c *Config) expand() ([]Rule, []Revocation, error) {
	switch c.Deliver {
	case "", deliverFull, deliverThin:
	default:
		return nil, nil, fmt.Errorf("tap: deliver is %q; it is %s or %s", c.Deliver, deliverFull, deliverThin)
	}
	if c.Preset == "" {
		if c.Prefix != "" {
			return nil, nil, errors.New("tap: prefix is for presets; write the whole path")
		}
		return []Rule{c.Rule}, nil, nil
	}
	p, err := findPreset(c.Preset)
	if err != nil {
		return nil, nil, err
	}
	if c.Method != "" || c.Path != "" || len(c.Statuses) > 0 || len(c.Map) > 0 || c.Each != "" || c.Poke != "" || c.When != "" || len(c.Fields) > 0 {
		return nil, nil, fmt.Errorf("tap preset %s: the preset has all rules; for one of your own, write another tap", c.Preset)
	}
	if c.Prefix != "" && (c.Prefix[0] != '/' || strings.HasSuffix(c.Prefix, "/")) {
		return nil, nil, fmt.Errorf("tap preset %s: the prefix %q must begin with /, and not end with one", c.Preset, c.Prefix)
	}
	rules, revokes := slices.Clone(p.rules), slices.Clone(p.revokes)
	for i := range rules {
		rules[i].Path = c.Prefix + rules[i].Path
		rules[i].Channels = c.Channels
		rules[i].Drop = slices.Concat(rules[i].Drop, c.Drop)
	}
	for i := range revokes {
		revokes[i].Path = c.Prefix + revokes[i].Path
	}
	return rules, revokes, nil
}

func (c *Rule) title() string {
	title := c.Method + " " + c.Path
	for _, status := range c.Statuses {
		title += " " + strconv.Itoa(status)
	}
	return title
}

// methods are those of requests that change something.
var methods = []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

func checkMethod(method string) error {
	if slices.Contains(methods, method) {
		return nil
	}
	if slices.Contains(methods, strings.ToUpper(method)) {
		return fmt.Errorf("write the method as %s", strings.ToUpper(method))
	}
	return fmt.Errorf("%q is no method that creates a message; the methods are %s", method, strings.Join(methods, ", "))
}

// checkStatuses refuses statuses that prove nothing: 202 is a promise, 204 says
// nothing of what another status of the same rule says, 206 is a part, and a
// redirect or 304 is the answer to something else.
func checkStatuses(statuses []int) error {
	if len(statuses) == 0 {
		return errors.New("the status of a good answer is missing, as in POST /rooms/{room}/messages 201")
	}
	for _, status := range statuses {
		switch {
		case status == http.StatusAccepted:
			return errors.New("202 says that the app has not done it yet; take the webhook, or poke, for such an app")
		case status == http.StatusNoContent && len(statuses) > 1:
			return errors.New("204 has nothing in its answer; write a rule of its own for it")
		case status != http.StatusOK && status != http.StatusCreated && status != http.StatusNoContent:
			return fmt.Errorf("%d does not say that something was created; the statuses are 200, 201 and 204", status)
		}
	}
	return nil
}

func (rs *Rules) add(c *Rule, thin bool) error {
	if err := checkMethod(c.Method); err != nil {
		return err
	}
	if err := checkStatuses(c.Statuses); err != nil {
		return err
	}
	r := &rule{name: c.title(), statuses: c.Statuses, thin: thin, fields: c.Fields}
	var err error
	if c.When != "" {
		if r.when, err = decode.ParseAnswerCondition(c.When); err != nil {
			return err
		}
	}
	if c.Poke != "" {
		if r.poke, err = decode.ParseAnswerTemplate(c.Poke); err != nil {
			return fmt.Errorf("poke: %w", err)
		}
	}
	if r.poke == nil || len(c.Map) > 0 || c.Config.Preset != "" {
		if err := r.compile(c.Config); err != nil {
			return err
		}
	}
	return rs.insert(c.Method, c.Path, r)
}

// compile makes the decoder of a rule.
func (r *rule) compile(c decode.Config) (err error) {
	switch c.Format {
	case "", decode.JSON:
		c.Format = decode.JSON
	default:
		return errors.New("format: an answer is JSON")
	}
	if len(c.Map) == 0 && c.Preset == "" {
		return errors.New("nothing says what the answer means; write map, as in map channel {res.room_id}, or poke")
	}
	if r.decoder, err = decode.NewAnswerDecoder(c); err != nil {
		return err
	}
	if r.decoder.PassesOn() && len(r.fields) == 0 && !r.thin {
		return errors.New("map data: which fields of the answer may everybody see? Name them, as in fields id body created_at")
	}
	return nil
}

func (rs *Rules) addRevocation(c *Revocation) error {
	if err := checkMethod(c.Method); err != nil {
		return err
	}
	r := &rule{name: "revoke " + c.Method + " " + c.Path, statuses: c.Statuses, revokes: true}
	if len(c.Statuses) == 0 {
		return errors.New("the status of a good answer is missing, as in revoke tap POST /logout 200")
	}
	for _, status := range c.Statuses {
		r.name += " " + strconv.Itoa(status)
		if status < 200 || status > 399 {
			return fmt.Errorf("%d does not say that something happened", status)
		}
	}
	var err error
	if c.When != "" {
		if r.when, err = decode.ParseAnswerCondition(c.When); err != nil {
			return err
		}
	}
	for _, t := range []struct {
		text string
		to   **decode.Template
	}{{c.User, &r.user}, {c.Channel, &r.channel}} {
		if t.text == "" {
			continue
		}
		if *t.to, err = decode.ParseAnswerTemplate(t.text); err != nil {
			return err
		}
	}
	return rs.insert(c.Method, c.Path, r)
}

// insert gives a rule its place.
func (rs *Rules) insert(method, path string, r *rule) error {
	p, err := parsePattern(path)
	if err != nil {
		return err
	}
	uses := func(names ...string) bool {
		return r.when != nil && r.when.Uses(names...) || r.decoder != nil && r.decoder.Uses(names...) ||
			slices.ContainsFunc(r.templates(), func(t *decode.Template) bool { return t.Uses(names...) })
	}
	r.readsBody, r.readsRequest, r.readsUser = uses("res", "item", "body"), uses("req"), uses("auth.user")
	r.headers = r.names("header")
	r.readsBody = r.readsBody || r.decoder != nil && r.decoder.PassesOn()
	for _, name := range r.names("path") {
		if !slices.ContainsFunc(p, func(s segment) bool { return s.name == name }) {
			return fmt.Errorf("{path.%s} is no variable of the path %s", name, path)
		}
	}
	i := slices.IndexFunc(rs.routes[method], func(other *route) bool { return other.pattern.same(p) })
	if i < 0 {
		// Of several paths that fit, the one with the fewest variables is meant.
		i, _ = slices.BinarySearchFunc(rs.routes[method], p.variables()+1, func(other *route, n int) int { return other.pattern.variables() - n })
		rs.routes[method] = slices.Insert(rs.routes[method], i, &route{method: method, path: path, pattern: p})
	}
	rt := rs.routes[method][i]
	if rt.path != path {
		return fmt.Errorf("the path is that of another rule, %s, with other variables; name them the same", rt.path)
	}
	rt.rules = append(rt.rules, r)
	rt.readsRequest = rt.readsRequest || r.readsRequest
	rt.requestKeys = append(rt.requestKeys, r.keys("req")...)
	return nil
}

// names are the names that the rule reads of a group.
func (r *rule) names(group string) (names []string) {
	if r.when != nil {
		names = r.when.Names(group)
	}
	for _, t := range r.templates() {
		names = append(names, t.Names(group)...)
	}
	if r.decoder != nil {
		names = append(names, r.decoder.Names(group)...)
	}
	return names
}

// keys are the first keys of the places that the rule reads in a document.
func (r *rule) keys(document string) (keys []string) {
	if r.when != nil {
		keys = r.when.Keys(document)
	}
	for _, t := range r.templates() {
		keys = append(keys, t.Keys(document)...)
	}
	if r.decoder != nil {
		keys = append(keys, r.decoder.Keys(document)...)
	}
	return keys
}

// templates are the rule's own, beside those of its decoder.
func (r *rule) templates() []*decode.Template {
	return slices.DeleteFunc([]*decode.Template{r.poke, r.user, r.channel}, func(t *decode.Template) bool { return t == nil })
}

// variables is how many there are.
func (p pattern) variables() (n int) {
	for _, s := range p {
		if s.name != "" {
			n++
		}
	}
	return n
}

// same tells whether two patterns are for the same paths.
func (p pattern) same(other pattern) bool {
	return slices.EqualFunc(p, other, func(a, b segment) bool {
		return a.before == b.before && a.after == b.after && (a.name == "") == (b.name == "")
	})
}

// Routes are the methods and paths that are looked at, for people.
func (rs *Rules) Routes() (all []string) {
	for _, method := range methods {
		for _, rt := range rs.routes[method] {
			for _, r := range rt.rules {
				all = append(all, r.name)
			}
		}
	}
	return all
}
