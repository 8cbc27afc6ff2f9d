package e2e

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
)

// respond answers plainly or as a stream of named events.
func respond(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Model, Input string
		Stream       bool
	}
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	if !req.Stream {
		reply(w, response(req.Model, "completed"))
		return
	}
	s := newEventStream(w)
	number := 0
	send := func(name string, data map[string]any) {
		data["type"], data["sequence_number"] = name, number
		number++
		s.send(name, data)
	}
	part := map[string]any{"item_id": "msg_1", "output_index": 0, "content_index": 0}
	with := func(more map[string]any) map[string]any {
		for k, v := range part {
			more[k] = v
		}
		return more
	}
	item := func(status string, content ...any) map[string]any {
		return map[string]any{"output_index": 0, "item": map[string]any{
			"id": "msg_1", "type": "message", "role": "assistant", "status": status, "content": append([]any{}, content...),
		}}
	}
	send("response.created", map[string]any{"response": response(req.Model, "in_progress")})
	send("response.output_item.added", item("in_progress"))
	send("response.content_part.added", with(map[string]any{"part": outputText("")}))
	for word := range strings.SplitAfterSeq(greeting, " ") {
		send("response.output_text.delta", with(map[string]any{"delta": word, "logprobs": []any{}}))
	}
	if req.Input == "error" {
		s.send("error", map[string]any{"type": "error", "code": "upstream_500", "message": "The upstream breaks off on purpose.",
			"param": nil, "sequence_number": number})
		return
	}
	send("response.output_text.done", with(map[string]any{"text": greeting, "logprobs": []any{}}))
	send("response.content_part.done", with(map[string]any{"part": outputText(greeting)}))
	send("response.output_item.done", item("completed", outputText(greeting)))
	send("response.completed", map[string]any{"response": response(req.Model, "completed")})
}

func outputText(text string) map[string]any {
	return map[string]any{"type": "output_text", "text": text, "annotations": []any{}, "logprobs": []any{}}
}

func response(model, status string) map[string]any {
	r := map[string]any{
		"id": "resp_1", "object": "response", "created_at": 1790000000, "model": model, "status": status,
		"output": []any{}, "error": nil, "incomplete_details": nil, "instructions": nil, "metadata": map[string]any{},
		"parallel_tool_calls": true, "tool_choice": "auto", "tools": []any{}, "temperature": 1, "top_p": 1, "usage": nil,
	}
	if status == "completed" {
		r["output"] = []any{map[string]any{
			"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": []any{outputText(greeting)},
		}}
		r["usage"] = map[string]any{
			"input_tokens": promptTokens, "output_tokens": completionTokens, "total_tokens": promptTokens + completionTokens,
			"input_tokens_details": map[string]int{"cached_tokens": 4}, "output_tokens_details": map[string]int{"reasoning_tokens": 2},
		}
	}
	return r
}

// vector is the embedding of everything.
var vector = []float32{0.25, -0.5, 1}

// embeddings sends vectors as numbers, or packed as the SDKs ask for it.
func embeddings(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Model          string
		Input          json.RawMessage
		EncodingFormat string `json:"encoding_format"`
	}
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	var inputs []string
	if json.Unmarshal(req.Input, &inputs) != nil {
		inputs = []string{""}
	}
	var embedding any = vector
	if req.EncodingFormat == "base64" {
		var packed []byte
		for _, f := range vector {
			packed = binary.LittleEndian.AppendUint32(packed, math.Float32bits(f))
		}
		embedding = packed // base64 in JSON
	}
	data := make([]any, len(inputs))
	for i := range inputs {
		data[i] = map[string]any{"object": "embedding", "index": i, "embedding": embedding}
	}
	reply(w, map[string]any{
		"object": "list", "model": req.Model, "data": data,
		"usage": map[string]int{"prompt_tokens": promptTokens, "total_tokens": promptTokens},
	})
}

// picture and voice are bytes that are no text, every value among them.
var picture, voice = blob("\x89PNG"), blob("ID3")

func blob(head string) []byte {
	b := []byte(head)
	for i := range 64 << 10 {
		b = append(b, byte(i), byte(i>>8))
	}
	return b
}

func images(w http.ResponseWriter, r *http.Request) {
	var req struct{ Model, Prompt string }
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil || req.Prompt == "" {
		refuse(w, http.StatusBadRequest, fmt.Sprint("no prompt: ", err))
		return
	}
	drawn(w)
}

func imageEdits(w http.ResponseWriter, r *http.Request) {
	_, content, ok := formFile(w, r, "image")
	if !ok {
		return
	}
	if string(content) != string(picture) || r.FormValue("prompt") == "" {
		refuse(w, http.StatusBadRequest, "The picture or the prompt did not arrive as it was sent.")
		return
	}
	drawn(w)
}

func drawn(w http.ResponseWriter) {
	reply(w, map[string]any{
		"created": 1790000000, "data": []any{map[string]string{"b64_json": base64.StdEncoding.EncodeToString(picture)}},
		"usage": map[string]any{"input_tokens": 9, "output_tokens": 1056, "total_tokens": 1065,
			"input_tokens_details": map[string]int{"text_tokens": 9, "image_tokens": 0}},
	})
}

func speech(w http.ResponseWriter, r *http.Request) {
	var req struct{ Model, Input, Voice string }
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil || req.Input == "" || req.Voice == "" {
		refuse(w, http.StatusBadRequest, fmt.Sprint("no input or voice: ", err))
		return
	}
	w.Header().Set("Content-Type", "audio/mpeg")
	w.Write(voice)
}

func transcriptions(w http.ResponseWriter, r *http.Request) {
	name, content, ok := formFile(w, r, "file")
	if !ok {
		return
	}
	if string(content) != string(voice) || r.FormValue("model") == "" || name == "" {
		refuse(w, http.StatusBadRequest, "The audio, its name or the model did not arrive as it was sent.")
		return
	}
	reply(w, map[string]any{"text": greeting, "usage": map[string]any{"type": "duration", "seconds": 3}})
}

func models(w http.ResponseWriter, _ *http.Request) {
	reply(w, map[string]any{"object": "list", "data": []any{
		map[string]any{"id": "gpt-6-luna", "object": "model", "created": 1790000000, "owned_by": "openai"},
		map[string]any{"id": "gpt-6-sol", "object": "model", "created": 1790000000, "owned_by": "openai"},
	}})
}
