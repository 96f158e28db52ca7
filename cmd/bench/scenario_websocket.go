//go:build linux

package main

import (
	"context"
	"fmt"
	"time"
)

// The app of the WebSockets that are measured.
const (
	tamburApp = "bench"
	tamburKey = "benchkey"
)

// subscribeTime is how long the subscriptions of all WebSockets may take: they are
// opened when the server has answered, and have subscribed a little later.
const subscribeTime = 5 * time.Second

var webSockets = scenario{
	name:  "websocket",
	about: "the same to WebSockets of Tambur: processor time of a delivery",
	measure: func(ctx context.Context, b *bench) (figures, error) {
		f := figures{}
		w := workload{streams: b.streams, channels: 1, size: messageSize, senders: 1, window: 1, duration: b.duration, settle: subscribeTime}
		for name, request := range map[string]func(int) []byte{"http": nil, "websocket": webSocketRequest} {
			s, err := b.startSidestream(ctx, sidestreamSite{store: "memory", quiet: true, more: "campfire\n" + tamburDirective})
			if err != nil {
				return nil, err
			}
			s.request = request
			if err := b.driveInto(ctx, f, name, s, w); err != nil {
				return nil, err
			}
		}
		return f, nil
	},
	rows: func(b *bench, m measured) []row {
		r := row{
			what:    fmt.Sprintf("a message to %s WebSockets of Tambur, one at a time: processor time of a delivery", countText(float64(b.streams))),
			bar:     "<= 1.3 x a stream's over HTTP/1.1",
			figure:  fmt.Sprintf("%s, %.2f x", timeText(m.median("websocket cpu")), m.ratio("websocket cpu", "http cpu")),
			sticks:  "a stream of Campfire " + timeText(m.median("http cpu")),
			servers: []string{"websocket", "http"},
			met:     meets(m.ratio("websocket cpu", "http cpu") <= 1.3),
		}
		if n := m.worst("websocket wrong"); n > 0 {
			r.figure += fmt.Sprintf("; **%s lost, doubled or closed**", countText(n))
			r.met = missed
		}
		return []row{r}
	},
}

const tamburDirective = `tambur {
			app ` + tamburApp + ` ` + tamburKey + ` benchsecret
			open *
		}`

// webSocketRequest opens a WebSocket, and subscribes behind it in one piece.
func webSocketRequest(channel int) []byte {
	request := fmt.Appendf(nil, "GET /%s/%s/connect HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", tamburKey, tamburApp)
	text := fmt.Sprintf(`["subscribe",1,"%d"]`, channel)
	head := []byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0} // a short text frame, with a mask of zeros
	return append(append(request, head...), text...)
}
