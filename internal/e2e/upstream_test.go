package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// The answers that clients/node and clients/python expect as well.
const (
	greeting         = "Hello from upstream."
	promptTokens     = 12
	completionTokens = 5
	upstreamID       = "req_upstream"
)

// upstream is a scripted provider. What it answers hangs on the last user message
// of a chat: "fail 404", "cut", "hang" and so on; see chat.
type upstream struct {
	url   string // with /v1
	calls atomic.Int64
	// watch, if set, is told when a chat arrives and when its answer is out.
	watch atomic.Pointer[func(stage string)]
	done  chan struct{} // closed when the test ends, so that nothing hangs on

	mu    sync.Mutex
	files map[string]upload // by id
	leaks []string          // what should not have got here
}

// newUpstream serves until the test ends, which then fails if a request held what
// a provider must not see, or lacked the provider's own credential.
func newUpstream(t testing.TB) *upstream {
	u := &upstream{done: make(chan struct{}), files: make(map[string]upload)}
	u.url = serve(t, u.witness(u.routes())) + "/v1"
	t.Cleanup(func() { close(u.done) })
	t.Cleanup(func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		for _, leak := range u.leaks {
			t.Error(leak)
		}
	})
	return u
}

// witness looks at every request before it is answered.
func (u *upstream) witness(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.calls.Add(1)
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if leaks := inspect(r, body); len(leaks) > 0 {
			u.mu.Lock()
			u.leaks = append(u.leaks, leaks...)
			u.mu.Unlock()
		}
		w.Header().Set("X-Request-Id", upstreamID)
		next.ServeHTTP(w, r)
	})
}

// inspect lists what is wrong with a request as the provider sees it.
func inspect(r *http.Request, body []byte) (leaks []string) {
	what := r.Method + " " + r.URL.Path
	if got := r.Header.Get("Authorization"); got != "Bearer "+upstreamKey {
		leaks = append(leaks, fmt.Sprintf("%s came with the credential %q", what, got))
	}
	if strings.Contains(r.URL.String(), keyPrefix) || bytes.Contains(body, []byte(keyPrefix)) {
		leaks = append(leaks, what+" has a gateway key in its address or body")
	}
	for name, values := range r.Header {
		if strings.Contains(strings.Join(values, " "), keyPrefix) {
			leaks = append(leaks, what+" has a gateway key in header "+name)
		}
		if strings.HasPrefix(name, "X-Amz") || strings.HasPrefix(name, "X-Forwarded") || name == "X-Api-Key" || name == "Cookie" {
			leaks = append(leaks, what+" has the header "+name)
		}
	}
	return leaks
}

func (u *upstream) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", u.chat)
	mux.HandleFunc("POST /v1/responses", respond)
	mux.HandleFunc("POST /v1/embeddings", embeddings)
	mux.HandleFunc("POST /v1/images/generations", images)
	mux.HandleFunc("POST /v1/images/edits", imageEdits)
	mux.HandleFunc("POST /v1/audio/speech", speech)
	mux.HandleFunc("POST /v1/audio/transcriptions", transcriptions)
	mux.HandleFunc("GET /v1/models", models)
	mux.HandleFunc("POST /v1/files", u.createFile)
	mux.HandleFunc("GET /v1/files", u.listFiles)
	mux.HandleFunc("GET /v1/files/{id}", u.file)
	mux.HandleFunc("GET /v1/files/{id}/content", u.fileContent)
	mux.HandleFunc("DELETE /v1/files/{id}", u.deleteFile)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusNotFound, "Invalid URL ("+r.Method+" "+r.URL.Path+")")
	})
	return mux
}

func (u *upstream) tell(stage string) {
	if f := u.watch.Load(); f != nil {
		(*f)(stage)
	}
}

