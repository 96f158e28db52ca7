package endpoint

// Trace is what became of one request for a stream. The code that decides leaves
// it, so that it cannot say something else than what was done. It holds no
// secret of the client. A nil Trace notes nothing.
type Trace struct {
	// Endpoint has claimed the request.
	Endpoint string
	// Ask is what it asks for, its channels in their canonical form.
	Ask Ask
	// Credential says in words what the client proves itself with.
	Credential string
	// Refusal is why no stream was opened; nil if one was.
	Refusal *Refusal
	// Listens are the channels of the stream.
	Listens []string
	// User is whose stream it is, if the backend has said so.
	User string
	// Opened: the client gets a stream.
	Opened bool
	// Session: the request is one of a session's, or of those who publish to sessions. It
	// was not served.
	Session bool
	// Shown says in words where the client's user is shown to be there, and what the
	// client is told of others.
	Shown []string
}

func (t *Trace) claimed(endpoint string) {
	if t != nil {
		t.Endpoint = endpoint
	}
}

// session notes that the request is not served; false if nothing is traced.
func (t *Trace) session() bool {
	if t != nil {
		t.Session = true
	}
	return t != nil
}

func (t *Trace) asked(a *Ask) {
	if t != nil {
		t.Ask = *a
	}
}

func (t *Trace) presented(credential string) {
	if t != nil {
		t.Credential = credential
	}
}

func (t *Trace) refused(re *Refusal) {
	if t != nil {
		t.Refusal = re
	}
}

func (t *Trace) opened(ad *admission) {
	if t != nil {
		t.Opened, t.Listens, t.User = true, ad.channels, ad.user
	}
}

// attends notes what the client has to do with presence.
func (t *Trace) attends(there *attendance, p *Presence) {
	switch {
	case t == nil || p == nil:
		return
	case there == nil:
		t.Shown = []string{"nobody is shown to be there, and the client is not told who is"}
		return
	}
	for _, place := range there.places {
		shown := "nobody is shown to be there"
		if place.user != "" {
			shown = "the user " + place.user + " is shown to be there, " + there.state.String()
		}
		if there.teller != nil {
			shown += "; the client is told who is"
		}
		t.Shown = append(t.Shown, place.channel+": "+shown)
	}
}
