package provider_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"tollgate/internal/gateway"
	"tollgate/internal/provider"
)

const openAI = "/api/providers/openai/v1"

// peerRows are the OpenAI rows of the peer's route
// table, in its order: a key's allowedPaths name these patterns, so both verb and
// parameter names are API.
const peerRows = `
POST /audio/speech
POST /audio/transcriptions
POST /audio/translations
POST /chat/completions
POST /embeddings
POST /moderations
GET /models
GET /models/:model
DELETE /models/:model
POST /assistants
GET /assistants/:assistant_id
POST /assistants/:assistant_id
DELETE /assistants/:assistant_id
GET /assistants
POST /assistants/:assistant_id/files
GET /assistants/:assistant_id/files/:file_id
DELETE /assistants/:assistant_id/files/:file_id
GET /assistants/:assistant_id/files
POST /threads
GET /threads/:thread_id
POST /threads/:thread_id
DELETE /threads/:thread_id
POST /threads/:thread_id/messages
GET /threads/:thread_id/messages/:message_id
POST /threads/:thread_id/messages/:message_id
GET /threads/:thread_id/messages
GET /threads/:thread_id/messages/:message_id/files/:file_id
GET /threads/:thread_id/messages/:message_id/files
POST /threads/:thread_id/runs
GET /threads/:thread_id/runs/:run_id
POST /threads/:thread_id/runs/:run_id
GET /threads/:thread_id/runs
POST /threads/:thread_id/runs/:run_id/submit_tool_outputs
POST /threads/:thread_id/runs/:run_id/cancel
POST /threads/runs
GET /threads/:thread_id/runs/:run_id/steps/:step_id
GET /threads/:thread_id/runs/:run_id/steps
GET /files
POST /files
DELETE /files/:file_id
GET /files/:file_id
GET /files/:file_id/content
POST /batches
GET /batches/:batch_id
POST /batches/:batch_id/cancel
GET /batches
POST /images/generations
POST /images/edits
POST /images/variations
POST /vector_stores
GET /vector_stores
GET /vector_stores/:vector_store_id
POST /vector_stores/:vector_store_id
DELETE /vector_stores/:vector_store_id
POST /vector_stores/:vector_store_id/files
GET /vector_stores/:vector_store_id/files
GET /vector_stores/:vector_store_id/files/:file_id
DELETE /vector_stores/:vector_store_id/files/:file_id
POST /vector_stores/:vector_store_id/file_batches
GET /vector_stores/:vector_store_id/file_batches/:batch_id
POST /vector_stores/:vector_store_id/file_batches/:batch_id/cancel
GET /vector_stores/:vector_store_id/file_batches/:batch_id/files
`

// newerRows are endpoints of the official SDK that the peer does not serve.
const newerRows = `
POST /completions
POST /responses
POST /responses/compact
POST /responses/input_tokens
GET /responses/:response_id
DELETE /responses/:response_id
POST /responses/:response_id/cancel
GET /responses/:response_id/input_items
POST /conversations
GET /conversations/:conversation_id
POST /conversations/:conversation_id/items
DELETE /conversations/:conversation_id/items/:item_id
GET /chat/completions
GET /chat/completions/:completion_id
POST /chat/completions/:completion_id
DELETE /chat/completions/:completion_id
GET /chat/completions/:completion_id/messages
DELETE /threads/:thread_id/messages/:message_id
POST /uploads
POST /uploads/:upload_id/parts
POST /uploads/:upload_id/complete
POST /uploads/:upload_id/cancel
POST /fine_tuning/jobs
GET /fine_tuning/jobs
GET /fine_tuning/jobs/:job_id
POST /fine_tuning/jobs/:job_id/cancel
POST /fine_tuning/jobs/:job_id/pause
POST /fine_tuning/jobs/:job_id/resume
GET /fine_tuning/jobs/:job_id/events
GET /fine_tuning/jobs/:job_id/checkpoints
POST /vector_stores/:vector_store_id/search
POST /vector_stores/:vector_store_id/files/:file_id
GET /vector_stores/:vector_store_id/files/:file_id/content
`

var paramName = regexp.MustCompile(`/:([a-z_]+)`)

// sample puts an id into every parameter of a pattern.
func sample(pattern string) string { return paramName.ReplaceAllString(pattern, "/$1-1") }

