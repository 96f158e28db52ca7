package chatbackend

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

// User is somebody who can sign in.
type User struct {
	ID    int64
	Name  string
	Token string // of the REST API and the streams
	Admin bool
}

// Room is a place to talk.
type Room struct {
	ID      int64
	Name    string
	Topic   string
	Members []int64 // who may see it, by user id
}

// Message is what somebody said, in the schema of Campfire's API
// (campfire-api, sections/messages.md).
type Message struct {
	RoomID    int64  `json:"room_id"`
	CreatedAt string `json:"created_at"`
	Body      any    `json:"body"` // a string, or null where the type has none
	Starred   bool   `json:"starred"`
	ID        int64  `json:"id"`
	UserID    int64  `json:"user_id"`
	Type      string `json:"type"`
}

// campfireTime is how Campfire's JSON spelled times, always in UTC.
const campfireTime = "2006/01/02 15:04:05 +0000"

// Bounds of what is kept and taken.
const (
	keptMessages = 1000 // of each room
	maxBody      = 8096 // characters of one message
)

// Errors of the chat's calls.
var (
	errNoRoom    = errors.New("no such room")
	errNotMember = errors.New("not a member of the room")
	errBody      = errors.New("the message needs a body of 1 to 8096 characters")
)

// chat is the state of the app.
type chat struct {
	now func() time.Time
	// posted is told every message, in the order of ids, with the lock held:
	// it must not block. Set before first use, or nil.
	posted func(Message)

	mu       sync.Mutex
	users    []User
	rooms    []Room
	messages map[int64][]Message      // by room, oldest first
	present  map[int64]map[int64]bool // by room and user: who has joined
	lastID   int64
}

// newChat has three people and three rooms; one room is not for everybody, so
// that a refusal can be seen.
func newChat(now func() time.Time) *chat {
	return &chat{
		now: now,
		users: []User{
			{ID: 1, Name: "Alice", Token: "alice-token", Admin: true},
			{ID: 2, Name: "Bob", Token: "bob-token"},
			{ID: 3, Name: "Carol", Token: "carol-token"},
		},
		rooms: []Room{
			{ID: 1, Name: "Lobby", Topic: "Everybody is here", Members: []int64{1, 2, 3}},
			{ID: 2, Name: "Engineering", Topic: "What broke, and who mends it", Members: []int64{1, 2}},
			{ID: 3, Name: "Board", Topic: "Alice only", Members: []int64{1}},
		},
		messages: make(map[int64][]Message),
		present:  make(map[int64]map[int64]bool),
	}
}

func (c *chat) allUsers() []User { return slices.Clone(c.users) } // never change

func (c *chat) userByID(id int64) (User, bool) {
	return c.findUser(func(u User) bool { return u.ID == id })
}

func (c *chat) userByToken(token string) (User, bool) {
	return c.findUser(func(u User) bool { return sameSecret(u.Token, token) })
}

func (c *chat) findUser(is func(User) bool) (User, bool) {
	if i := slices.IndexFunc(c.users, is); i >= 0 {
		return c.users[i], true
	}
	return User{}, false
}

// roomsOf lists the rooms that the user may see.
func (c *chat) roomsOf(user int64) []Room {
	var rooms []Room
	for _, r := range c.rooms {
		if slices.Contains(r.Members, user) {
			rooms = append(rooms, r)
		}
	}
	return rooms
}

// enter finds a room that the user may see.
func (c *chat) enter(room, user int64) (Room, error) {
	i := slices.IndexFunc(c.rooms, func(r Room) bool { return r.ID == room })
	if i < 0 {
		return Room{}, errNoRoom
	}
	if !slices.Contains(c.rooms[i].Members, user) {
		return Room{}, errNotMember
	}
	return c.rooms[i], nil
}

// speak adds a message. An unknown kind becomes a TextMessage, or a
// PasteMessage if the body has more than one line, as Campfire had it.
func (c *chat) speak(room, user int64, kind, body string) (Message, error) {
	if _, err := c.enter(room, user); err != nil {
		return Message{}, err
	}
	if n := len([]rune(body)); n == 0 || n > maxBody {
		return Message{}, errBody
	}
	switch {
	case kind == "PasteMessage", kind == "SoundMessage", kind == "TweetMessage":
	case strings.ContainsAny(body, "\r\n"):
		kind = "PasteMessage"
	default:
		kind = "TextMessage"
	}
	return c.post(room, user, kind, body), nil
}

// join notes that the user is in the room; leave that he is no longer. Both
// say so in the room, once.
func (c *chat) join(room, user int64) error  { return c.setPresent(room, user, true, "EnterMessage") }
func (c *chat) leave(room, user int64) error { return c.setPresent(room, user, false, "LeaveMessage") }

func (c *chat) setPresent(room, user int64, here bool, kind string) error {
	if _, err := c.enter(room, user); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.present[room] == nil {
		c.present[room] = make(map[int64]bool)
	}
	if c.present[room][user] != here {
		c.present[room][user] = here
		c.postLocked(room, user, kind, nil)
	}
	return nil
}

func (c *chat) post(room, user int64, kind string, body any) Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.postLocked(room, user, kind, body)
}

func (c *chat) postLocked(room, user int64, kind string, body any) Message {
	c.lastID++
	m := Message{
		RoomID: room, CreatedAt: c.now().UTC().Format(campfireTime), Body: body,
		ID: c.lastID, UserID: user, Type: kind,
	}
	kept := append(c.messages[room], m)
	if len(kept) > keptMessages {
		kept = slices.Delete(kept, 0, len(kept)-keptMessages)
	}
	c.messages[room] = kept
	if c.posted != nil {
		c.posted(m)
	}
	return m
}

// recent lists messages of a room, oldest first: the newest ones up to limit,
// or with since > 0 the first ones after that id.
func (c *chat) recent(room int64, limit int, since int64) []Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.messages[room]
	first := max(0, len(all)-limit)
	if since > 0 {
		if first = slices.IndexFunc(all, func(m Message) bool { return m.ID > since }); first < 0 {
			first = len(all)
		}
	}
	// Never nil, which would be null in JSON.
	return append([]Message{}, all[first:min(first+limit, len(all))]...)
}
