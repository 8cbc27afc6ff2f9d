package web_test

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"testing"

	"tollgate/internal/gateway"
	"tollgate/internal/web"
)

// Every kind of failure in the words of both families of APIs.
func TestDialects(t *testing.T) {
	for _, tt := range []struct {
		kind            gateway.Kind
		status          int
		openAI          string
		claude          int
		anthropic, code string
	}{
		{gateway.Internal, 500, "server_error", 500, "api_error", "internal_error"},
		{gateway.Invalid, 400, "invalid_request_error", 400, "invalid_request_error", "invalid_request"},
		{gateway.Unauthenticated, 401, "invalid_request_error", 401, "authentication_error", "invalid_api_key"},
		{gateway.Forbidden, 403, "permission_denied", 403, "permission_error", "permission_denied"},
		{gateway.NotFound, 404, "invalid_request_error", 404, "not_found_error", "not_found"},
		{gateway.Conflict, 409, "invalid_request_error", 409, "conflict_error", "conflict"},
		{gateway.TooLarge, 413, "invalid_request_error", 413, "request_too_large", "request_too_large"},
		{gateway.RateLimited, 429, "rate_limit_error", 429, "rate_limit_error", "rate_limit_exceeded"},
		{gateway.QuotaExceeded, 429, "insufficient_quota", 402, "billing_error", "insufficient_quota"},
		{gateway.Unavailable, 503, "server_error", 503, "api_error", "service_unavailable"},
		{gateway.BadGateway, 502, "server_error", 502, "api_error", "bad_gateway"},
		{gateway.Timeout, 504, "server_error", 504, "timeout_error", "upstream_timeout"},
	} {
		err := &gateway.Error{Kind: tt.kind, Message: "No.", Param: "p", Err: errors.New("hidden")}
		for dialect, want := range map[gateway.Dialect]struct {
			status int
			kind   string
		}{gateway.OpenAIDialect: {tt.status, tt.openAI}, gateway.AnthropicDialect: {tt.claude, tt.anthropic}} {
			w := httptest.NewRecorder()
			if got := web.WriteError(w, dialect, err, "id-1"); got != want.status || w.Code != want.status {
				t.Errorf("kind %d: status %d, sent %d, want %d", tt.kind, got, w.Code, want.status)
			}
			var b struct {
				Type      string
				Error     struct{ Type, Message, Param, Code string }
				RequestID string `json:"request_id"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &b); err != nil {
				t.Fatal(err)
			}
			if b.Type != "error" || b.RequestID != "id-1" || b.Error.Type != want.kind || b.Error.Code != tt.code ||
				b.Error.Message != "[Tollgate] No." || b.Error.Param != "p" {
				t.Errorf("kind %d, dialect %d: %s", tt.kind, dialect, w.Body)
			}
		}
	}
}