func TestTable(t *testing.T) {
	router := provider.NewRouter(provider.All()...)
	rows := 0
	for line := range strings.Lines(peerRows + newerRows) {
		method, pattern, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		rows++
		e, upstream, err := router.Match(method, sample(openAI+pattern))
		if err != nil {
			t.Errorf("%s %s: %v", method, pattern, err)
			continue
		}
		if e.Method != method || e.Pattern != openAI+pattern || upstream != sample(pattern) || e.Vendor.Name() != "openai" {
			t.Errorf("%s %s: found %s %s of %s, upstream %s", method, pattern, e.Method, e.Pattern, e.Vendor.Name(), upstream)
		}
	}
	if rows != 62+33 {
		t.Errorf("%d rows were tried", rows)
	}
}

// Match never goes back: a static segment wins for good. So every row must find
// itself, or it could never be called.
func TestTableNeedsNoBacktracking(t *testing.T) {
	router := provider.NewRouter(provider.All()...)
	listed := 0
	for _, v := range provider.All() {
		listed += len(v.Endpoints())
	}
	endpoints := router.Endpoints()
	if len(endpoints) != listed {
		t.Errorf("%d rows, of which the router holds %d: two are the same", listed, len(endpoints))
	}
	for _, e := range endpoints {
		got, _, err := router.Match(e.Method, sample(e.Pattern))
		if err != nil || got != e {
			t.Errorf("%s %s finds %v, %v", e.Method, e.Pattern, got, err)
		}
		if strings.Count(e.Pattern, ":") != strings.Count(e.Upstream, ":") {
			t.Errorf("%s and %s differ in their parameters", e.Pattern, e.Upstream)
		}
	}
}

// What talks past the gateway, or administers the provider's account, is not
// served whatever the verb.
func TestNotServed(t *testing.T) {
	router := provider.NewRouter(provider.All()...)
	for _, path := range []string{
		"", "/", "/api", openAI, openAI + "/nothing", openAI + "/chat", openAI + "/chat/completions/a/b",
		openAI + "/realtime", openAI + "/realtime/sessions", openAI + "/realtime/client_secrets",
		openAI + "/realtime/transcription_sessions", openAI + "/realtime/calls", openAI + "/live/sessions",
		openAI + "/organization/users", openAI + "/organization/admin_api_keys", openAI + "/projects/p/roles",
		openAI + "/responses/client_secrets/x", openAI + "/webhook_endpoints", openAI + "/vaults",
		"/api/providers/azure/openai/deployments/x/realtime", "/api/providers/azure/openai/deployments/x/chat", "/v1/chat/completions",
		openAI + strings.Repeat("/a", 40),
	} {
		for _, method := range []string{"GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "CONNECT", ""} {
			if e, _, err := router.Match(method, path); gateway.KindOf(err) != gateway.NotFound || err == nil {
				t.Errorf("%s %q: %v, %v; want not found", method, path, e, err)
			}
		}
	}
	for _, method := range []string{"GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "post", ""} {
		if _, _, err := router.Match(method, openAI+"/embeddings"); gateway.KindOf(err) != gateway.NotFound {
			t.Errorf("%s embeddings: %v; want not found", method, err)
		}
	}
}

