package forwardauth

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/valyala/fastjson"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/webhook/decode"
)

const (
	maxRevokeBody     = 64 << 10
	revokeBodyTimeout = 10 * time.Second
	// revokeWait bounds how long the app waits for the answer to its call.
	revokeWait = time.Second
)

// Revoker serves the address where the app says that somebody's access has
// changed. What is posted there denies nothing by itself: it makes the backend
// be asked again.
type Revoker struct {
	secrets Secrets
	revoke  Revoke
	// Roll, if set, is called for objects.
	Roll Roll
}

// Revoke has the backend asked again about whoever may be the user, in the
// channel if one is named. It returns when everything is answered, or ctx is
// done; left is how many questions are not answered then. The error says that
// other nodes could not be told.
type Revoke func(ctx context.Context, user, channel string) (left int, err error)

// Roll makes the signed name of an object anew.
type Roll func(ctx context.Context, kind, id string) error

// NewRevoker takes posts with one of the secrets.
func NewRevoker(secrets []string, revoke Revoke) *Revoker {
	return &Revoker{secrets: NewSecrets(secrets), revoke: revoke}
}

// ServeHTTP answers 204 when everybody whom the call may concern has been asked
// about again. Where that takes longer than a second, or the backend does not
// answer, it says 202 and how many questions are open, as
// {"questions_left":7}: they are asked until they are answered. It says 503 if
// other nodes could not be told.
func (rv *Revoker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if !rv.secrets.Presented(r) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	http.NewResponseController(w).SetReadDeadline(time.Now().Add(revokeBodyTimeout)) // best effort
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRevokeBody))
	if err != nil {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	user, channel, ok := readRevocation(body)
	if kind, id, isObject := readObject(body); isObject && rv.Roll != nil {
		rv.roll(w, r, kind, id)
		return
	}
	if !ok {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), revokeWait)
	defer cancel()
	left, err := rv.revoke(ctx, user, channel)
	switch {
	case err != nil:
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case left > 0:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprintf(w, "{\"questions_left\":%d}\n", left)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// roll answers 204 when the old name of an object is worth nothing any more.
func (rv *Revoker) roll(w http.ResponseWriter, r *http.Request, kind, id string) {
	if err := rv.Roll(r.Context(), kind, id); err != nil {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// readObject reads whose signed name is to be made anew. Then nothing else may be
// asked for.
func readObject(body []byte) (kind, id string, ok bool) {
	document, err := decode.ParseJSON(new(fastjson.Parser), body)
	if err != nil || document.Type() != fastjson.TypeObject || document.GetObject().Len() != 1 {
		return "", "", false
	}
	kindValue, err := objectKindPath.Find(document)
	idValue, err2 := objectIDPath.Find(document)
	kind, kindOK := kindValue.Text()
	id, idOK := idValue.Text()
	return kind, id, err == nil && err2 == nil && kindOK && idOK && kind != "" && decode.ValidName(id)
}

// Where a call says whose access has changed.
var (
	objectKindPath, _ = decode.ParsePath("object.kind")
	objectIDPath, _   = decode.ParsePath("object.id")

	userPath, _    = decode.ParsePath("user")
	channelPath, _ = decode.ParsePath("channel")
)

// readRevocation reads whose access has changed. It must name somebody or
// something, each of them once.
func readRevocation(body []byte) (user, channel string, ok bool) {
	document, err := decode.ParseJSON(new(fastjson.Parser), body)
	if err != nil || document.Type() != fastjson.TypeObject {
		return "", "", false
	}
	read := func(path decode.Path) (string, bool) {
		found, err := path.Find(document)
		text, isText := found.Text()
		return text, err == nil && (isText || !found.Exists()) && len(text) <= event.MaxName
	}
	user, userOK := read(userPath)
	channel, channelOK := read(channelPath)
	return user, channel, userOK && channelOK && (user != "" || channel != "")
}
