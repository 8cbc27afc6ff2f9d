package web

import (
	"net/http"
	"slices"
)

// CORS answers for browsers. Origins lists who may call; "*" lets everybody in,
// as the peer does.
type CORS struct{ Origins []string }

// Allow sets the headers that let the caller's page read the answer, and reports
// whether the request was a preflight, which is answered with that.
func (c CORS) Allow(w http.ResponseWriter, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	h := w.Header()
	switch {
	case slices.Contains(c.Origins, "*"):
		h.Set("Access-Control-Allow-Origin", "*")
		if origin != "" {
			h.Set("Access-Control-Allow-Origin", origin)
			h.Add("Vary", "Origin")
		}
	case origin != "" && slices.Contains(c.Origins, origin):
		h.Set("Access-Control-Allow-Origin", origin)
		h.Add("Vary", "Origin")
	}
	if r.Method != http.MethodOptions {
		return false
	}
	if h.Get("Access-Control-Allow-Origin") != "" {
		h.Set("Access-Control-Allow-Methods", or(r.Header.Get("Access-Control-Request-Method"), "*"))
		h.Set("Access-Control-Allow-Headers", or(r.Header.Get("Access-Control-Request-Headers"), "*"))
		h.Set("Access-Control-Max-Age", "3600")
	}
	w.WriteHeader(http.StatusNoContent)
	return true
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
