// Package e2e holds the end-to-end tests. They run the built command as its
// users do, and talk to it over real sockets only: a backend whose answers the
// test decides (backend_test.go), real Redis servers, and clients that others
// wrote (testdata/clients). What must hold for every listener, whatever happens,
// is checked by package contract.
//
// The package also holds the test of who may import what (imports_test.go).
package e2e
