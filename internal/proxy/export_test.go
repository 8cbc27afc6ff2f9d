package proxy

import "time"

// SetPatience shortens how long a caller may stall. Call it before serving.
func (s *Server) SetPatience(d time.Duration) { s.patience = d }
