// Package stick holds the benchmark's measuring sticks: two servers that fan
// messages out and do nothing else. They are not to be used for anything but
// to compare with.
//
// Both know GET /room/<channel>/live.json, a stream without an end, and POST
// /room/<channel>, whose body goes to the channel's streams with a line feed
// behind it.
package stick
