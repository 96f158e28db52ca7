package decode

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-078801ba/sidestream/stream/event"
)

// Decoder turns payloads into events. It does not know how a payload came. It is
// safe for concurrent use.
type Decoder struct {
	words       *Vocabulary
	format      Format // empty: by Content-Type
	usualFormat Format
	each        *Template
	rules       [fieldCount][]rule
	drop        []*Condition
	revoke      []revokeRule
	poke        []pokeRule
	whole       event.Shape
	maxBody     int64
	maxBatch    int
	arrays      bool
	channels    Patterns
	cuts        []Path   // what clients must not get
	cutFields   []string // the same, of a form
	document    string   // the field of a form that holds the JSON
	idRequired  bool
	hashes      bool // an id or version may be a digest
	nowhere     bool // events have no channel: whoever publishes them finds it
}

type revokeRule struct {
	user, channel *Template
	when          *Condition
}

// NewDecoder compiles a configuration for what is delivered to a way in. Errors say
// what would be right.
func NewDecoder(cfg Config) (*Decoder, error) { return newDecoder(cfg, deliveries) }

// NewAnswerDecoder compiles a configuration for what an app answers to its clients.
// The rules read {res...}, the answer's JSON; {header.NAME}, the answer's headers;
// {path.NAME}; {req...}, the client's request as JSON; and {auth.user}.
func NewAnswerDecoder(cfg Config) (*Decoder, error) { return newDecoder(cfg, answers) }

func newDecoder(cfg Config, words *Vocabulary) (*Decoder, error) {
	p, err := findPreset(cfg.Preset)
	if err != nil {
		return nil, err
	}
	d := &Decoder{
		words: words, format: cfg.Format, usualFormat: p.usual, whole: p.whole, maxBody: cfg.MaxBody, maxBatch: cfg.MaxBatch, document: p.document,
	}
	if d.format == "" {
		d.format = p.format
	} else if !slices.Contains(formats, d.format) {
		return nil, fmt.Errorf("unknown format %q; the formats are json, form, cloudevents, msgpack and text", d.format)
	}
	if d.usualFormat == "" {
		d.usualFormat = JSON
	}
	switch {
	case d.maxBody < 0:
		return nil, fmt.Errorf("max_body is %d; it must be positive", d.maxBody)
	case d.maxBody == 0 && p.maxBody > 0:
		d.maxBody = p.maxBody
	case d.maxBody == 0:
		d.maxBody = DefaultMaxBody
	}
	switch {
	case d.maxBatch < 0:
		return nil, fmt.Errorf("max_batch is %d; it must be at least 1", d.maxBatch)
	case d.maxBatch == 0:
		d.maxBatch = DefaultMaxBatch
	}
	each := p.each
	if cfg.Each != "" {
		each = cfg.Each
	}
	if err := d.compileEach(each); err != nil {
		return nil, err
	}
	for _, r := range cfg.Poke {
		if err := d.compilePoke(r); err != nil {
			return nil, fmt.Errorf("poke: %w", err)
		}
	}
	if err := d.compileRules(cfg.Map, p); err != nil {
		return nil, err
	}
	if d.channels, err = ParsePatterns(cfg.Channels); err != nil {
		return nil, err
	}
	if err := d.compileDrop(&cfg, p); err != nil {
		return nil, err
	}
	for _, r := range slices.Concat(p.revoke, cfg.Revoke) {
		if err := d.compileRevoke(r); err != nil {
			return nil, fmt.Errorf("revoke: %w", err)
		}
	}
	d.arrays = d.readsElements()
	if d.passesOn() {
		for _, secret := range p.secrets {
			path, err := ParsePath(secret)
			if err != nil {
				return nil, err
			}
			d.cuts = append(d.cuts, path)
		}
	}
	return d, nil
}

// dropNone is the word that switches the preset's conditions off.
const dropNone = "none"

