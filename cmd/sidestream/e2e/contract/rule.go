package contract

import (
	"fmt"
	"slices"
	"strings"
)

// Rule is a promise that can be broken.
type Rule string

// The rules that Check knows.
const (
	OnePosition  Rule = "a position is the place of one event"
	OneEvent     Rule = "an event has one position"
	Once         Rule = "a client gets an event once"
	Order        Rule = "all clients see one order"
	RealTime     Rule = "what was acknowledged before another was sent stands before it"
	Epoch        Rule = "the epoch changes only with a signal"
	Hole         Rule = "nothing is missing without a signal"
	FalseGap     Rule = "a gap is signalled only where something is missing"
	Resumption   Rule = "a client that comes back goes on behind its cursor, or is told"
	Phantom      Rule = "a client sees what was published to its channels, as it was published"
	AckedIsKept  Rule = "what was acknowledged is never lost"
	SeenIsKept   Rule = "what a client saw is never lost"
	ReachesHead  Rule = "everyone has everything when nobody publishes any more"
	WholeMessage Rule = "no message is torn"
)

// Violation is a broken rule.
type Violation struct {
	Rule   Rule
	Detail string
}

func (v Violation) String() string { return string(v.Rule) + ": " + v.Detail }

// perRule bounds how many violations of one rule are reported: one fault often
// shows in hundreds of places.
const perRule = 5

// findings are the violations so far.
type findings struct {
	list   []Violation
	counts map[Rule]int
}

func (f *findings) add(rule Rule, format string, args ...any) {
	if f.counts == nil {
		f.counts = map[Rule]int{}
	}
	if f.counts[rule]++; f.counts[rule] <= perRule {
		f.list = append(f.list, Violation{rule, fmt.Sprintf(format, args...)})
	}
}

// all are the violations, with a line for each rule that was broken more often
// than is shown.
func (f *findings) all() []Violation {
	list := slices.Clone(f.list)
	for rule, n := range f.counts {
		if n > perRule {
			list = append(list, Violation{rule, fmt.Sprintf("and %d more", n-perRule)})
		}
	}
	slices.SortStableFunc(list, func(a, b Violation) int { return strings.Compare(string(a.Rule), string(b.Rule)) })
	return list
}
