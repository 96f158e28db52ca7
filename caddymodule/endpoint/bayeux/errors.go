package bayeux

import "strconv"

// Error is what a client is told in the error of a reply: <code>:<arguments>:<words>.
// Codes and words are those of Faye (src/protocol/error.js), which its clients hand
// on to the page.
type Error struct {
	Code int
	// Argument is what the client has sent and what is wrong, a channel mostly.
	Argument string
	Words    string
}

func (e *Error) Error() string {
	return strconv.Itoa(e.Code) + ":" + e.Argument + ":" + e.Words
}

func errVersion(version string) *Error { return &Error{300, shortened(version), "Version mismatch"} }

func errConnectionTypes(types string) *Error {
	return &Error{301, shortened(types), "Connection types not supported"}
}

func errBadRequest(words string) *Error { return &Error{400, "", words} }

func errUnknownClient(id string) *Error { return &Error{401, shortened(id), "Unknown client"} }

func errMissing(parameter string) *Error { return &Error{402, parameter, "Missing required parameter"} }

func errForbidden(channel string) *Error { return &Error{403, shortened(channel), "Forbidden channel"} }

func errUnknownChannel(channel string) *Error {
	return &Error{404, shortened(channel), "Unknown channel"}
}

func errInvalid(channel string) *Error { return &Error{405, shortened(channel), "Invalid channel"} }

func errPublish(channel string) *Error { return &Error{407, shortened(channel), "Failed to publish"} }

func errServer(words string) *Error { return &Error{500, "", words} }

// shortened bounds what a client is told of what it sent itself.
func shortened(text string) string {
	if len(text) > maxChannel {
		return text[:maxChannel]
	}
	return text
}