// compileDrop compiles the preset's conditions, unless the configuration switches
// them off, and the configuration's own.
func (d *Decoder) compileDrop(cfg *Config, p *preset) error {
	var conditions []string
	if !slices.Contains(cfg.Drop, dropNone) {
		conditions = slices.Clone(p.drop)
	}
	names := cfg.Events
	switch {
	case len(names) > 0 && p.eventName == "":
		return fmt.Errorf("events: only the messages of preset socketio have names; write drop {json.event} not in NAME NAME")
	case len(names) == 0 && !slices.Contains(cfg.Drop, dropNone):
		names = p.events
	}
	if len(names) > 0 {
		conditions = append(conditions, QuoteWords(append([]string{p.eventName, "not", "in"}, names...)))
	}
	for _, text := range append(conditions, cfg.Drop...) {
		if text == dropNone {
			continue
		}
		c, err := d.words.Condition(text)
		if err != nil {
			return fmt.Errorf("drop: %w", err)
		}
		d.drop = append(d.drop, c)
	}
	return nil
}

// readsElements tells whether a rule reads an element of a payload that is an
// array at the top: then it may be one.
func (d *Decoder) readsElements() bool {
	var templates []*Template
	for _, rules := range d.rules {
		for i := range rules {
			templates = append(templates, rules[i].value)
		}
	}
	for _, t := range templates {
		for _, p := range t.parts {
			if p.hole != nil && slices.ContainsFunc(p.hole.refs, func(r ref) bool {
				return r.document != "" && len(r.path) > 0 && (r.path[0].index >= 0 || r.path[0].key == every)
			}) {
				return true
			}
		}
	}
	return false
}

func (d *Decoder) compileEach(each string) error {
	if each == "" {
		return nil
	}
	t, err := d.words.Template(each)
	switch {
	case err != nil:
		return fmt.Errorf("each %w", err)
	case t.single() == nil, t.Uses("item"):
		return fmt.Errorf("each %q: write the place of the array in the payload, as in {%s.events}", each, d.words.Documents[0])
	}
	d.each = t
	return nil
}

// compileRules compiles the preset's rules and the configuration's own, which
// take the place of all of the preset's for the same field.
func (d *Decoder) compileRules(own []MapRule, p *preset) error {
	var given [fieldCount]bool
	for _, r := range own {
		f, err := parseField(r.Field)
		if err != nil {
			return err
		}
		given[f] = true
	}
	for i, r := range slices.Concat(own, p.rules) {
		f, err := parseField(r.Field)
		if err != nil {
			return err
		}
		if i >= len(own) && given[f] {
			continue
		}
		compiled, err := compileRule(d.words, f, r)
		if err != nil {
			return fmt.Errorf("map %s: %w", r.Field, err)
		}
		d.rules[f] = append(d.rules[f], compiled)
		d.hashes = d.hashes || compiled.hash
	}
	if d.onlyPokes() && len(d.poke) == 0 {
		if d.nowhere = d.words == answers && d.onlyChanges(); d.nowhere {
			return nil
		}
		return fmt.Errorf("nothing says which channel an event goes to; write for example: map channel {%s.room.id}", d.words.Documents[0])
	}
	d.idRequired = len(d.rules[fieldID]) > 0 && (!p.anonymous || given[fieldID])
	return nil
}

// onlyChanges tells whether every message edits or deletes an earlier one, which
// says where it belongs.
func (d *Decoder) onlyChanges() bool {
	return len(d.rules[fieldID]) > 0 && slices.ContainsFunc(d.rules[fieldOp], func(r rule) bool {
		op, constant := r.value.Constant()
		return constant && r.when == nil && op != event.Create.String()
	})
}

func parseField(name string) (field, error) {
	if i := slices.Index(fieldNames[:], name); i >= 0 {
		return field(i), nil
	}
	hint := ""
	if name == "room" || name == "flow" {
		hint = "; what you call a " + name + " is a channel here: map channel"
	}
	return 0, fmt.Errorf("map: unknown field %q%s; the fields are %s", name, hint, strings.Join(fieldNames[:], ", "))
}

