package proxy

import "time"

// SetPatience shortens how long a caller may stall. Call it before serving.
func (s *Server) SetPatience(d time.Duration) { s.patience = d }

// SetPause shortens the pauses between tries to settle. Call it before serving.
func (s *Server) SetPause(d time.Duration) { s.pause = d }

// SetUsageWait shortens how long a stream may go on whose caller has left at its end.
// Call it before serving.
func (s *Server) SetUsageWait(d time.Duration) { s.usageWait = d }
