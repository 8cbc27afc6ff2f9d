package provider

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strconv"

	"github.com/tidwall/gjson"

	"tollgate/internal/eventstream"
)

// Answer implements Answering: callers of Anthropic's API get its events and its
// errors. On the paths of Bedrock's own everything stays as it is.
func (v bedrock) Answer(c *Call, res *http.Response) {
	switch {
	case !isClaude(c.Endpoint):
	case res.StatusCode >= 400:
		claudeError(res)
	case IsFramed(res.Header):
		res.Body = &claudeEvents{frames: res.Body}
		res.ContentLength = -1
		res.Header.Set("Content-Type", "text/event-stream; charset=utf-8")
		res.Header.Del("Content-Length")
		res.Header.Del("X-Amzn-Bedrock-Content-Type")
	}
}

// claudeEvents is a stream of chunks as the events that they hold.
type claudeEvents struct {
	frames io.ReadCloser
	dec    eventstream.Decoder
	out    bytes.Buffer
	piece  []byte
	err    error // what comes when out is empty
}

// Read returns what there is as soon as there is something.
func (e *claudeEvents) Read(p []byte) (int, error) {
	if e.piece == nil {
		e.piece = make([]byte, 16<<10)
	}
	for e.out.Len() == 0 {
		if e.err != nil {
			return 0, e.err
		}
		n, err := e.frames.Read(e.piece)
		if broken := e.dec.Feed(e.piece[:n], e.event); broken != nil {
			err = broken
		} else if err == io.EOF && !e.dec.Whole() {
			err = io.ErrUnexpectedEOF
		}
		e.err = err
	}
	return e.out.Read(p)
}

// Close closes the stream that it reads.
func (e *claudeEvents) Close() error { return e.frames.Close() }

// event writes a frame as a server-sent event.
func (e *claudeEvents) event(f eventstream.Frame) {
	data := f.Payload
	switch {
	case f.Kind != eventstream.Event:
		data = claudeErrorBody(exceptions[f.Name], message(f.Payload, f.Name), "")
	case f.Name == "chunk":
		data = chunk(f.Payload)
	}
	if len(data) == 0 {
		return
	}
	if kind := gjson.GetBytes(data, "type").String(); kind != "" && !bytes.ContainsAny([]byte(kind), "\r\n") {
		e.out.WriteString("event: " + kind + "\n")
	}
	e.out.WriteString("data: ")
	e.out.Write(bytes.ReplaceAll(data, []byte("\n"), []byte("\ndata: ")))
	e.out.WriteString("\n\n")
}

// chunk is what a chunk of an invoked model's stream holds; nil if it is none.
func chunk(payload []byte) []byte {
	data, err := base64.StdEncoding.DecodeString(gjson.GetBytes(payload, "bytes").String())
	if err != nil {
		return nil
	}
	return data
}

// exceptions are Bedrock's errors within a stream in Anthropic's words; what is not
// here is an api_error.
var exceptions = map[string]string{
	"validationException":         "invalid_request_error",
	"throttlingException":         "rate_limit_error",
	"modelTimeoutException":       "timeout_error",
	"serviceUnavailableException": "overloaded_error",
}

// refusals are statuses of Bedrock in Anthropic's words.
var refusals = map[int]string{
	400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
	408: "timeout_error", 413: "request_too_large", 429: "rate_limit_error", 503: "overloaded_error",
}

// maxError bounds an error body that is translated; Bedrock's are a sentence.
const maxError = 64 << 10

// claudeError puts an error into Anthropic's form. Its status stays.
func claudeError(res *http.Response) {
	body, err := io.ReadAll(io.LimitReader(res.Body, maxError))
	if err != nil && len(body) == 0 {
		return // it breaks off again where it is relayed
	}
	res.Body.Close()
	text := claudeErrorBody(refusals[res.StatusCode], message(body, http.StatusText(res.StatusCode)), res.Header.Get("X-Amzn-Requestid"))
	res.Body = io.NopCloser(bytes.NewReader(text))
	res.ContentLength = int64(len(text))
	res.Header.Set("Content-Length", strconv.Itoa(len(text)))
	res.Header.Set("Content-Type", "application/json")
}

// message is what an error of Bedrock's says.
func message(body []byte, otherwise string) string {
	for _, name := range []string{"message", "Message"} {
		if v := gjson.GetBytes(body, name); v.Type == gjson.String && gjson.ValidBytes(body) {
			return v.String()
		}
	}
	return otherwise
}

func claudeErrorBody(kind, message, requestID string) []byte {
	if kind == "" {
		kind = "api_error"
	}
	body := map[string]any{"type": "error", "error": map[string]string{"type": kind, "message": message}}
	if requestID != "" {
		body["request_id"] = requestID
	}
	b, _ := json.Marshal(body) // strings always marshal
	return b
}
