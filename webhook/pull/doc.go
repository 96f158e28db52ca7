// Package pull reads the app's own lists of messages, as a way in that needs nothing
// of the app: GET /room/1/recent.json?since_message_id=7 brings what was said since.
//
// A Source reads a channel when somebody begins to listen to it, when it is poked
// (another way in has seen that something is new, and cannot bring it), and every so
// often while somebody listens. Channels without listeners are left alone. Of each
// channel, the log keeps how far it was read (a mark), in the same transaction as the
// events; so nothing is skipped, whenever a process ends.
//
// An answer shows what the app had committed when it was asked. A message with a
// lower number may be committed later than one with a higher number, so a little of
// what was read is read again (Config.Overlap), and known by its key.
//
// The files: config.go and option.go what can be said; preset.go what is known of
// apps; question.go makes the requests; page.go takes answers apart; mark.go is how
// far a channel was read; read.go reads one channel once; schedule.go says when which
// channel has its turn; source.go ties them together, listeners.go is told who listens,
// run.go reads in turn, store.go publishes what was read. doorbell.go and its siblings
// listen to what an app tells in another way, and poke.
//
// The package knows HTTP and events. It must not know streams or Caddy: who asks the
// app is injected (Asker).
package pull