func TestMatchSegments(t *testing.T) {
	router := provider.NewRouter(provider.All()...)
	for _, tt := range []struct {
		name, method, path string
		upstream           string // empty: refused
		kind               gateway.Kind
	}{
		{"slash at the end", "POST", "/chat/completions/", "/chat/completions", 0},
		{"several", "POST", "/chat/completions///", "/chat/completions", 0},
		{"fine-tuned model", "GET", "/models/ft:gpt-4.1:acme::abc", "/models/ft:gpt-4.1:acme::abc", 0},
		{"escaped letters", "GET", "/models/%67pt-5", "/models/gpt-5", 0},
		{"umlaut", "GET", "/models/%C3%BC", "/models/%C3%BC", 0},
		{"three dots", "GET", "/models/...", "/models/...", 0},
		{"longest id", "GET", "/models/" + strings.Repeat("m", 256), "/models/" + strings.Repeat("m", 256), 0},
		{"escaped static segment", "POST", "/%63hat/completions", "/chat/completions", 0},
		{"escaped static segment beside a parameter", "POST", "/threads/%72uns", "/threads/runs", 0},

		{"id too long", "GET", "/models/" + strings.Repeat("m", 257), "", gateway.Invalid},
		{"dot", "GET", "/models/.", "", gateway.Invalid},
		{"dots", "GET", "/files/..", "", gateway.Invalid},
		{"escaped dots", "GET", "/files/%2e%2E/content", "", gateway.Invalid},
		{"escaped slash", "GET", "/files/a%2Fb", "", gateway.Invalid},
		{"escaped twice", "GET", "/files/a%252Fb", "", gateway.Invalid},
		{"backslash", "GET", `/files/a%5Cb`, "", gateway.Invalid},
		{"question mark", "GET", "/files/a%3Fb", "", gateway.Invalid},
		{"hash", "GET", "/files/a%23b", "", gateway.Invalid},
		{"line end", "GET", "/files/a%0D%0Ab", "", gateway.Invalid},
		{"NUL", "GET", "/files/a%00", "", gateway.Invalid},
		{"blank", "GET", "/files/a%20b", "", gateway.Invalid},
		{"matrix parameter", "GET", "/files/a;b=c", "", gateway.Invalid},
		{"bad escape", "GET", "/files/a%zz", "", gateway.Invalid},
		{"empty segment", "GET", "/files//content", "", gateway.Invalid},
		{"escaped slash in a static segment", "POST", "/chat%2Fcompletions", "", gateway.NotFound},
	} {
		e, upstream, err := router.Match(tt.method, openAI+tt.path)
		if upstream != tt.upstream || (err == nil) != (tt.upstream != "") || err != nil && gateway.KindOf(err) != tt.kind {
			t.Errorf("%s: %v, upstream %q, %v; want %q, kind %d", tt.name, e, upstream, err, tt.upstream, tt.kind)
		}
	}
}

// The verb and path decide how a call is metered; the two must not be told apart
// by a spelling that the provider does not see.
func TestEscapedRunIsMetered(t *testing.T) {
	router := provider.NewRouter(provider.All()...)
	e, _, err := router.Match("POST", openAI+"/threads/%72%75ns")
	if err != nil || e.Metering != provider.Run {
		t.Errorf("endpoint %+v, %v; want a metered run", e, err)
	}
}

func FuzzMatch(f *testing.F) {
	for _, path := range []string{"/models/x", "/files/%2e%2e/content", "/threads/%72uns", "//", "/files/%", "/models/\xff",
		"/vector_stores/a/files/b/content", "/files/a%3fb", "/threads/t/runs/r/steps/s"} {
		f.Add("GET", path)
		f.Add("POST", path)
	}
	router := provider.NewRouter(provider.All()...)
	f.Fuzz(func(t *testing.T, method, path string) {
		e, upstream, err := router.Match(method, openAI+path)
		if err != nil {
			if k := gateway.KindOf(err); k != gateway.NotFound && k != gateway.Invalid {
				t.Fatalf("%q: kind %d", path, k)
			}
			return
		}
		u, err := url.Parse("https://upstream.example/v1" + upstream)
		if err != nil || u.RawQuery != "" || u.Fragment != "" || u.Host != "upstream.example" {
			t.Fatalf("%q becomes %q: %v, %v", path, upstream, u, err)
		}
		if strings.ContainsAny(upstream, "?#\\ ") || strings.Contains(strings.ToUpper(upstream), "%2F") || u.JoinPath().Path != u.Path {
			t.Fatalf("%q becomes %q", path, upstream)
		}
		// What the provider will see leads to the same row again.
		again, second, err := router.Match(method, openAI+u.EscapedPath()[len("/v1"):])
		if err != nil || again != e || second != upstream {
			t.Fatalf("%q becomes %q, which is %v, %q, %v", path, upstream, again, second, err)
		}
		if e.Method != method || strings.Count(upstream, "/") != strings.Count(e.Upstream, "/") {
			t.Fatalf("%q is %s %s, upstream %q", path, e.Method, e.Pattern, upstream)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	router := provider.NewRouter(provider.All()...)
	for _, path := range []string{"/chat/completions", "/threads/thread_abc/runs/run_abc/submit_tool_outputs"} {
		b.Run(path[1:5], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := router.Match(http.MethodPost, openAI+path); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
