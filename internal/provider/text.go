package provider

import (
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/internal/gateway"
)

// Tokens a provider puts around a message, at most, and around a tool. OpenAI's
// chat format takes 3 for a message and 1 for a name; tool definitions are
// rewritten into a form of about their own length.
const (
	aroundMessage = 4
	aroundTool    = 16
	aroundReply   = 3
)

// RequestText lists the texts of a call whose tokens make up its input, and how
// many tokens come on top of theirs. It reports false if the input is not all
// text: then only Bound.Input holds.
func RequestText(c *Call) (texts []string, extra int64, ok bool) {
	if c.Custom != nil {
		return textsAt(c.Body, c.Custom.Prompt), 0, true
	}
	if c.Endpoint.Form || c.Bound.Media || c.Bound.Opaque {
		return nil, 0, false
	}
	body := gjson.ParseBytes(c.Body)
	extra = aroundReply
	if c.Endpoint.Dialect == gateway.GoogleDialect {
		geminiTexts(body, &texts, &extra)
		return texts, extra, true
	}
	raw := func(names ...string) {
		for _, name := range names {
			if v := body.Get(name); v.Exists() && v.Type != gjson.Null {
				texts = append(texts, v.Raw)
			}
		}
	}
	switch c.Endpoint.Metering {
	case Chat:
		collect(body.Get("messages"), &texts, &extra, 0)
		collect(body.Get("system"), &texts, &extra, 0)
		raw("tools", "functions", "response_format", "tool_choice", "prediction")
	case Responses:
		collect(body.Get("input"), &texts, &extra, 0)
		raw("instructions", "tools", "text", "tool_choice")
		extra += aroundMessage
	case Completion:
		collect(body.Get("prompt"), &texts, &extra, 0)
		raw("suffix")
	case Converse:
		collect(body.Get("messages"), &texts, &extra, 0)
		collect(body.Get("system"), &texts, &extra, 0)
		raw("toolConfig")
	case Invoke: // wherever the model's own form has them
		collect(body, &texts, &extra, 0)
	case Embeddings:
		collect(body.Get("input"), &texts, &extra, 0)
	default:
		return nil, 0, false
	}
	body.Get("tools").ForEach(func(_, _ gjson.Result) bool { extra += aroundTool; return true })
	return texts, extra, true
}

// collect gathers the strings below v; an object counts as a message, a number as
// a token.
func collect(v gjson.Result, texts *[]string, extra *int64, depth int) {
	switch {
	case v.Type == gjson.String:
		*texts = append(*texts, v.String())
	case v.Type == gjson.Number:
		*extra++
	case depth > surveyDepth:
		*texts = append(*texts, v.Raw)
	case v.IsObject() || v.IsArray():
		if v.IsObject() {
			*extra += aroundMessage
		}
		v.ForEach(func(_, e gjson.Result) bool {
			collect(e, texts, extra, depth+1)
			return true
		})
	}
}

// spoken are the members of answers, and of the events of streamed answers, that
// hold generated text.
var spoken = set("content", "text", "delta", "arguments", "refusal", "reasoning", "reasoning_content", "transcript",
	"partial_json", "thinking", "completion", "input", "generation", "outputText")

// AnswerText gathers the generated text of an answer, or of the part of it that
// there is: events says that it is a stream.
func AnswerText(c *Call, answer []byte, events bool) []string {
	if c.Custom != nil {
		return customAnswer(c.Custom, answer, events)
	}
	var texts []string
	if !events {
		gather(gjson.ParseBytes(answer), "", &texts, 0)
		return texts
	}
	eachEvent(answer, func(data []byte) {
		if v := gjson.ParseBytes(data); isDelta(v) {
			gather(v, "", &texts, 0)
		}
	})
	return texts
}

// eachEvent takes the events of a stream one by one, those that are JSON.
func eachEvent(stream []byte, f func(data []byte)) {
	var l lines
	var event []byte
	data := func(p []byte) { event = append(event, p...) }
	end := func(int) {
		if gjson.ValidBytes(event) {
			f(event)
		}
		event = event[:0]
	}
	l.feed(stream, data, end)
	l.end(data)
	end(0)
}

// isDelta reports whether an event brings new text. Events that name their type
// say the same text again when a part, an item or the answer is complete.
func isDelta(v gjson.Result) bool {
	kind := v.Get("type")
	return kind.Type != gjson.String || strings.HasSuffix(kind.String(), "delta") || kind.String() == "completion"
}

func gather(v gjson.Result, name string, texts *[]string, depth int) {
	switch {
	case depth > surveyDepth:
	case v.Type == gjson.String && spoken[name]:
		*texts = append(*texts, v.String())
	case (name == "input" || name == "args") && v.IsObject(): // of a tool, which the model wrote as JSON
		*texts = append(*texts, v.Raw)
	case v.IsObject():
		v.ForEach(func(k, e gjson.Result) bool {
			gather(e, k.String(), texts, depth+1)
			return true
		})
	case v.IsArray():
		v.ForEach(func(_, e gjson.Result) bool {
			gather(e, name, texts, depth+1)
			return true
		})
	}
}
