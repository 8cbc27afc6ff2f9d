package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The answers that clients/node and clients/python expect as well.
const (
	claudeInput  = 12
	claudeRead   = 4
	claudeOutput = 5
	countedInput = 17
)

// claude is a scripted Anthropic. What it answers hangs on the last message: "tool",
// "fail 404" or "cut"; anything else is greeted.
type claude struct {
	url string // as SDKs want it, without /v1

	mu       sync.Mutex
	versions map[string]bool // seen in anthropic-version
	leaks    []string
}

// newClaude serves until the test ends, which then fails if a request held what a
// provider must not see, or lacked the provider's own credential.
func newClaude(t testing.TB) *claude {
	c := &claude{versions: make(map[string]bool)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/messages", c.messages)
	mux.HandleFunc("POST /v1/messages/count_tokens", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string]int{"input_tokens": countedInput})
	})
	c.url = serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.look(r)
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, leak := range c.leaks {
			t.Error(leak)
		}
	})
	return c
}

// look notes which version of the API is called, and what should not have come.
func (c *claude) look(r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.versions[r.Header.Get("Anthropic-Version")] = true
	if r.Header.Get("X-Api-Key") != upstreamKey || r.Header.Get("Authorization") != "" || r.Header.Get("User-Agent") == "" {
		c.leaks = append(c.leaks, fmt.Sprintf("%s came with the headers %v", r.URL.Path, r.Header))
	}
	for name, values := range r.Header {
		if strings.Contains(strings.Join(values, " "), keyPrefix) {
			c.leaks = append(c.leaks, r.URL.Path+" has a gateway key in header "+name)
		}
	}
}

// seen are the versions that were called.
func (c *claude) seen() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []string
	for v := range c.versions {
		list = append(list, v)
	}
	slices.Sort(list)
	return list
}

func (c *claude) messages(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Model     string
		Stream    bool
		MaxTokens int `json:"max_tokens"`
		Messages  []struct {
			Content []struct{ Text string }
		}
		Tools []struct{ Name string }
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(body, &req) != nil || len(req.Messages) == 0 || len(req.Messages[0].Content) == 0 || req.MaxTokens == 0 {
		refuseClaude(w, http.StatusBadRequest, "invalid_request_error")
		return
	}
	text := req.Messages[len(req.Messages)-1].Content[0].Text
	script, argument, _ := strings.Cut(text, " ")
	blocks, stop := []map[string]any{{"type": "text", "text": greeting}}, "end_turn"
	switch script {
	case "fail":
		status := 0
		fmt.Sscan(argument, &status)
		refuseClaude(w, status, map[int]string{404: "not_found_error", 529: "overloaded_error"}[status])
		return
	case "tool":
		blocks, stop = []map[string]any{{"type": "tool_use", "id": "toolu_1", "name": req.Tools[0].Name, "input": map[string]string{"city": "Paris"}}}, "tool_use"
	}
	said := map[string]any{"id": "msg_1", "type": "message", "role": "assistant", "model": req.Model,
		"content": blocks, "stop_reason": stop, "stop_sequence": nil}
	usage := map[string]any{"input_tokens": claudeInput, "cache_read_input_tokens": claudeRead, "cache_creation_input_tokens": 0,
		"output_tokens": claudeOutput, "service_tier": "standard"}
	if said["usage"] = usage; !req.Stream {
		reply(w, said)
		return
	}
	streamClaude(w, said, blocks[0], stop, script == "cut")
}

func refuseClaude(w http.ResponseWriter, status int, kind string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"type":"error","error":{"type":%q,"message":"The upstream refuses this on purpose."},"request_id":"req_upstream"}`, kind)
}

// streamClaude sends a message of one block, and with cut breaks off within it.
func streamClaude(w http.ResponseWriter, said, block map[string]any, stop string, cut bool) {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	send := func(kind string, event map[string]any) {
		event["type"] = kind
		data, _ := json.Marshal(event)
		fmt.Fprintf(w, "event: %s\ndata: %s\n\n", kind, data)
		w.(http.Flusher).Flush()
	}
	delta := func(d map[string]any) { send("content_block_delta", map[string]any{"index": 0, "delta": d}) }
	usage := said["usage"].(map[string]any)
	output := usage["output_tokens"]
	usage["output_tokens"], said["content"], said["stop_reason"] = 1, []any{}, nil
	send("message_start", map[string]any{"message": said})
	send("ping", map[string]any{})
	if block["type"] == "text" {
		send("content_block_start", map[string]any{"index": 0, "content_block": map[string]any{"type": "text", "text": ""}})
		for word := range strings.SplitAfterSeq(block["text"].(string), " ") {
			delta(map[string]any{"type": "text_delta", "text": word})
			if cut {
				panic(http.ErrAbortHandler)
			}
		}
	} else {
		block["input"] = map[string]any{}
		send("content_block_start", map[string]any{"index": 0, "content_block": block})
		for _, part := range []string{`{"ci`, `ty":"Paris"}`} {
			delta(map[string]any{"type": "input_json_delta", "partial_json": part})
		}
	}
	send("content_block_stop", map[string]any{"index": 0})
	send("message_delta", map[string]any{"delta": map[string]any{"stop_reason": stop, "stop_sequence": nil}, "usage": map[string]any{"output_tokens": output}})
	send("message_stop", map[string]any{})
}