// chatRequest is what chat looks at.
type chatRequest struct {
	Model    string
	Stream   bool
	Messages []struct {
		Role    string
		Content json.RawMessage
	}
	Tools          []struct{ Function struct{ Name string } }
	ResponseFormat struct {
		Type       string
		JSONSchema struct {
			Name   string
			Schema json.RawMessage
		} `json:"json_schema"`
	} `json:"response_format"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	MaxTokens int `json:"max_completion_tokens"`
}

// last is the text of the last message, and whether a tool has sent it.
func (r *chatRequest) last() (text string, tool bool) {
	if len(r.Messages) == 0 {
		return "", false
	}
	m := r.Messages[len(r.Messages)-1]
	if json.Unmarshal(m.Content, &text) != nil {
		var parts []struct{ Text string }
		_ = json.Unmarshal(m.Content, &parts) // neither: then there is no text
		for _, p := range parts {
			text += p.Text
		}
	}
	return text, m.Role == "tool"
}

// chat plays the script that the last message names.
func (u *upstream) chat(w http.ResponseWriter, r *http.Request) {
	u.tell("request")
	defer u.tell("answered")
	var req chatRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		refuse(w, http.StatusBadRequest, "We could not parse the JSON body of your request.")
		return
	}
	text, tool := req.last()
	words := strings.Fields(text)
	script, argument := "", 0
	if len(words) > 0 {
		script = words[0]
	}
	if len(words) > 1 {
		fmt.Sscan(words[1], &argument)
	}
	switch {
	case tool:
		u.answer(w, &req, message{content: "The tool says: " + text})
	case script == "fail":
		refuse(w, argument, "The upstream refuses this on purpose.")
	case script == "hang":
		select {
		case <-r.Context().Done():
		case <-u.done:
		}
	case script == "tool" && len(req.Tools) > 0:
		u.answer(w, &req, message{tool: req.Tools[0].Function.Name, arguments: `{"city":"Paris"}`})
	case script == "structured":
		u.structured(w, &req)
	case script == "spend": // all that it may
		u.answer(w, &req, message{content: strings.Repeat("so ", req.MaxTokens), tokens: req.MaxTokens})
	case script == "long":
		u.answer(w, &req, message{content: strings.Repeat("word ", argument)})
	case script == "cut" || script == "error":
		breakOff(w, &req, script == "cut")
	default:
		u.answer(w, &req, message{content: greeting})
	}
}

func (u *upstream) structured(w http.ResponseWriter, req *chatRequest) {
	if f := req.ResponseFormat; f.Type != "json_schema" || !strings.Contains(string(f.JSONSchema.Schema), "celsius") {
		refuse(w, http.StatusBadRequest, "response_format did not arrive.")
		return
	}
	u.answer(w, req, message{content: `{"city":"Paris","celsius":21}`})
}

// message is what the model says.
type message struct {
	content         string
	tool, arguments string
	tokens          int // completionTokens if 0
}

func (u *upstream) answer(w http.ResponseWriter, req *chatRequest, m message) {
	if m.tokens == 0 {
		m.tokens = completionTokens
	}
	usage := map[string]any{
		"prompt_tokens": promptTokens, "completion_tokens": m.tokens, "total_tokens": promptTokens + m.tokens,
		"prompt_tokens_details": map[string]int{"cached_tokens": 4},
	}
	if req.Stream {
		u.stream(w, req, m, usage)
		return
	}
	said := map[string]any{"role": "assistant", "content": m.content, "refusal": nil}
	finish := "stop"
	if m.tool != "" {
		said["content"], finish = nil, "tool_calls"
		said["tool_calls"] = []any{toolCall(m.tool, m.arguments)}
	}
	reply(w, map[string]any{
		"id": "chatcmpl-1", "object": "chat.completion", "created": 1790000000, "model": req.Model,
		"choices": []any{map[string]any{"index": 0, "message": said, "logprobs": nil, "finish_reason": finish}},
		"usage":   usage, "service_tier": "default",
	})
}

func toolCall(name, arguments string) map[string]any {
	return map[string]any{
		"id": "call_1", "type": "function", "function": map[string]string{"name": name, "arguments": arguments},
	}
}

// stream sends a message word by word, or a tool call in two parts.
func (u *upstream) stream(w http.ResponseWriter, req *chatRequest, m message, usage any) {
	s := newEventStream(w)
	deltas := []map[string]any{{"role": "assistant", "content": ""}}
	if m.tool != "" {
		first, rest := m.arguments[:3], m.arguments[3:]
		call := toolCall(m.tool, first)
		call["index"] = 0
		deltas = append(deltas, map[string]any{"tool_calls": []any{call}}, map[string]any{"tool_calls": []any{
			map[string]any{"index": 0, "function": map[string]string{"arguments": rest}},
		}})
	}
	for word := range strings.SplitAfterSeq(m.content, " ") {
		if word != "" {
			deltas = append(deltas, map[string]any{"content": word})
		}
	}
	for _, delta := range deltas {
		s.send("", chunk(req, delta, nil))
	}
	finish := "stop"
	if m.tool != "" {
		finish = "tool_calls"
	}
	s.send("", chunk(req, map[string]any{}, finish))
	if req.StreamOptions.IncludeUsage {
		last := chunk(req, nil, nil)
		last["choices"], last["usage"] = []any{}, usage
		s.send("", last)
	}
	s.end()
}

func chunk(req *chatRequest, delta map[string]any, finish any) map[string]any {
	return map[string]any{
		"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1790000000, "model": req.Model,
		"choices": []any{map[string]any{"index": 0, "delta": delta, "finish_reason": finish}},
	}
}

// breakOff begins a stream and then cuts the connection, or sends an error in it.
func breakOff(w http.ResponseWriter, req *chatRequest, cut bool) {
	s := newEventStream(w)
	s.send("", chunk(req, map[string]any{"content": "Hel"}, nil))
	if cut {
		panic(http.ErrAbortHandler)
	}
	s.send("", map[string]any{"error": problem(500, "The upstream breaks off on purpose.")})
}

// eventStream writes server-sent events, each flushed.
type eventStream struct {
	w http.ResponseWriter
}

func newEventStream(w http.ResponseWriter) *eventStream {
	w.Header().Set("Content-Type", "text/event-stream")
	return &eventStream{w}
}

func (s *eventStream) send(name string, data any) {
	b, _ := json.Marshal(data) // made of maps and strings
	if name != "" {
		fmt.Fprintf(s.w, "event: %s\n", name)
	}
	fmt.Fprintf(s.w, "data: %s\n\n", b)
	http.NewResponseController(s.w).Flush()
}

func (s *eventStream) end() { io.WriteString(s.w, "data: [DONE]\n\n") }

func reply(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(body)
}

// refuse answers with an error as OpenAI words it.
func refuse(w http.ResponseWriter, status int, why string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"error": problem(status, why)})
}

func problem(status int, why string) map[string]any {
	return map[string]any{
		"message": why, "type": "upstream_error", "param": "messages", "code": fmt.Sprintf("upstream_%d", status),
	}
}
