package stream

import (
	"context"
	"testing"

	"github.com/seed-078801ba/sidestream/stream/event"
	"github.com/seed-078801ba/sidestream/stream/log"
)

// A word is heard by all hubs that share a log, and by no client.
func TestWordsAmongHubs(t *testing.T) {
	shared := newSharedLog()
	one, two := openOn(t, shared.tail()), openOn(t, shared.tail())
	heardByOne, heardByTwo := make(chan string, 10), make(chan string, 10)
	one.OnWord(func(text string) { heardByOne <- text })
	two.OnWord(func(text string) { heardByTwo <- text })
	client, _ := listen(t, two, opening{channels: []string{"a"}})
	for _, word := range []string{"psst", "psst"} {
		if err := one.Word(context.Background(), word); err != nil {
			t.Fatal(err)
		}
		if a, b := <-heardByOne, <-heardByTwo; a != word || b != word {
			t.Errorf("heard %q and %q", a, b)
		}
	}
	say(t, two, "a", "1")
	client.expect("a 1")
	if _, err := one.Publish(context.Background(), event.Batch{Events: []event.Event{{Channel: event.String(wordsChannel), Body: "forged"}}}); err == nil {
		t.Error("a way in may leave words")
	}
	alone := newHub(t, Config{}, log.Retention{})
	if err := alone.Word(context.Background(), "hello"); err != nil || alone.Head().Seq != 0 {
		t.Errorf("alone: %v, at %d", err, alone.Head().Seq)
	}
}

// A right is the same on all hubs that share a log.
func TestRightsAreSharedAmongHubs(t *testing.T) {
	shared := newSharedLog()
	one, two := openOn(t, shared.tail()), openOn(t, shared.tail())
	client, _ := listen(t, one, opening{channels: []string{"a"}})
	say(t, one, "a", "1")
	first := since(t, one, "ann", "a").after["a"]
	say(t, one, "a", "2", "3")
	if got := since(t, two, "ann", "a").after["a"]; got != first {
		t.Errorf("shown after %d here and %d there", first, got)
	}
	two.RightEnded("ann", "a")
	two.rights.work.Wait()
	say(t, two, "a", "4")
	client.expect("a 1", "a 2", "a 3", "a 4") // the first hub has come as far
	if got := since(t, one, "ann", "a").after["a"]; got != one.Head().Seq {
		t.Errorf("after the end on another node, shown after %d of %d", got, one.Head().Seq)
	}
}
