package bayeux

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/seed-078801ba/sidestream/caddymodule/endpoint"
	"github.com/seed-078801ba/sidestream/caddymodule/endpoint/signed"
	"github.com/seed-078801ba/sidestream/stream/event"
)

// Signed says how clients know objects of the app by signed names.
type Signed struct {
	// Secrets sign the names: the first one makes them, the others are known, too,
	// while clients still hold names that they made. At least 16 bytes each.
	Secrets []string `json:"secrets,omitempty"`
	// Objects are the kinds of objects, and for each the request that tells who may
	// see one, as in `GET /api/live/{id}`. It is asked before a client is told a
	// signed name. Empty where the app knows the names from elsewhere.
	Objects map[string]string `json:"objects,omitempty"`
	// Realtime is where a client is told the name of an object that it may see:
	// GET <path>/<kind>/<id> answers with realtime_url and realtime_channel. Default:
	// nowhere.
	Realtime string `json:"realtime,omitempty"`
	// RealtimeURL is the address that is told there. Default: the first path of the
	// endpoint, at the host of the request.
	RealtimeURL string `json:"realtime_url,omitempty"`
	// Announce are pages of the app about one object, by its kind, to whose JSON
	// realtime_url and realtime_channel are added, as `/api/live/{id}.json` or
	// `/api/live?id={id}`. The app's 200 is its word that the client may see the
	// object. At most 256 KiB, and only answers that say how long they are.
	Announce map[string]string `json:"announce,omitempty"`
}

// signedOptions are the lines of a Caddyfile that set Signed.
var signedOptions = []string{"announce", "object", "realtime", "signed"}

var objectKind = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

func (s *Signed) option(name string, args []string) error {
	switch name {
	case "signed":
		if len(args) == 0 {
			return errors.New("the secret is missing; write for example: signed {env.REALTIME_SECRET}, and behind it one that it replaces")
		}
		s.Secrets = append(s.Secrets, args...)
	case "announce":
		if len(args) != 2 {
			return errors.New("it needs a kind of objects and a page of the app about one, as in: announce live /api/live/{id}.json")
		}
		if _, twice := s.Announce[args[0]]; twice {
			return fmt.Errorf("the kind %s is given twice", args[0])
		}
		if s.Announce == nil {
			s.Announce = map[string]string{}
		}
		s.Announce[args[0]] = args[1]
	case "object":
		return s.addObject(args)
	case "realtime":
		if len(args) == 0 || len(args) > 2 {
			return errors.New("it needs a path, and perhaps the address of this endpoint, as in: realtime /realtime //chat.example.com/faye")
		}
		s.Realtime = args[0]
		if len(args) == 2 {
			s.RealtimeURL = args[1]
		}
	}
	return nil
}

func (s *Signed) addObject(args []string) error {
	if len(args) == 0 || len(args) > 3 || len(args) == 2 {
		return errors.New("it needs a kind, and perhaps what is requested of the app to see who may see one, as in: object live GET /api/live/{id}")
	}
	if _, twice := s.Objects[args[0]]; twice {
		return fmt.Errorf("the kind %s is given twice", args[0])
	}
	if s.Objects == nil {
		s.Objects = map[string]string{}
	}
	s.Objects[args[0]] = strings.Join(args[1:], " ")
	return nil
}

