package decode

// Sender is what a preset knows of how its app delivers over HTTP. This package
// only carries it, so that all that is known of an app stands in one file;
// package webhook acts on it.
type Sender struct {
	// Scheme is how deliveries prove where they come from, in the words of
	// webhook.Verify; empty if the configuration must say.
	Scheme string
	// Query is the query parameter that may hold a bearer token.
	Query string
	// Method is the method of a delivery. Default: POST.
	Method string
	// Delivery names headers that identify a delivery through repetitions.
	Delivery []string
	// Answer is what the app wants to hear; nil for one that says where the
	// events stand.
	Answer *Answer
	// NeverRetries: the app sends a delivery once, whatever becomes of it.
	NeverRetries bool
	// Conflict: a message that contradicts an earlier one gets 409.
	Conflict bool
	// Protocol is what the app asks beside its deliveries.
	Protocol Protocol
}

// Answer is what a delivery that was taken is answered.
type Answer struct {
	Status      int
	ContentType string
	Body        string
}

// Protocol names the calls that an app makes beside its deliveries.
type Protocol uint8

// The protocols.
const (
	DeliveriesOnly       Protocol = iota
	SlackChallenge                // url_verification of Slack's Events API
	CloudEventsHandshake          // OPTIONS of the CloudEvents web hooks
	ApplicationService            // Matrix, which has several paths below the address
)

// emptyJSON is the answer that most apps want: some take an empty body for a
// failure, and most would post a text into the chat room.
var emptyJSON = &Answer{Status: 200, ContentType: "application/json", Body: "{}"}

// SenderOf is what the named preset knows of its app; the name is empty for no
// preset.
func SenderOf(name string) (Sender, error) {
	p, err := findPreset(name)
	if err != nil {
		return Sender{}, err
	}
	return p.sender, nil
}
