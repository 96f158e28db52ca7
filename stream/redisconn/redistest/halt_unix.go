//go:build unix

package redistest

import "syscall"

// Stop halts the process (SIGSTOP): connections stay open, nothing is answered.
func (s *Server) Stop() { s.signal(syscall.SIGSTOP) }

// Cont lets a stopped process go on.
func (s *Server) Cont() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Errorf("sending %v to redis-server: %v", sig, err)
	}
}