// check looks for what can only be seen when all is there.
func (s *Signed) check() error {
	if len(s.Secrets) == 0 {
		if len(s.Announce) > 0 || len(s.Objects) > 0 || s.Realtime != "" {
			return errors.New("bayeux: announce, object and realtime need a secret; write for example: signed {env.REALTIME_SECRET}")
		}
		return nil
	}
	for _, kind := range slices.Sorted(maps.Keys(s.Objects)) {
		if !objectKind.MatchString(kind) {
			return fmt.Errorf("bayeux: object %q: a kind is a word of up to 32 letters, digits, - and _", kind)
		}
		switch method, uri, _ := strings.Cut(s.Objects[kind], " "); {
		case s.Objects[kind] == "":
		case method != "GET":
			return fmt.Errorf("bayeux: object %s: the app is asked with GET, as in: object %s GET /api/%s/{id}", kind, kind, kind)
		case !strings.Contains(uri, "{id"):
			return fmt.Errorf("bayeux: object %s: the request does not name the object, so one yes would open them all; put {id} into it, as in GET /api/%s/{id}", kind, kind)
		}
	}
	for kind, page := range s.Announce {
		_, known := s.Objects[kind]
		path, query, inQuery := strings.Cut(page, "?")
		switch {
		case !known:
			return fmt.Errorf("bayeux: announce %s: there is no such kind; write for example: object %s", kind, kind)
		case !strings.HasPrefix(path, "/"), strings.Count(page, "{id}") != 1, inQuery && (!strings.HasSuffix(query, "={id}") || strings.Contains(query, "&")):
			return fmt.Errorf("bayeux: announce %s: %q is no page about one object; write for example /api/%s/{id}.json or /api/%s?id={id}", kind, page, kind, kind)
		}
	}
	if s.Realtime != "" {
		if err := endpoint.CheckPath("bayeux: realtime", s.Realtime); err != nil {
			return err
		}
		if !slices.ContainsFunc(slices.Collect(maps.Values(s.Objects)), func(request string) bool { return request != "" }) {
			return errors.New("bayeux: realtime tells names of objects to who may see them; say who may, as in: object live GET /api/live/{id}")
		}
	}
	return nil
}

// SignedBy implements endpoint.Signer.
func (b *Bayeux) SignedBy() []string { return b.Secrets }

// Announces implements endpoint.Signer.
func (b *Bayeux) Announces() (pages map[string]string, url, path string) {
	path = defaultPath
	if len(b.Paths) > 0 {
		path = strings.TrimSuffix(b.Paths[0], "/")
	}
	return b.Announce, b.RealtimeURL, path
}

// Objects implements endpoint.Signer. The request's {id} is what auth calls a channel.
func (b *Bayeux) Objects() map[string]string {
	requests := map[string]string{}
	for kind, request := range b.Signed.Objects {
		_, uri, _ := strings.Cut(request, " ")
		requests[kind] = strings.NewReplacer("{id}", "{channel}", "{id|", "{channel|").Replace(uri)
	}
	return requests
}

// signedNames knows channels of objects by /<root>/<name>. To know the root is the
// right.
type signedNames struct{ roots *signed.Roots }

// Resolve implements Resolver.
func (n signedNames) Resolve(name string, pattern bool) (t Target, known bool, err *Error) {
	root, rest, _ := strings.Cut(name[1:], "/")
	if !isRoot(root) {
		return t, false, nil
	}
	object, ok := n.roots.Open(root)
	if !ok || rest == "" {
		return t, true, errForbidden(name)
	}
	t = Target{Channel: object.Channel(rest), Pattern: pattern}
	if !pattern && event.CheckObjectChannel(t.Channel) != nil {
		return t, true, errForbidden(name)
	}
	return t, true, nil
}

// isRoot tells whether text looks like a root.
func isRoot(text string) bool {
	return len(text) == signed.RootLen && strings.Trim(text, "0123456789abcdef") == ""
}

// EndObjects ends the subscriptions to signed names of objects that are no longer
// valid, in all sessions that are kept.
func EndObjects(kept *endpoint.Lasting, objects []event.Object) {
	registry := keptSessions(kept)
	registry.mu.Lock()
	sessions := slices.Collect(maps.Values(registry.sessions))
	registry.mu.Unlock()
	for _, s := range sessions {
		s.endChannels(func(sub *subscription) bool {
			return sub.Right == "" && slices.ContainsFunc(objects, func(o event.Object) bool { return strings.HasPrefix(sub.Channel, o.Channel("")) })
		})
	}
}
