// Package load is the benchmark's client side: it opens streams by the
// thousand, reads them to the last byte, publishes messages, and keeps book of
// what was published and what came. All of it goes to loopback addresses.
package load
