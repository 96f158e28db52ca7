package chatbackend

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
)

// maxRequest bounds the body of a request, in bytes.
const maxRequest = 64 << 10

// routes are the REST API and the web page. Campfire's clients add .json,
// .xml or nothing to the paths of calls without an answer, and .json or
// nothing to the others.
func (b *Backend) routes() http.Handler {
	mux := http.NewServeMux()
	for _, ext := range []string{"", ".json"} {
		mux.HandleFunc("GET /users/me"+ext, b.signedIn(b.me))
		mux.HandleFunc("GET /rooms"+ext, b.signedIn(b.rooms))
		mux.HandleFunc("GET /presence"+ext, b.signedIn(b.rooms))
		mux.HandleFunc("GET /room/{room}/recent"+ext, b.inRoom(b.recent))
		mux.HandleFunc("POST /room/{room}/speak"+ext, b.inRoom(b.speak))
	}
	for _, ext := range []string{"", ".json", ".xml"} {
		mux.HandleFunc("POST /room/{room}/join"+ext, b.inRoom(b.move(b.chat.join)))
		mux.HandleFunc("POST /room/{room}/leave"+ext, b.inRoom(b.move(b.chat.leave)))
	}
	mux.HandleFunc("GET /users/{user}", b.signedIn(b.user))
	mux.HandleFunc("GET /room/{room}", b.inRoom(b.room))

	mux.HandleFunc("GET /login", b.people)
	mux.HandleFunc("POST /login", b.login)
	mux.HandleFunc("POST /logout", b.logout)
	mountPage(mux)

	// Browsers send the session's cookie by themselves. A page of another site must
	// not be able to post messages with it.
	return http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		mux.ServeHTTP(w, r)
	}))
}

type userHandler func(w http.ResponseWriter, r *http.Request, u User)

// tokenOf is the request's API token: the user of Basic authentication (with
// any password), or what follows Bearer.
func tokenOf(r *http.Request) (token string, ok bool) {
	if token, _, ok = r.BasicAuth(); ok {
		return token, true
	}
	return strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
}

// signedIn finds out who asks: by the API token, or by the page's cookie.
func (b *Backend) signedIn(next userHandler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private, no-store")
		if token, ok := tokenOf(r); ok {
			if u, ok := b.chat.userByToken(token); ok {
				next(w, r, u)
				return
			}
		} else if id, ok := b.sessions.user(r); ok {
			if u, ok := b.chat.userByID(id); ok {
				next(w, r, u)
				return
			}
		}
		// No challenge for pages: browsers would open a dialog.
		if _, err := r.Cookie(SessionCookie); err != nil && r.Header.Get("Sec-Fetch-Mode") == "" {
			w.Header().Set("WWW-Authenticate", `Basic realm="Application"`)
		}
		http.Error(w, "HTTP Basic: Access denied.", http.StatusUnauthorized)
	}
}

type roomHandler func(w http.ResponseWriter, r *http.Request, u User, room Room)

// inRoom lets members of the room of the path pass.
func (b *Backend) inRoom(next roomHandler) http.HandlerFunc {
	return b.signedIn(func(w http.ResponseWriter, r *http.Request, u User) {
		id, ok := pathID(r.PathValue("room"))
		if !ok {
			http.NotFound(w, r)
			return
		}
		room, err := b.chat.enter(id, u.ID)
		if err != nil {
			fail(w, err)
			return
		}
		next(w, r, u, room)
	})
}

// pathID reads an id in a path, with or without .json behind it.
func pathID(s string) (int64, bool) {
	s = strings.TrimSuffix(s, ".json")
	id, err := strconv.ParseInt(s, 10, 64)
	return id, err == nil && strconv.FormatInt(id, 10) == s
}

func fail(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, errNoRoom):
		status = http.StatusNotFound
	case errors.Is(err, errNotMember):
		status = http.StatusForbidden
	case errors.Is(err, errBody):
		status = http.StatusUnprocessableEntity
	}
	http.Error(w, err.Error(), status)
}

type object map[string]any

func answer(w http.ResponseWriter, status int, what object) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	// An error here is a client that has gone.
	_ = json.NewEncoder(w).Encode(what)
}

