package redis

import "strings"

// signal is what nodes send each other on the channel of the probes. Every
// signal, whichever of the nodes sent it and whatever it says, begins a new
// window for all that share the scope.
type signal struct {
	kind    string
	scope   string // only nodes that listen to the same for the same log
	session string // the subscription of the sender
	token   string // unique; it names the window
	answers string // of an answer: the token of the question
	gap     string // of an answer: the id of the last loss, if any
}

const (
	signalVersion = "sidestream1"
	// probeSignal must come back to its sender.
	probeSignal = "probe"
	// askSignal asks who has been listening all along.
	askSignal = "ask"
	// answerSignal says: I have, and everything that I heard before your
	// question is stored.
	answerSignal = "answer"
	// nothing stands for an empty part.
	nothing = "-"
)

func (s *signal) String() string {
	return strings.Join([]string{signalVersion, s.kind, s.scope, s.session, s.token, or(s.answers, nothing), or(s.gap, nothing)}, " ")
}

// parseSignal reads what String wrote. Whatever else comes in on the channel is
// not ours.
func parseSignal(text string) (signal, bool) {
	if len(text) > len(signalVersion)+len(answerSignal)+6*(tokenLen+1) {
		return signal{}, false
	}
	parts := strings.Split(text, " ")
	if len(parts) != 7 || parts[0] != signalVersion {
		return signal{}, false
	}
	s := signal{kind: parts[1], scope: parts[2], session: parts[3], token: parts[4]}
	for i, to := range []*string{&s.answers, &s.gap} {
		if part := parts[5+i]; part != nothing {
			if !isToken(part) {
				return signal{}, false
			}
			*to = part
		}
	}
	known := s.kind == probeSignal || s.kind == askSignal || s.kind == answerSignal
	return s, known && isToken(s.scope) && isToken(s.session) && isToken(s.token)
}
