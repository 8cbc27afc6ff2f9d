package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// geminiChecks are those that clients/python has to make.
var geminiChecks = []string{"generate", "stream", "function", "embed", "count tokens", "models",
	"unknown key", "model not allowed", "rate limit", "cost limit"}

// TestGeminiSDK runs Google's own SDK against `tollgate local`: only its base URL
// is changed.
func TestGeminiSDK(t *testing.T) {
	t.Parallel()
	python := need(t, ".build/sdk/venv/bin/python")
	g := startLocal(t)
	upstream := newGemini(t)
	all := g.admin.settingFor(t, "gemini", upstream)
	one := g.admin.settingFor(t, "gemini", upstream, "gemini-2.5-pro")
	open := g.admin.key(t, all, keyLimit{"cost", "lifetime", 10}, keyLimit{"requests", "m", 10_000})
	far := g.admin.key(t, all, keyLimit{"requests", "mo", 1})
	quota := g.admin.key(t, all, keyLimit{"cost", "lifetime", 0.000001})
	models := g.admin.key(t, one)
	runChecks(t, geminiChecks, []string{"PYTHONDONTWRITEBYTECODE=1", "BASE_URL=" + g.proxy + "/api/providers/gemini",
		"KEY=" + open.Secret, "KEY_FAR=" + far.Secret, "KEY_QUOTA=" + quota.Secret, "KEY_MODELS=" + models.Secret,
	}, python, "clients/python/gemini.py")

	// Three answers: 8 tokens in, 4 cached, 8 out, at 300, 30 and 2,500 nano-dollars;
	// 20 tokens to embed at 150.
	const answer, embedding = 8*300 + 4*30 + 8*2500, 20 * 150
	if total := g.settled(t, open, 7); total != 3*answer+embedding {
		t.Errorf("the key spent %d nano-dollars, want %d", total, 3*answer+embedding)
	}
	if got := statuses(g.admin.awaitEvents(t, far, 2)); got != "200 429" {
		t.Errorf("calls with status %s", got)
	}
	g.checkHealth(t)
}

// newGemini is a scripted Gemini that fails the test if a request lacks the
// provider's own credential or has another.
func newGemini(t *testing.T) (url string) {
	const (
		greeting = `{"parts":[{"text":%q}],"role":"model"}`
		call     = `{"parts":[{"functionCall":{"name":"weather","args":{"city":"Paris"}}}],"role":"model"}`
		whole    = `{"candidates":[{"content":%s,"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":12,"cachedContentTokenCount":4,"candidatesTokenCount":5,"thoughtsTokenCount":3,"totalTokenCount":20},"modelVersion":"gemini-2.5-flash"}`
		part     = `{"candidates":[{"content":%s}],"usageMetadata":{"promptTokenCount":12,"totalTokenCount":12},"modelVersion":"gemini-2.5-flash"}`
		model    = `{"name":"models/gemini-2.5-flash"}`
	)
	say := func(form, text string) string { return fmt.Sprintf(form, fmt.Sprintf(greeting, text)) }
	return serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Goog-Api-Key") != upstreamKey || r.Header.Get("Authorization") != "" || r.URL.Query().Has("key") {
			t.Errorf("%s came with %v", r.URL, r.Header)
		}
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		switch _, verb, _ := strings.Cut(r.URL.Path, ":"); {
		case verb == "generateContent" && strings.Contains(string(body), "functionDeclarations"):
			fmt.Fprintf(w, whole, call)
		case verb == "generateContent":
			io.WriteString(w, say(whole, "Hello from upstream."))
		case verb == "streamGenerateContent" && r.URL.RawQuery == "alt=sse":
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprintf(w, "data: %s\r\n\r\n", say(part, "Hello from "))
			w.(http.Flusher).Flush()
			fmt.Fprintf(w, "data: %s\r\n\r\n", say(whole, "upstream."))
		case verb == "batchEmbedContents":
			reply(w, json.RawMessage(`{"embeddings":[{"values":[0.5]},{"values":[0.5]}],"usageMetadata":{"promptTokenCount":20}}`))
		case verb == "countTokens":
			reply(w, json.RawMessage(`{"totalTokens":17}`))
		case r.URL.Path == "/v1beta/models":
			reply(w, json.RawMessage(`{"models":[`+model+`]}`))
		case r.URL.Path == "/v1beta/models/gemini-2.5-flash":
			io.WriteString(w, model)
		default:
			t.Errorf("%s %s is not part of the script", r.Method, r.URL)
			http.NotFound(w, r)
		}
	}))
}
