// Package decode turns the bytes of a payload into events: it reads the formats
// that apps write (JSON, forms, CloudEvents, MessagePack, text), and maps what is
// in them by rules or by a preset. Every way in uses it: webhooks and Redis.
//
// A Decoder is compiled from a Config. A Payload goes through Read (format.go)
// and Map (mapping.go); Decode does both at once, Explain tells how Map decides.
//
// # The language
//
// A Template is text with holes: {name}, or {name.path} for a part of a document.
// Alternatives stand behind ??, and the next one counts where a value is missing
// or null; filters stand behind | and apply to whichever alternative counted. A
// path has dots and numbers (a.b.0.c), where * is every element, or is a JSON
// Pointer for keys with dots in them: {json:/a~1b/x.y}. An object that has a key
// of a path twice is refused.
//
//	json, json:PATH   JSON inside of a text     base64url    decoded
//	last:TEXT         behind the last TEXT      re:PATTERN   first group (RE2)
//	split:TEXT        several values            html_text    text of HTML
//	lower, trim       as they say               prefix:TEXT  TEXT before it
//	object:KIND       the object with this id
//	number            a whole number, as JSON has it, of its digits
//
// A Condition compares values as text: ==, !=, in, contains, exists, matches,
// each but the first two also with not before it, joined by and.
//
// Which names there are is said by a Vocabulary, and their values come from a
// Source, so that other parts of a configuration speak the same language: what
// is asked of a backend, and what its answer must say. The names of a delivery:
//
//	json    the payload            item   the element of each, or the payload
//	form    a field of a form      query  a parameter of the URL
//	header  a header               path   a parameter of the route
//	body    the raw payload        match  a capture of the Redis channel
//	redis   channel, id, field.NAME
//
// Numbers are never calculated with: what the backend wrote is what clients get,
// to the last digit.
//
// # Why it checks JSON itself
//
// A payload is checked before fastjson reads it, which is lenient (json.go).
// encoding/json's Valid takes ten times as long (2.7 us where this takes 0.25 us
// for a message of Mattermost's) and takes invalid UTF-8. The jsontext package of
// encoding/json/v2 is as strict and nearly as fast (0.33 us), but has no bound on
// the number of values, which is what memory depends on, and cannot tell text that
// was cut inside an emoji from text that is no UTF-8; its reader of tokens, which
// could count, takes 2.9 us and allocates. None of them finds a value without
// building a tree or a token for each (scan.go).
//
// The package knows payloads and events. It knows neither how a payload came, nor
// who may send one, nor what a sender is answered, nor where events go.
package decode