func describeUser(u User) object {
	return object{
		"id": u.ID, "name": u.Name, "admin": u.Admin, "type": "Member",
		"email_address": strings.ToLower(u.Name) + "@example.com", "created_at": "2012/02/15 12:00:00 +0000",
	}
}

func describeRoom(r Room) object {
	return object{
		"id": r.ID, "name": r.Name, "topic": r.Topic, "membership_limit": 60, "locked": false,
		"created_at": "2012/02/15 12:00:00 +0000", "updated_at": "2012/02/15 12:00:00 +0000",
	}
}

// me answers who the client is. People look up their token there.
func (b *Backend) me(w http.ResponseWriter, r *http.Request, u User) {
	self := describeUser(u)
	self["api_auth_token"] = u.Token
	answer(w, http.StatusOK, object{"user": self})
}

func (b *Backend) user(w http.ResponseWriter, r *http.Request, _ User) {
	id, ok := pathID(r.PathValue("user"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	u, ok := b.chat.userByID(id)
	if !ok {
		http.NotFound(w, r)
		return
	}
	answer(w, http.StatusOK, object{"user": describeUser(u)})
}

func (b *Backend) rooms(w http.ResponseWriter, r *http.Request, u User) {
	list := []object{}
	for _, room := range b.chat.roomsOf(u.ID) {
		list = append(list, describeRoom(room))
	}
	answer(w, http.StatusOK, object{"rooms": list})
}

func (b *Backend) room(w http.ResponseWriter, r *http.Request, _ User, room Room) {
	about := describeRoom(room)
	members := []object{}
	for _, id := range room.Members {
		if u, ok := b.chat.userByID(id); ok {
			members = append(members, describeUser(u))
		}
	}
	about["users"], about["full"], about["open_to_guests"] = members, false, false
	answer(w, http.StatusOK, object{"room": about})
}

// recent lists up to 100 messages. Some clients send empty parameters.
func (b *Backend) recent(w http.ResponseWriter, r *http.Request, _ User, room Room) {
	limit, err := strconv.Atoi(r.FormValue("limit"))
	if err != nil || limit < 1 || limit > 100 {
		limit = 100
	}
	since, err := strconv.ParseInt(r.FormValue("since_message_id"), 10, 64)
	if err != nil {
		since = 0
	}
	answer(w, http.StatusOK, object{"messages": b.chat.recent(room.ID, limit, since)})
}

func (b *Backend) speak(w http.ResponseWriter, r *http.Request, u User, room Room) {
	var said struct {
		Message struct{ Body, Type string }
	}
	if err := json.NewDecoder(r.Body).Decode(&said); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			http.Error(w, "the message is too large", http.StatusRequestEntityTooLarge)
			return
		}
		http.Error(w, `want {"message":{"body":"..."}}`, http.StatusBadRequest)
		return
	}
	m, err := b.chat.speak(room.ID, u.ID, said.Message.Type, said.Message.Body)
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Location", "/room/"+strconv.FormatInt(room.ID, 10))
	answer(w, http.StatusCreated, object{"message": m})
}

// move joins or leaves. Campfire's answer to such calls was one space.
func (b *Backend) move(do func(room, user int64) error) roomHandler {
	return func(w http.ResponseWriter, r *http.Request, u User, room Room) {
		if err := do(room.ID, u.ID); err != nil {
			fail(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = w.Write([]byte(" ")) // an error here is a client that has gone
	}
}

// people lists the users to sign in as. This is a demo: there are no passwords.
func (b *Backend) people(w http.ResponseWriter, r *http.Request) {
	list := []object{}
	for _, u := range b.chat.allUsers() {
		list = append(list, object{"id": u.ID, "name": u.Name})
	}
	answer(w, http.StatusOK, object{"users": list})
}

func (b *Backend) login(w http.ResponseWriter, r *http.Request) {
	id, _ := pathID(r.FormValue("user"))
	u, ok := b.chat.userByID(id)
	if !ok {
		http.Error(w, "nobody has this id", http.StatusUnprocessableEntity)
		return
	}
	b.sessions.start(w, u.ID)
	answer(w, http.StatusOK, object{"user": describeUser(u)})
}

func (b *Backend) logout(w http.ResponseWriter, r *http.Request) {
	b.sessions.end(w, r)
	w.WriteHeader(http.StatusNoContent)
}
