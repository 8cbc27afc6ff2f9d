package web_test

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"testing"

	"tollgate/internal/gateway"
	"tollgate/internal/web"
)

// Every kind of failure in AWS's words: SDKs look for the type in a header, and for
// the message at the top of the body.
func TestAWSDialect(t *testing.T) {
	for _, tt := range []struct {
		kind   gateway.Kind
		status int
		want   string
	}{
		{gateway.Internal, 500, "InternalServerException"},
		{gateway.Invalid, 400, "ValidationException"},
		{gateway.Unauthenticated, 401, "AccessDeniedException"},
		{gateway.Forbidden, 403, "AccessDeniedException"},
		{gateway.NotFound, 404, "ResourceNotFoundException"},
		{gateway.Conflict, 409, "ConflictException"},
		{gateway.TooLarge, 413, "ValidationException"},
		{gateway.RateLimited, 429, "ThrottlingException"},
		{gateway.QuotaExceeded, 400, "ServiceQuotaExceededException"},
		{gateway.Unavailable, 503, "ServiceUnavailableException"},
		{gateway.BadGateway, 502, "ModelErrorException"},
		{gateway.Timeout, 504, "ModelTimeoutException"},
		{gateway.Outdated, 412, "ValidationException"},
	} {
		w := httptest.NewRecorder()
		status := web.WriteError(w, gateway.AWSDialect, &gateway.Error{Kind: tt.kind, Code: "c", Message: "No.", Err: errors.New("hidden")}, "id-1")
		var b struct {
			Message, Type string
			Error         struct{ Type, Message, Code string }
			RequestID     string `json:"request_id"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &b); err != nil {
			t.Fatal(err)
		}
		if status != tt.status || w.Code != tt.status || w.Header().Get("X-Amzn-Errortype") != tt.want ||
			b.Message != "[Tollgate] No." || b.Error.Message != b.Message || b.Error.Type != tt.want || b.Error.Code != "c" || b.RequestID != "id-1" {
			t.Errorf("kind %d: %d %v %s", tt.kind, status, w.Header(), w.Body)
		}
	}
	w := httptest.NewRecorder()
	web.WriteError(w, gateway.OpenAIDialect, errors.New("x"), "id-1")
	if _, ok := w.Header()["X-Amzn-Errortype"]; ok {
		t.Error("another dialect has AWS's header")
	}
}
