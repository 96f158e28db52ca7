// Package redisconn says where a Redis is, connects to it, and says why it could
// not: one syntax of addresses, one way to dial, and one wording of causes for all
// that Sidestream does with Redis, the store of events and the way in alike.
//
// Every connection is bounded in time, the TLS handshake and the login included.
// What a connection failed with is kept, told without the password, and told in
// words that stay the same as long as the cause does.
//
// It wraps the client library and knows nothing of events, channels or logs.
package redisconn
