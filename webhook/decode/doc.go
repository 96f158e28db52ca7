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
// The package knows payloads and events. It knows neither how a payload came, nor
// who may send one, nor what a sender is answered, nor where events go.
package decode
