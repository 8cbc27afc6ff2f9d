// Package web is the HTTP edge that the proxy shares with nobody's business
// logic: which failure has which status, and the error body that the official
// SDKs of every family understand.
package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"tollgate/internal/gateway"
)

// Prefix begins every message of the gateway's own errors, so that a person can
// tell them from the provider's.
const Prefix = "[Tollgate] "

// longestWait is the furthest reset that a client is told to wait for. Some SDKs
// sleep for whatever Retry-After says, others ignore more than 60 s and try again
// at once; so beyond it they are told not to try.
const longestWait = 60 * time.Second

// kinds is the one table from kinds of failure to what goes over the wire: the
// status, OpenAI's error type and default code for it, and Anthropic's type.
var kinds = map[gateway.Kind]struct {
	status     int
	kind, code string
	anthropic  string
}{
	gateway.Internal:        {500, "server_error", "internal_error", "api_error"},
	gateway.Invalid:         {400, "invalid_request_error", "invalid_request", "invalid_request_error"},
	gateway.Unauthenticated: {401, "invalid_request_error", "invalid_api_key", "authentication_error"},
	gateway.Forbidden:       {403, "permission_denied", "permission_denied", "permission_error"},
	gateway.NotFound:        {404, "invalid_request_error", "not_found", "not_found_error"},
	gateway.Conflict:        {409, "invalid_request_error", "conflict", "conflict_error"},
	gateway.TooLarge:        {413, "invalid_request_error", "request_too_large", "request_too_large"},
	gateway.RateLimited:     {429, "rate_limit_error", "rate_limit_exceeded", "rate_limit_error"},
	gateway.QuotaExceeded:   {429, "insufficient_quota", "insufficient_quota", "billing_error"},
	gateway.Unavailable:     {503, "server_error", "service_unavailable", "api_error"},
	gateway.BadGateway:      {502, "server_error", "bad_gateway", "api_error"},
	gateway.Outdated:        {412, "invalid_request_error", "precondition_failed", "invalid_request_error"},
	gateway.Timeout:         {504, "server_error", "upstream_timeout", "timeout_error"},
}

// Public is err as the caller may see it. What is not a *gateway.Error is
// Internal, and its text stays inside.
func Public(err error) *gateway.Error {
	var e *gateway.Error
	if !errors.As(err, &e) {
		e = &gateway.Error{Kind: gateway.Internal, Message: "An internal error occurred.", Err: err}
	}
	if e.Code == "" {
		e = &gateway.Error{Kind: e.Kind, Code: kinds[e.Kind].code, Message: e.Message, Param: e.Param,
			RetryAfter: e.RetryAfter, NoRetry: e.NoRetry, Err: e.Err}
	}
	return e
}

// Status is the HTTP status of a kind of failure.
func Status(k gateway.Kind) int { return kinds[k].status }

// StatusIn is Status on the paths of a family of APIs. Anthropic has a status for
// what is to be paid; OpenAI's SDKs know none.
func StatusIn(d gateway.Dialect, k gateway.Kind) int {
	if d == gateway.AnthropicDialect && k == gateway.QuotaExceeded {
		return http.StatusPaymentRequired
	}
	if d == gateway.AWSDialect && k == gateway.QuotaExceeded {
		return http.StatusBadRequest // its SDKs repeat every 429
	}
	return Status(k)
}

// errorBody is understood by OpenAI's and by Anthropic's SDKs alike.
type errorBody struct {
	Type      string      `json:"type"`
	Error     errorDetail `json:"error"`
	RequestID string      `json:"request_id"`
}

type errorDetail struct {
	Type    string  `json:"type"`
	Message string  `json:"message"`
	Param   *string `json:"param"`
	Code    string  `json:"code"`
}

// Body is the JSON error body for err, in the words of a family of APIs.
func Body(d gateway.Dialect, err error, requestID string) []byte {
	e := Public(err)
	if d == gateway.GoogleDialect {
		return googleBody(e, requestID)
	}
	detail := errorDetail{Type: kinds[e.Kind].kind, Message: Prefix + e.Message, Code: e.Code}
	if d == gateway.AnthropicDialect {
		detail.Type = kinds[e.Kind].anthropic
	}
	if e.Param != "" {
		detail.Param = &e.Param
	}
	if d == gateway.AWSDialect {
		return newAWSBody(e, detail, requestID)
	}
	b, _ := json.Marshal(errorBody{"error", detail, requestID}) // strings always marshal
	return b
}

// WriteError answers with err: status, retry headers and body. It returns the
// status.
func WriteError(w http.ResponseWriter, d gateway.Dialect, err error, requestID string) int {
	e := Public(err)
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	retryHeaders(h, e)
	if d == gateway.AWSDialect {
		awsHeaders(h, e)
	}
	body := Body(d, err, requestID)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	status := StatusIn(d, e.Kind)
	w.WriteHeader(status)
	w.Write(body)
	return status
}

// retryHeaders tells SDKs, which retry 408, 409, 429 and 5xx on their own, when
// trying again can help.
func retryHeaders(h http.Header, e *gateway.Error) {
	switch {
	case e.NoRetry, e.RetryAfter > longestWait:
		h.Set("X-Should-Retry", "false")
	case e.RetryAfter > 0:
		// Rounded up: a moment too early is another refusal.
		h.Set("Retry-After", wait(e.RetryAfter, time.Second))
		h.Set("Retry-After-Ms", wait(e.RetryAfter, time.Millisecond))
	case e.Kind == gateway.RateLimited, e.Kind == gateway.QuotaExceeded, e.Kind == gateway.Conflict:
		h.Set("X-Should-Retry", "false")
	}
}

// wait is d in whole units, rounded up.
func wait(d, unit time.Duration) string {
	return strconv.FormatInt(int64((d+unit-1)/unit), 10)
}
