package web

import (
	"encoding/json"
	"strconv"
	"time"

	"tollgate/internal/gateway"
)

// googleStatus are Google's names for kinds of failure. Those without a name here
// are INTERNAL.
var googleStatus = map[gateway.Kind]string{
	gateway.Invalid:         "INVALID_ARGUMENT",
	gateway.Unauthenticated: "UNAUTHENTICATED",
	gateway.Forbidden:       "PERMISSION_DENIED",
	gateway.NotFound:        "NOT_FOUND",
	gateway.Conflict:        "ABORTED",
	gateway.TooLarge:        "INVALID_ARGUMENT",
	gateway.RateLimited:     "RESOURCE_EXHAUSTED",
	gateway.QuotaExceeded:   "RESOURCE_EXHAUSTED",
	gateway.Unavailable:     "UNAVAILABLE",
	gateway.BadGateway:      "UNAVAILABLE",
	gateway.Timeout:         "DEADLINE_EXCEEDED",
	gateway.Outdated:        "FAILED_PRECONDITION",
}

// googleError is the error body of Google's APIs.
type googleError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Status  string `json:"status"`
	Details []any  `json:"details"`
}

// The details of an error, each with the name of its type.
type (
	googleErrorInfo struct {
		Type     string            `json:"@type"`
		Reason   string            `json:"reason"` // the gateway's own code
		Domain   string            `json:"domain"`
		Metadata map[string]string `json:"metadata"`
	}
	googleRetryInfo struct {
		Type       string `json:"@type"`
		RetryDelay string `json:"retryDelay"`
	}
)

const googleType = "type.googleapis.com/google.rpc."

// googleBody is Body in Google's words.
func googleBody(e *gateway.Error, requestID string) []byte {
	info := googleErrorInfo{googleType + "ErrorInfo", e.Code, "tollgate", map[string]string{"requestId": requestID}}
	if e.Param != "" {
		info.Metadata["param"] = e.Param
	}
	g := googleError{Code: Status(e.Kind), Message: Prefix + e.Message, Status: googleStatus[e.Kind], Details: []any{info}}
	if g.Status == "" {
		g.Status = "INTERNAL"
	}
	if e.RetryAfter > 0 && e.RetryAfter <= longestWait && !e.NoRetry {
		seconds := strconv.FormatFloat(e.RetryAfter.Round(time.Millisecond).Seconds(), 'f', -1, 64)
		g.Details = append(g.Details, googleRetryInfo{googleType + "RetryInfo", seconds + "s"})
	}
	b, _ := json.Marshal(map[string]googleError{"error": g}) // strings always marshal
	return b
}
