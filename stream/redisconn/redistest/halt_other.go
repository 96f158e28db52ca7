//go:build !unix

package redistest

// Stop fails the test: a process cannot be halted here.
func (s *Server) Stop() { s.t.Fatal("no signal halts a process on this system") }

// Cont does nothing: see Stop.
func (s *Server) Cont() {}
