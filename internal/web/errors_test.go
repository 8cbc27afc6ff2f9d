package web_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/internal/gateway"
	"tollgate/internal/web"
)

// Status, type and code by kind: what SDKs pick their error classes and their
// retries by.
func TestKinds(t *testing.T) {
	kinds := []struct {
		status     int
		kind, code string
	}{
		gateway.Internal:        {500, "server_error", "internal_error"},
		gateway.Invalid:         {400, "invalid_request_error", "invalid_request"},
		gateway.Unauthenticated: {401, "invalid_request_error", "invalid_api_key"},
		gateway.Forbidden:       {403, "permission_denied", "permission_denied"},
		gateway.NotFound:        {404, "invalid_request_error", "not_found"},
		gateway.Conflict:        {409, "invalid_request_error", "conflict"},
		gateway.TooLarge:        {413, "invalid_request_error", "request_too_large"},
		gateway.RateLimited:     {429, "rate_limit_error", "rate_limit_exceeded"},
		gateway.QuotaExceeded:   {429, "insufficient_quota", "insufficient_quota"},
		gateway.Unavailable:     {503, "server_error", "service_unavailable"},
		gateway.BadGateway:      {502, "server_error", "bad_gateway"},
		gateway.Timeout:         {504, "server_error", "upstream_timeout"},
		gateway.Outdated:        {412, "invalid_request_error", "precondition_failed"},
	}
	for k, want := range kinds {
		err := fmt.Errorf("outer: %w", &gateway.Error{Kind: gateway.Kind(k), Message: "No.", Err: errors.New("inner sk-live-1")})
		w := httptest.NewRecorder()
		if status := web.WriteError(w, gateway.OpenAIDialect, err, "req-1"); status != want.status || w.Code != want.status || web.Status(gateway.Kind(k)) != want.status {
			t.Errorf("kind %d: status %d, written %d, want %d", k, status, w.Code, want.status)
		}
		openAIs, anthropics := both(t, w)
		if openAIs.Type != want.kind || openAIs.Code != want.code || openAIs.Message != "[Tollgate] No." || openAIs.Param != nil {
			t.Errorf("kind %d: %+v", k, openAIs)
		}
		if anthropics.Type != "error" || anthropics.RequestID != "req-1" || anthropics.Error.Type != want.kind {
			t.Errorf("kind %d: %+v", k, anthropics)
		}
		if strings.Contains(w.Body.String(), "sk-live") || strings.Contains(w.Body.String(), "outer") {
			t.Errorf("kind %d shows its cause: %s", k, w.Body)
		}
	}
	if web.Status(gateway.Kind(len(kinds))) != 0 {
		t.Errorf("kind %d has a status and no row here", len(kinds))
	}
}

// openAIError and anthropicError are what the two families of SDKs decode.
type openAIError struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    string  `json:"code"`
}

type anthropicError struct {
	Type  string `json:"type"`
	Error struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	} `json:"error"`
	RequestID string `json:"request_id"`
}

func both(t *testing.T, w *httptest.ResponseRecorder) (openAIError, anthropicError) {
	t.Helper()
	var o struct {
		Error openAIError `json:"error"`
	}
	var a anthropicError
	if err := errors.Join(json.Unmarshal(w.Body.Bytes(), &o), json.Unmarshal(w.Body.Bytes(), &a)); err != nil {
		t.Fatalf("%s: %v", w.Body, err)
	}
	var members map[string]map[string]any
	json.Unmarshal(w.Body.Bytes(), &members)
	if n := len(members["error"]); n != 4 { // all are required, null included
		t.Errorf("the error has %d members: %s", n, w.Body)
	}
	if ct, cl := w.Header().Get("Content-Type"), w.Header().Get("Content-Length"); ct != "application/json; charset=utf-8" || cl != strconv.Itoa(w.Body.Len()) {
		t.Errorf("content type %q, length %q of %d", ct, cl, w.Body.Len())
	}
	return o.Error, a
}

func TestBody(t *testing.T) {
	w := httptest.NewRecorder()
	web.WriteError(w, gateway.OpenAIDialect, &gateway.Error{Kind: gateway.Invalid, Code: "invalid_type", Param: "model", Message: "Not \"<so>\" é."}, `id"`)
	o, a := both(t, w)
	if o.Code != "invalid_type" || o.Param == nil || *o.Param != "model" || o.Message != "[Tollgate] Not \"<so>\" é." || a.RequestID != `id"` {
		t.Errorf("%+v, %+v", o, a)
	}
	w = httptest.NewRecorder()
	if status := web.WriteError(w, gateway.OpenAIDialect, errors.New("open /secret/file: denied"), ""); status != 500 || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("%d %s", status, w.Body)
	}
	original := &gateway.Error{Kind: gateway.Timeout, Message: "m"}
	if e := web.Public(original); e.Code != "upstream_timeout" || original.Code != "" {
		t.Errorf("Public gives %+v and leaves %+v", e, original)
	}
}

