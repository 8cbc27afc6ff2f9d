package fakeai

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Bedrock is an upstream that answers like Amazon Bedrock, to whoever has signed
// the call or sends the API key: always the same words.
type Bedrock struct {
	Secrets map[string]string // secret access keys by access key id
	APIKey  string
	// Gap is the time between the frames of a stream.
	Gap time.Duration
	// Override, if set, answers instead; it reports false to let Bedrock answer.
	Override func(w http.ResponseWriter, r *http.Request, body []byte) bool

	mu       sync.Mutex
	requests []BedrockRequest
}

// BedrockRequest is what the upstream saw.
type BedrockRequest struct {
	Request
	Signed Signed
	Err    error // why the credential was refused
}

// Last is the latest request; a zero one if there is none.
func (b *Bedrock) Last() BedrockRequest {
	if all := b.Requests(); len(all) > 0 {
		return all[len(all)-1]
	}
	return BedrockRequest{}
}

// Requests are the requests so far.
func (b *Bedrock) Requests() []BedrockRequest {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]BedrockRequest(nil), b.requests...)
}

// Tokens that every answer reports beside PromptTokens and CompletionTokens.
const (
	CacheReadTokens  = 4
	CacheWriteTokens = 3
)

// Greeting is what Bedrock always says, in two pieces where it streams.
const Greeting = "Hello from Bedrock."

// ServeHTTP implements http.Handler.
func (b *Bedrock) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	got := BedrockRequest{Request: Request{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Clone(), body}}
	if b.APIKey == "" || r.Header.Get("Authorization") != "Bearer "+b.APIKey {
		got.Signed, got.Err = VerifyAWS(r, body, func(id string) string { return b.Secrets[id] })
	}
	b.mu.Lock()
	b.requests = append(b.requests, got)
	b.mu.Unlock()
	w.Header().Set("X-Amzn-Requestid", "req-bedrock")
	if got.Err != nil {
		RefuseBedrock(w, http.StatusForbidden, "InvalidSignatureException", got.Err.Error())
		return
	}
	if b.Override != nil && b.Override(w, r, body) {
		return
	}
	b.answer(w, r, body)
}

// RefuseBedrock answers with an error in Bedrock's form.
func RefuseBedrock(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amzn-Errortype", kind+":http://internal.amazon.com/coral/com.amazon.bedrock/")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"message": message})
}

func (b *Bedrock) answer(w http.ResponseWriter, r *http.Request, body []byte) {
	parts := strings.Split(r.URL.EscapedPath(), "/")
	if len(parts) != 4 || parts[1] != "model" {
		RefuseBedrock(w, http.StatusNotFound, "UnknownOperationException", "no such operation")
		return
	}
	model, _ := url.PathUnescape(parts[2])
	switch parts[3] {
	case "converse":
		reply(w, `{"metrics":{"latencyMs":5},"output":{"message":{"role":"assistant","content":[{"text":%q}]}},"stopReason":"end_turn","usage":%s}`, Greeting, ConverseUsage)
	case "converse-stream":
		b.Stream(w, r, converseFrames...)
	case "invoke":
		h := w.Header()
		h.Set("X-Amzn-Bedrock-Input-Token-Count", fmt.Sprint(PromptTokens))
		h.Set("X-Amzn-Bedrock-Output-Token-Count", fmt.Sprint(CompletionTokens))
		h.Set("X-Amzn-Bedrock-Invocation-Latency", "5")
		if strings.Contains(model, "anthropic.") {
			reply(w, `{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[{"type":"text","text":%q}],"stop_reason":"end_turn","usage":%s}`, Greeting, claudeUsage)
			return
		}
		reply(w, `{"generation":%q,"stop_reason":"stop"}`, Greeting)
	case "invoke-with-response-stream":
		w.Header().Set("X-Amzn-Bedrock-Content-Type", "application/json")
		if bytes.Contains(body, []byte(`"prompt"`)) {
			b.Stream(w, r, completeFrames...)
			return
		}
		b.Stream(w, r, ClaudeFrames...)
	case "count-tokens":
		reply(w, `{"inputTokens":%d}`, PromptTokens)
	default:
		RefuseBedrock(w, http.StatusNotFound, "UnknownOperationException", "no such operation")
	}
}

func reply(w http.ResponseWriter, format string, args ...any) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, format, args...)
}