func compileRule(words *Vocabulary, f field, r MapRule) (rule, error) {
	out := rule{text: r.Value}
	var err error
	if r.When != "" {
		out.text += " when " + r.When
		if out.when, err = words.Condition(r.When); err != nil {
			return out, err
		}
	}
	if out.value, err = words.Template(r.Value); err != nil {
		return out, err
	}
	if f != fieldBody && f != fieldUserName && f != fieldData && strings.HasPrefix(r.Value, "${") {
		return out, fmt.Errorf("%q: a place is written without the $: %s", r.Value, r.Value[1:])
	}
	if out.object, err = out.value.object(); err != nil {
		return out, err
	}
	constant, fixed := out.value.Constant()
	first, behind, _ := strings.Cut(r.Value, " ")
	_, op := event.ParseOp(first)
	switch {
	case r.Value == "":
		return out, fmt.Errorf("the value is missing, as in {json.%s}", r.Field)
	case f == fieldOp && op && behind != "":
		return out, fmt.Errorf("%q is no op; a condition stands behind the word when, as in map op %s when {json.event} == message_changed", r.Value, first)
	case f == fieldData:
		h := out.value.single()
		if h == nil {
			return out, fmt.Errorf("%q: data is JSON that clients get as it is; write one place in the payload, as in {json.message}", r.Value)
		}
		for _, filter := range h.filters {
			if filter.name != "json" {
				return out, fmt.Errorf("%q: the filter %s makes a text, and data must be JSON", r.Value, filter.name)
			}
		}
	case !fixed:
	case words.literally(constant) != nil:
		return out, words.literally(constant)
	case (f == fieldID || f == fieldVersion) && constant == hashWord:
		out.hash = true
	case f == fieldID:
		return out, fmt.Errorf("%q would be the id of every message; write a place in the payload, as in {json.id}, or the word hash", r.Value)
	case f == fieldTime:
		return out, fmt.Errorf("%q would be the time of every message; write a place in the payload, as in {json.created_at}", r.Value)
	case f == fieldType && !slices.Contains(types, constant):
		return out, fmt.Errorf("unknown type %q; the types are %s", constant, strings.Join(types, ", "))
	case f == fieldOp:
		if _, ok := event.ParseOp(constant); !ok {
			return out, fmt.Errorf("unknown op %q; the ops are create, edit and delete", constant)
		}
	case (f == fieldChannel || f == fieldAlso) && !event.ValidChannel(constant):
		return out, fmt.Errorf("%q cannot be a channel: %w", constant, event.CheckChannel(constant))
	}
	return out, nil
}

func (d *Decoder) compileRevoke(r RevokeRule) (err error) {
	var out revokeRule
	if out.user, err = d.words.Template(r.User); err != nil {
		return err
	}
	if user, fixed := out.user.Constant(); fixed {
		if err := d.words.literally(user); err != nil {
			return err
		}
		return fmt.Errorf("%q is no user of the payload; write for example {json.user.id}", r.User)
	}
	if r.Channel != "" {
		if out.channel, err = d.words.Template(r.Channel); err != nil {
			return err
		}
		if err := d.words.literally(r.Channel); err != nil {
			return err
		}
	}
	if r.When != "" {
		if out.when, err = d.words.Condition(r.When); err != nil {
			return err
		}
	}
	d.revoke = append(d.revoke, out)
	return nil
}

// Uses tells whether a rule of any kind reads one of these documents, groups or
// variables.
func (d *Decoder) Uses(names ...string) bool {
	uses := func(t *Template, when *Condition) bool {
		return t != nil && t.Uses(names...) || when != nil && when.Uses(names...)
	}
	for _, rules := range d.rules {
		if slices.ContainsFunc(rules, func(r rule) bool { return uses(r.value, r.when) }) {
			return true
		}
	}
	return uses(d.each, nil) || slices.ContainsFunc(d.drop, func(c *Condition) bool { return uses(nil, c) }) ||
		slices.ContainsFunc(d.revoke, func(r revokeRule) bool { return uses(r.user, r.when) || uses(r.channel, nil) })
}

