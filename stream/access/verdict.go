package access

import "time"

// Outcome is what the backend says to a question.
type Outcome uint8

const (
	// Unknown is no answer: the backend could not be asked, or what it said
	// cannot be read. It is the zero value, so that what is forgotten fails
	// closed.
	Unknown Outcome = iota
	// Allowed lets the credential listen to the channel.
	Allowed
	// Denied does not.
	Denied
)

var outcomeNames = [...]string{Unknown: "unknown", Allowed: "allowed", Denied: "denied"}

func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return "invalid"
}

// Cause says why an outcome is not Allowed, and why a stream was ended.
type Cause uint8

const (
	// NoCause belongs to Allowed.
	NoCause Cause = iota
	// BadCredential: the backend does not know the credential, or wants one.
	// Answered with 401.
	BadCredential
	// Forbidden: the credential is good, the channel is not for it. 403.
	Forbidden
	// NotFound: there is no such channel, for this credential at least. 404.
	NotFound
	// IdentityChanged: asked again, the backend named another user than the
	// one that the stream was opened for. 403.
	IdentityChanged
	// Unavailable: the backend gave no answer in time, or one that says
	// nothing. 503.
	Unavailable
	// Unreachable: there was no connection to the backend, or it broke before
	// any answer. 503.
	Unreachable
	// Limited: the backend asks us to come back later. 503.
	Limited
	// Overloaded: too many questions wait for the backend already. 503.
	Overloaded
	// Blocked: too many bad credentials came from the client's address, and
	// nothing good is known of this one: the backend is not asked. 429.
	Blocked
	// GraceOver: the backend has not answered for so long that a running
	// stream can no longer be believed to be allowed.
	GraceOver
)

var causeNames = [...]string{
	NoCause: "none", BadCredential: "bad-credential", Forbidden: "forbidden", NotFound: "not-found",
	IdentityChanged: "identity-changed", Unavailable: "unavailable", Unreachable: "unreachable", Limited: "limited",
	Overloaded: "overloaded", Blocked: "blocked", GraceOver: "grace-over",
}

// String is the cause's name in logs and metrics.
func (c Cause) String() string {
	if int(c) < len(causeNames) {
		return causeNames[c]
	}
	return "invalid"
}

// Verdict is the answer to a question.
type Verdict struct {
	Outcome Outcome
	// Cause says why the outcome is not Allowed.
	Cause Cause
	// User is the backend's id of whom the credential belongs to; empty if it
	// did not say.
	User string
	// RetryAfter is how long to wait before asking again, if the outcome is
	// Unknown and somebody said so.
	RetryAfter time.Duration
	// MaxAge shortens how long the verdict is remembered; it never lengthens
	// it. 0 is not said, negative is not at all.
	MaxAge time.Duration
	// Unasked says that the Asker has decided by itself. What it refuses so is
	// nobody's guess.
	Unasked bool
	// Channels answers a question with List: all that the credential may
	// listen to. Only an Asker sets it.
	Channels []string

	asked stamp // when the question was put
}

// stamp orders what happened in a Gate. Order is by tick; the time says how old
// an answer is.
type stamp struct {
	tick uint64
	at   time.Time
}

// unknown is a verdict of the gate's own.
func unknown(c Cause) Verdict {
	return Verdict{Outcome: Unknown, Cause: c, RetryAfter: time.Second}
}

// tidy makes an asker's verdict consistent.
func (v Verdict) tidy() Verdict {
	switch v.Outcome {
	case Allowed:
		v.Cause = NoCause
	case Denied:
		if v.Cause != BadCredential && v.Cause != NotFound {
			v.Cause = Forbidden
		}
		v.Channels = nil
	default:
		if v.Cause != Limited && v.Cause != Unreachable {
			v.Cause = Unavailable
		}
		v = Verdict{Outcome: Unknown, Cause: v.Cause, RetryAfter: v.RetryAfter}
	}
	return v
}