// Stream sends frames one by one until the caller leaves.
func (b *Bedrock) Stream(w http.ResponseWriter, r *http.Request, frames ...[]byte) {
	w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
	for i, f := range frames {
		if i > 0 && !sleep(r, b.Gap) {
			return
		}
		w.Write(f)
		w.(http.Flusher).Flush()
	}
}

// ConverseUsage is the usage of a conversation.
var ConverseUsage = fmt.Sprintf(`{"inputTokens":%d,"outputTokens":%d,"totalTokens":%d,"cacheReadInputTokens":%d,"cacheWriteInputTokens":%d,"cacheDetails":[{"ttl":"5m","inputTokens":1},{"ttl":"1h","inputTokens":2}]}`,
	PromptTokens, CompletionTokens, PromptTokens+CompletionTokens+CacheReadTokens+CacheWriteTokens, CacheReadTokens, CacheWriteTokens)

var claudeUsage = fmt.Sprintf(`{"input_tokens":%d,"cache_creation_input_tokens":%d,"cache_read_input_tokens":%d,"cache_creation":{"ephemeral_5m_input_tokens":1,"ephemeral_1h_input_tokens":2},"output_tokens":%d}`,
	PromptTokens, CacheWriteTokens, CacheReadTokens, CompletionTokens)

var metrics = fmt.Sprintf(`"amazon-bedrock-invocationMetrics":{"inputTokenCount":%d,"outputTokenCount":%d,"invocationLatency":5,"firstByteLatency":2,"cacheReadInputTokenCount":%d,"cacheWriteInputTokenCount":%d}`,
	PromptTokens, CompletionTokens, CacheReadTokens, CacheWriteTokens)

var converseFrames = [][]byte{
	Frame("event", "messageStart", `{"p":"abc","role":"assistant"}`),
	Frame("event", "contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"Hello "},"p":"ab"}`),
	Frame("event", "contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"from Bedrock."},"p":"abcd"}`),
	Frame("event", "contentBlockStop", `{"contentBlockIndex":0,"p":""}`),
	Frame("event", "messageStop", `{"p":"a","stopReason":"end_turn"}`),
	Frame("event", "metadata", `{"metrics":{"latencyMs":5},"p":"abcdef","usage":`+ConverseUsage+`}`),
}

// ClaudeEvents are the events of a message, and ClaudeFrames how Bedrock sends them.
var (
	ClaudeEvents = []string{
		`{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[],"stop_reason":null,"usage":` + claudeUsage + `}}`,
		`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello "}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"from Bedrock."}}`,
		`{"type":"content_block_stop","index":0}`,
		fmt.Sprintf(`{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":%d}}`, CompletionTokens),
		`{"type":"message_stop",` + metrics + `}`,
	}
	ClaudeFrames = chunks(ClaudeEvents)

	// CompleteEvents are the events of the older API.
	CompleteEvents = []string{
		`{"type":"completion","completion":" Hello","stop_reason":null,"stop":null}`,
		`{"type":"completion","completion":" there","stop_reason":"stop_sequence","stop":"\n\nHuman:",` + metrics + `}`,
	}
	completeFrames = chunks(CompleteEvents)
)

func chunks(events []string) [][]byte {
	frames := make([][]byte, len(events))
	for i, e := range events {
		frames[i] = Chunk(e)
	}
	return frames
}

// Chunk is a frame of an invoked model's stream.
func Chunk(data string) []byte {
	return Frame("event", "chunk", fmt.Sprintf(`{"bytes":%q,"p":"abcdefghij"}`, base64.StdEncoding.EncodeToString([]byte(data))))
}

// Frame is a frame of an AWS event stream, after its published description: kind is
// "event" or "exception".
func Frame(kind, name, payload string) []byte {
	var headers bytes.Buffer
	for _, h := range [][2]string{{":" + kind + "-type", name}, {":content-type", "application/json"}, {":message-type", kind}} {
		headers.WriteByte(byte(len(h[0])))
		headers.WriteString(h[0])
		headers.WriteByte(7) // a string
		binary.Write(&headers, binary.BigEndian, uint16(len(h[1])))
		headers.WriteString(h[1])
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(12+headers.Len()+len(payload)+4))
	b = binary.BigEndian.AppendUint32(b, uint32(headers.Len()))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	b = append(append(b, headers.Bytes()...), payload...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}