// SDKs try again after 408, 409, 429 and 5xx unless told not to, and some wait for
// as long as Retry-After says, whatever that is.
func TestRetryHeaders(t *testing.T) {
	for _, tt := range []struct {
		name      string
		err       gateway.Error
		should    string // x-should-retry
		after, ms string
	}{
		{"soon", gateway.Error{Kind: gateway.RateLimited, RetryAfter: time.Second}, "", "1", "1000"},
		{"in a part of a second", gateway.Error{Kind: gateway.RateLimited, RetryAfter: 300 * time.Millisecond}, "", "1", "300"},
		{"rounded up", gateway.Error{Kind: gateway.RateLimited, RetryAfter: 1500*time.Millisecond + 1}, "", "2", "1501"},
		{"at once", gateway.Error{Kind: gateway.RateLimited, RetryAfter: 1}, "", "1", "1"},
		{"in a minute", gateway.Error{Kind: gateway.RateLimited, RetryAfter: time.Minute}, "", "60", "60000"},
		{"later than a client should sleep", gateway.Error{Kind: gateway.RateLimited, RetryAfter: time.Minute + 1}, "false", "", ""},
		{"tomorrow", gateway.Error{Kind: gateway.RateLimited, RetryAfter: 24 * time.Hour}, "false", "", ""},
		{"nobody knows", gateway.Error{Kind: gateway.RateLimited}, "false", "", ""},
		{"spent", gateway.Error{Kind: gateway.QuotaExceeded}, "false", "", ""},
		{"running", gateway.Error{Kind: gateway.Conflict}, "false", "", ""},
		{"running, for a moment", gateway.Error{Kind: gateway.Conflict, RetryAfter: time.Second}, "", "1", "1000"},
		{"our fault", gateway.Error{Kind: gateway.Internal}, "", "", ""},
		{"store down", gateway.Error{Kind: gateway.Unavailable}, "", "", ""},
		{"charged already", gateway.Error{Kind: gateway.Timeout, NoRetry: true}, "false", "", ""},
		{"charged already, with a time", gateway.Error{Kind: gateway.Timeout, NoRetry: true, RetryAfter: time.Second}, "false", "", ""},
		{"too large", gateway.Error{Kind: gateway.TooLarge, NoRetry: true}, "false", "", ""},
		{"bad request", gateway.Error{Kind: gateway.Invalid}, "", "", ""},
	} {
		w := httptest.NewRecorder()
		web.WriteError(w, gateway.OpenAIDialect, &tt.err, "id")
		got := []string{w.Header().Get("x-should-retry"), w.Header().Get("retry-after"), w.Header().Get("retry-after-ms")}
		if diff := cmp.Diff([]string{tt.should, tt.after, tt.ms}, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.name, diff)
		}
	}
}

// Acceptance rows HD-08 to HD-10 of the peer.
func TestCORS(t *testing.T) {
	const page = "https://app.example"
	for _, tt := range []struct {
		name, method    string
		origins         []string
		origin          string
		allowed, varies string
		preflight       bool
	}{
		{"HD-08 preflight", "OPTIONS", []string{"*"}, page, page, "Origin", true},
		{"preflight without an origin", "OPTIONS", []string{"*"}, "", "*", "", true},
		{"HD-09 answer", "POST", []string{"*"}, page, page, "Origin", false},
		{"HD-09 answer to no browser", "GET", []string{"*"}, "", "*", "", false},
		{"HD-10 listed", "POST", []string{"https://b.example", page}, page, page, "Origin", false},
		{"HD-10 foreign", "POST", []string{"https://b.example"}, page, "", "", false},
		{"HD-10 foreign preflight", "OPTIONS", []string{"https://b.example"}, page, "", "", true},
		{"a listed name is no beginning", "POST", []string{page}, page + ".evil.example", "", "", false},
		{"nobody listed", "OPTIONS", nil, page, "", "", true},
		{"null is an origin like others", "POST", []string{page}, "null", "", "", false},
	} {
		w, r := httptest.NewRecorder(), httptest.NewRequest(tt.method, "/api/providers/openai/v1/chat/completions", nil)
		if tt.origin != "" {
			r.Header.Set("Origin", tt.origin)
		}
		r.Header.Set("Access-Control-Request-Method", "POST")
		r.Header.Set("Access-Control-Request-Headers", "authorization, x-custom-event-id")
		preflight := web.CORS{Origins: tt.origins}.Allow(w, r)
		h := w.Header()
		if preflight != tt.preflight || h.Get("Access-Control-Allow-Origin") != tt.allowed || h.Get("Vary") != tt.varies || h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: preflight %v, %v", tt.name, preflight, h)
		}
		if !preflight {
			continue
		}
		want := http.Header{}
		if tt.allowed != "" {
			want = http.Header{"Access-Control-Allow-Methods": {"POST"}, "Access-Control-Allow-Headers": {"authorization, x-custom-event-id"}, "Access-Control-Max-Age": {"3600"}}
		}
		got := h.Clone()
		got.Del("Access-Control-Allow-Origin")
		got.Del("Vary")
		if diff := cmp.Diff(want, got); diff != "" || w.Code != http.StatusNoContent || w.Body.Len() > 0 {
			t.Errorf("%s: status %d, (-want +got)\n%s", tt.name, w.Code, diff)
		}
	}
}
