package tambur

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/seed-078801ba/sidestream/stream/format"
)

// Where browsers let a page do nothing else, it includes a script that calls a
// function of its own. All answers but the WebSocket's are such scripts.

// call is what a script calls: a function, with a number that the client has for its
// connection as the first argument.
type call struct{ callback, instance string }

// callbackName is a name in a program, with dots. Anything else could be a program.
var callbackName = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]*(\.[A-Za-z_$][A-Za-z0-9_$]*)*$`)

const (
	maxCallback = 64
	maxInstance = 1<<31 - 1
)

// callOf reads the call that a request wants.
func callOf(q url.Values) (call, bool) {
	c := call{q.Get("callback"), q.Get("instance")}
	n, err := strconv.Atoi(c.instance)
	if c.instance == "" {
		n, err = 0, nil
	}
	c.instance = strconv.Itoa(n)
	return c, err == nil && n >= 0 && n <= maxInstance && len(c.callback) <= maxCallback && callbackName.MatchString(c.callback)
}

// append appends a call with an argument, which is JSON of printable ASCII.
func (c call) append(script, argument []byte) []byte {
	script = append(append(script, c.callback...), '(')
	script = append(append(script, c.instance...), ',')
	for _, b := range argument {
		if b == '<' { // nothing that looks like the end of a script element
			script = append(script, `\u003c`...)
		} else {
			script = append(script, b)
		}
	}
	return append(script, ");\n"...)
}

// text is append with text as the argument.
func (c call) text(script []byte, text string) []byte {
	return c.append(script, format.AppendText(nil, text))
}

// scriptHead is what each script begins with: the bytes cannot be taken for something
// else then (Rosetta Flash). Alone, it is a script that does nothing.
const scriptHead = "/**/"

// writeScript answers with a program.
func writeScript(w http.ResponseWriter, script []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("Content-Disposition", "attachment; filename=f.txt")
	h.Set("Content-Length", strconv.Itoa(len(scriptHead)+len(script)))
	w.WriteHeader(http.StatusOK)
	w.Write(append([]byte(scriptHead), script...))
}

// isHost tells whether text can be a host with a port, in an address that is told to
// clients.
func isHost(host string) bool {
	return host != "" && len(host) <= 260 && !strings.ContainsFunc(host, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._:[]", r)
	})
}