// FindsNoChannel tells whether its events have no channel, because they edit or delete
// messages that are known by their id.
func (d *Decoder) FindsNoChannel() bool { return d.nowhere }

// Names are the names that rules read of a group.
func (d *Decoder) Names(group string) (names []string) {
	d.eachText(func(t *Template) { names = append(names, t.Names(group)...) }, func(c *Condition) { names = append(names, c.Names(group)...) })
	return names
}

// Keys are the first keys of the places that rules read in a document.
func (d *Decoder) Keys(document string) (keys []string) {
	d.eachText(func(t *Template) { keys = append(keys, t.Keys(document)...) }, func(c *Condition) { keys = append(keys, c.Keys(document)...) })
	return keys
}

// eachText calls functions for everything that reads values.
func (d *Decoder) eachText(template func(*Template), condition func(*Condition)) {
	note := func(t *Template, when *Condition) {
		if t != nil {
			template(t)
		}
		if when != nil {
			condition(when)
		}
	}
	for _, rules := range d.rules {
		for _, r := range rules {
			note(r.value, r.when)
		}
	}
	note(d.each, nil)
	for _, c := range d.drop {
		note(nil, c)
	}
	for _, r := range d.revoke {
		note(r.user, r.when)
		note(r.channel, nil)
	}
}

// PassesOn tells whether JSON of the payload reaches clients as it is.
func (d *Decoder) PassesOn() bool { return d.passesOn() }

// MaxBody is the size of the largest body, in bytes. The caller enforces it.
func (d *Decoder) MaxBody() int64 { return d.maxBody }

// Cost is about what Peek and Read take for a body of n bytes beside the body
// itself, in bytes.
func (d *Decoder) Cost(n int64) int64 {
	switch d.format {
	case Msgpack:
		return 7 * n // one byte becomes six, as in \u0000
	case CloudEvents:
		return 2 * n
	}
	return n
}

// Decode reads a payload and maps it. It counts the messages that cannot be mapped.
// If the payload cannot be read, it returns an *Error and no events. The events
// share no memory with the input.
func (d *Decoder) Decode(in Input) (Decoded, error) {
	s := NewPayload(in)
	defer s.Release()
	if err := d.Read(s); err != nil {
		return Decoded{}, err
	}
	return d.Map(s)
}

// errNoItems is the error of a payload that has nothing where each looks.
var errNoItems = &Error{Unfit, "no items where each looks for them"}

// Each reads a payload and maps it item by item: f is given each item, as a source of
// values that is valid during the call, and what became of it.
func (d *Decoder) Each(s *Payload, f func(item Source, out Decoded) error) error {
	if err := d.Read(s); err != nil {
		return err
	}
	if err := d.split(s); err != nil {
		return err
	}
	var outer Decoded
	if d.each != nil && !s.whole && !s.list && len(s.bounds) == 0 && !strings.Contains(d.each.String(), every) {
		return errNoItems
	}
	return d.eachItem(s, &outer, func(index int) error {
		var out Decoded
		if err := d.mapItem(s, &out, index); err != nil {
			return err
		}
		return f(s, out)
	})
}

// IsList tells whether the payload that Each has read is a list where each looks, and not
// a single item.
func (s *Payload) IsList() bool { return s.list }

// Map maps a payload whose body was read.
func (d *Decoder) Map(s *Payload) (Decoded, error) {
	var out Decoded
	if err := d.split(s); err != nil {
		return Decoded{}, err
	}
	if err := d.mapItems(s, &out); err != nil {
		return Decoded{}, err
	}
	return out, nil
}
