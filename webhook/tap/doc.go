// Package tap is the way in for what passes by: a client posts a message to the app
// through the same site, and the app's own answer says what was created. Nothing has
// to be set up in the app.
//
// Rules says which answers are looked at. While an answer that one of them is for
// goes to the client, an Answer keeps a copy; when the answer has ended, a Tap
// decodes the copy and publishes it, in the background. The client's answer is not
// touched, and waits for nothing here.
//
// # What is believed
//
// Clients are not trusted, so a rule is narrow: a method, an exact path, the listed
// statuses, JSON. What only looks like an answer about a message is none: a part of
// an answer (206), one that was not made for this request (304, Age), one that is a
// download, an answer to a method that the client asked the app to read as another
// one, a path in which a variable could be read as several segments.
//
// # What may be missing
//
// A message that the app has taken and that cannot be read here, because its answer
// is too large, was broken off, is in an unknown coding or has no place in memory,
// is told: whoever reads the app is poked, and where nobody does, the channel's
// listeners are told event.IngestUncertain. So it is after a process was killed
// between an answer and its commit; see Tap.Begin.
//
// It knows HTTP and the language of package decode. It must not know streams,
// connections or Caddy.
package tap
