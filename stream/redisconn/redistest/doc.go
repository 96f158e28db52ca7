// Package redistest starts real Redis servers for tests: one, a cluster, or a
// master with replicas and sentinels, each on free ports of the loopback
// interface and with its files in a folder of the test. What it starts ends
// with the test, also when that stopped it or the test process dies.
//
// It needs redis-server, redis-sentinel and redis-cli in the PATH and fails the
// test without them: a test that does not run shows nothing.
package redistest
