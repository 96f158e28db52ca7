package endpoint

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/seed-078801ba/sidestream/stream"
)

// WantsWebSocket tells whether a request asks for a WebSocket: over HTTP/1.1 to
// upgrade its connection (RFC 6455, 4.1), over HTTP/2 and 3 to make one of its
// stream (RFC 8441 and 9220).
func WantsWebSocket(r *http.Request) bool {
	if r.Method == http.MethodConnect {
		return r.ProtoMajor == 2 && r.Header.Get(":protocol") == "websocket" || r.ProtoMajor == 3 && r.Proto == "websocket"
	}
	return r.Method == http.MethodGet && r.ProtoMajor == 1 && hasToken(r.Header, "Upgrade", "websocket") && hasToken(r.Header, "Connection", "upgrade")
}

// hasToken tells whether one of a header's comma-separated words is this one.
func hasToken(h http.Header, name, token string) bool {
	for _, value := range h.Values(name) {
		for word := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(word), token) {
				return true
			}
		}
	}
	return false
}

// Upgrade makes a stream of a request that WantsWebSocket. The opening has
// everything but its connection; the server owns its ticket from now on. opened is
// called with the stream before anything can wait for its end, and what the client
// says can come before that: through the opening's Input, which a stream.Messages
// makes. Where the handler has to stay, wait is not nil and must be called.
//
// The caller has looked at the Origin (Origins.OtherSite): browsers let the pages of
// all sites open WebSockets, and send their cookies along. No subprotocol is
// chosen, and no extension: a client must work without.
func (s *Server) Upgrade(w http.ResponseWriter, r *http.Request, o stream.Opening, opened func(*stream.Stream)) (wait func(context.Context), re *Refusal) {
	accept, re := acceptUpgrade(w.Header(), r)
	if re != nil {
		o.Ticket.Release()
		return nil, re
	}
	if accept != "" {
		h := w.Header()
		h.Set("Upgrade", "websocket")
		h.Set("Connection", "Upgrade")
		h["Sec-WebSocket-Accept"] = []string{accept} // in the RFC's own spelling
	}
	wait, err := s.UpgradeTo(w, r, o, opened)
	if err != nil {
		s.Logger.Debug("a WebSocket ended as it was opened", "error", err)
	}
	return wait, nil
}

// acceptUpgrade checks what RFC 6455, 4.2.1, has a server check, and answers the
// client's key. Over HTTP/2 and 3 there is none.
func acceptUpgrade(answer http.Header, r *http.Request) (accept string, re *Refusal) {
	if version := r.Header.Values("Sec-WebSocket-Version"); len(version) != 1 || version[0] != "13" {
		answer.Set("Upgrade", "websocket")
		answer["Sec-WebSocket-Version"] = []string{"13"}
		return "", &Refusal{Status: http.StatusUpgradeRequired, Message: "WebSockets are spoken in version 13 here", Reason: "bad-request"}
	}
	if r.Method == http.MethodConnect {
		return "", nil
	}
	if r.ContentLength != 0 {
		return "", badRequest("a request for a WebSocket has no body")
	}
	keys := r.Header.Values("Sec-WebSocket-Key")
	if len(keys) != 1 {
		return "", badRequest("a request for a WebSocket has one key")
	}
	if key, err := base64.StdEncoding.DecodeString(keys[0]); err != nil || len(key) != 16 {
		return "", badRequest("the key of a WebSocket is 16 bytes in base64")
	}
	sum := sha1.Sum([]byte(keys[0] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:]), nil
}
