package web_test

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/internal/gateway"
	"tollgate/internal/web"
)

// Errors as Google's SDKs read them: the status again as a number, and its name.
func TestGoogleDialect(t *testing.T) {
	for _, tt := range []struct {
		err    error
		code   int
		status string
		reason string
		delay  string // RetryInfo
		header string // Retry-After
	}{
		{errors.New("secret"), 500, "INTERNAL", "internal_error", "", ""},
		{&gateway.Error{Kind: gateway.Invalid}, 400, "INVALID_ARGUMENT", "invalid_request", "", ""},
		{&gateway.Error{Kind: gateway.Unauthenticated}, 401, "UNAUTHENTICATED", "invalid_api_key", "", ""},
		{&gateway.Error{Kind: gateway.Forbidden, Code: "model_not_allowed"}, 403, "PERMISSION_DENIED", "model_not_allowed", "", ""},
		{&gateway.Error{Kind: gateway.NotFound}, 404, "NOT_FOUND", "not_found", "", ""},
		{&gateway.Error{Kind: gateway.Conflict}, 409, "ABORTED", "conflict", "", ""},
		{&gateway.Error{Kind: gateway.TooLarge}, 413, "INVALID_ARGUMENT", "request_too_large", "", ""},
		{&gateway.Error{Kind: gateway.RateLimited, RetryAfter: 1500 * time.Millisecond}, 429, "RESOURCE_EXHAUSTED", "rate_limit_exceeded", "1.5s", "2"},
		{&gateway.Error{Kind: gateway.RateLimited, RetryAfter: time.Hour}, 429, "RESOURCE_EXHAUSTED", "rate_limit_exceeded", "", ""},
		{&gateway.Error{Kind: gateway.QuotaExceeded}, 429, "RESOURCE_EXHAUSTED", "insufficient_quota", "", ""},
		{&gateway.Error{Kind: gateway.Unavailable}, 503, "UNAVAILABLE", "service_unavailable", "", ""},
		{&gateway.Error{Kind: gateway.BadGateway}, 502, "UNAVAILABLE", "bad_gateway", "", ""},
		{&gateway.Error{Kind: gateway.Timeout}, 504, "DEADLINE_EXCEEDED", "upstream_timeout", "", ""},
	} {
		w := httptest.NewRecorder()
		status := web.WriteError(w, gateway.GoogleDialect, tt.err, "req-1")
		var body struct {
			Error struct {
				Code            int
				Message, Status string
				Details         []map[string]any
			}
		}
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatal(err)
		}
		e := body.Error
		if status != tt.code || w.Code != tt.code || e.Code != tt.code || e.Status != tt.status || w.Header().Get("Retry-After") != tt.header {
			t.Errorf("%v: %d %s, headers %v", tt.err, w.Code, w.Body, w.Header())
		}
		want := []map[string]any{{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": tt.reason, "domain": "tollgate", "metadata": map[string]any{"requestId": "req-1"}}}
		if tt.delay != "" {
			want = append(want, map[string]any{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": tt.delay})
		}
		if diff := cmp.Diff(want, e.Details); diff != "" {
			t.Errorf("%v: %s", tt.err, diff)
		}
	}
}
