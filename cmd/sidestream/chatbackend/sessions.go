package chatbackend

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"sync"
)

// SessionCookie is the name of the cookie of the web page.
const SessionCookie = "chat_session"

// maxSessions bounds the memory that signing in again and again can take.
const maxSessions = 10_000

// sessions are the browsers that have signed in.
type sessions struct {
	mu    sync.Mutex
	users map[string]int64 // by the cookie's value
	order []string         // oldest first
}

func newSessions() *sessions { return &sessions{users: make(map[string]int64)} }

// start signs a user in and sets the cookie.
func (s *sessions) start(w http.ResponseWriter, user int64) {
	id := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.order) >= maxSessions {
		delete(s.users, s.order[0])
		s.order = s.order[1:]
	}
	s.users[id] = user
	s.order = append(s.order, id)
	http.SetCookie(w, &http.Cookie{
		Name: SessionCookie, Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}

// end signs the browser of the request out.
func (s *sessions) end(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(SessionCookie); err == nil {
		s.mu.Lock()
		delete(s.users, c.Value)
		s.mu.Unlock()
	}
	http.SetCookie(w, &http.Cookie{Name: SessionCookie, Path: "/", MaxAge: -1, HttpOnly: true})
}

// user is who the request's cookie stands for.
func (s *sessions) user(r *http.Request) (int64, bool) {
	c, err := r.Cookie(SessionCookie)
	if err != nil {
		return 0, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id, ok := s.users[c.Value]
	return id, ok
}

// sameSecret compares in a time that does not depend on how much is equal.
func sameSecret(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
