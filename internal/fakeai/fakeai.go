// Package fakeai has upstreams that answer like OpenAI and Bedrock, for the demo, the
// benchmarks and the tests: always the same words, with usage, plain or streamed.
package fakeai

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Server is the upstream's http.Handler. The zero value answers at once.
type Server struct {
	// Delay is how long an answer takes to begin.
	Delay atomic.Int64 // nanoseconds
	// Gap is the time between the events of a stream.
	Gap atomic.Int64 // nanoseconds
	// Override, if set, answers instead; it reports false to let Server answer.
	Override func(w http.ResponseWriter, r *http.Request, body []byte) bool
	// Keep makes Requests remember what came in.
	Keep bool

	calls    atomic.Int64
	mu       sync.Mutex
	requests []Request
}

// Request is what the upstream saw.
type Request struct {
	Method, Path, Query string
	Header              http.Header
	Body                []byte
}

// Tokens that every answer reports.
const (
	PromptTokens     = 10
	CompletionTokens = 20
)

// Calls is the number of requests so far.
func (s *Server) Calls() int64 { return s.calls.Load() }

// Requests are the requests so far, if Keep is set.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// Last is the latest request; the zero Request if there is none.
func (s *Server) Last() Request {
	if all := s.Requests(); len(all) > 0 {
		return all[len(all)-1]
	}
	return Request{}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.calls.Add(1)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if s.Keep {
		s.mu.Lock()
		s.requests = append(s.requests, Request{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Clone(), body})
		s.mu.Unlock()
	}
	if !sleep(r, time.Duration(s.Delay.Load())) {
		return
	}
	if s.Override != nil && s.Override(w, r, body) {
		return
	}
	switch path := r.URL.Path; {
	case strings.HasSuffix(path, "/chat/completions"):
		s.chat(w, r, body)
	case strings.HasSuffix(path, "/embeddings"):
		embeddings(w, body)
	default:
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"object":"fake","id":"fake"}`)
	}
}

// sleep waits; it reports false if the caller left.
func sleep(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

var words = strings.TrimSuffix(strings.Repeat("token ", CompletionTokens), " ")

func (s *Server) chat(w http.ResponseWriter, r *http.Request, body []byte) {
	var req struct {
		Model         string
		Stream        bool
		StreamOptions struct {
			IncludeUsage bool `json:"include_usage"`
		} `json:"stream_options"`
	}
	if err := json.Unmarshal(body, &req); err != nil {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"error":{"message":"We could not parse the JSON body of your request.","type":"invalid_request_error","param":null,"code":null}}`)
		return
	}
	model, _ := json.Marshal(req.Model)
	if req.Stream {
		s.stream(w, r, model, req.StreamOptions.IncludeUsage)
		return
	}
	answer := fmt.Appendf(nil, `{"id":"chatcmpl-fake","object":"chat.completion","created":1700000000,"model":%s,`+
		`"choices":[{"index":0,"message":{"role":"assistant","content":%q},"logprobs":null,"finish_reason":"stop"}],`+
		`"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d},"system_fingerprint":"fp_fake"}`,
		model, words, PromptTokens, CompletionTokens, PromptTokens+CompletionTokens)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Request-Id", "req_fake")
	w.Write(answer)
}

func (s *Server) stream(w http.ResponseWriter, r *http.Request, model []byte, usage bool) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Request-Id", "req_fake")
	var b bytes.Buffer
	send := func(choices string, usage string) bool {
		b.Reset()
		fmt.Fprintf(&b, "data: {\"id\":\"chatcmpl-fake\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":%s,\"choices\":[%s]%s}\n\n",
			model, choices, usage)
		if _, err := w.Write(b.Bytes()); err != nil {
			return false
		}
		w.(http.Flusher).Flush()
		return true
	}
	for range CompletionTokens {
		if !send(`{"index":0,"delta":{"content":"token "},"finish_reason":null}`, "") || !sleep(r, time.Duration(s.Gap.Load())) {
			return
		}
	}
	send(`{"index":0,"delta":{},"finish_reason":"stop"}`, "")
	if usage {
		send("", fmt.Sprintf(`,"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}`,
			PromptTokens, CompletionTokens, PromptTokens+CompletionTokens))
	}
	io.WriteString(w, "data: [DONE]\n\n")
}

func embeddings(w http.ResponseWriter, body []byte) {
	var req struct{ Model string }
	_ = json.Unmarshal(body, &req)
	model, _ := json.Marshal(req.Model)
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,0.2]}],"model":%s,"usage":{"prompt_tokens":%d,"total_tokens":%d}}`,
		model, PromptTokens, PromptTokens)
}
