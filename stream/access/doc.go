// Package access keeps the backend's verdicts on who may listen to what. It
// remembers them for a short time, asks one question once however many clients
// wait for the answer, and asks again while streams run. How a question is put
// to the backend is injected: this package knows nothing of HTTP, of channels'
// contents or of connections.
//
// Three outcomes, never two: allowed, denied, unknown. What is unknown is
// unknown for that question (this credential, this channel) and for nobody
// else: new streams are refused, running ones go on for a while.
//
// # How the backend's attention is shared
//
// A Gate has a bounded number of questions with the backend at a time. They are
// two lanes with slots of their own, one for new streams and one for re-checks,
// so that neither can starve the other. In each lane addresses take turns, and
// within an address its clients do. While others wait, a question that has been
// with the backend for much longer than answers usually take is given up; the
// oldest ones of each lane are left alone, so that a backend that has become
// slow is still believed. An answer is an answer, whatever its status. Only
// when the backend cannot be reached at all, for many questions in a row, are
// questions put at a slower pace, until one is answered.
//
// # What is written here and not taken from a library
//
// The cache of verdicts weighs its entries (a list of 1,000 channels counts for
// many), keeps denials and single clients from pushing out what good clients need,
// and puts the later question before the later answer, all under the gate's own
// lock. The
// common caches do none of this and bring a lock, and some a goroutine, of
// their own. The limit of bad credentials counts distinct ones, which no token
// bucket does: a client that repeats one bad token must not be blocked.
package access
