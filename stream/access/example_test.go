package access_test

import (
	"context"
	"fmt"

	"github.com/seed-078801ba/sidestream/stream/access"
)

// A gate asks how it is told to ask, and remembers the answers.
func Example() {
	gate := access.New(access.Config{}, func(_ context.Context, q access.Question) access.Verdict {
		token, _ := q.Credential.Value("token")
		fmt.Printf("the backend is asked whether %s may listen to %s\n", token, q.Channel)
		if token != "good" {
			return access.Verdict{Outcome: access.Denied, Cause: access.BadCredential}
		}
		return access.Verdict{Outcome: access.Allowed, User: "7"}
	})
	defer gate.Close()

	session := gate.NewSession(func(channel string, cause access.Cause, left int) {
		fmt.Printf("%s ends (%s), %d channels are left\n", channel, cause, left)
	})
	defer session.Close()
	for range 2 {
		q := access.Question{Credential: access.NewCredential(access.Input{Name: "token", Value: "good"}), Channel: "1"}
		v := gate.Check(context.Background(), q)
		fmt.Println(v.Outcome, v.User, q.Credential)
		session.Add(q.Channel, q, v) // asked again from now on
	}
	// Output:
	// the backend is asked whether good may listen to 1
	// allowed 7 [credential]
	// allowed 7 [credential]
}
