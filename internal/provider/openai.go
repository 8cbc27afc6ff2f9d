package provider

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"tollgate/internal/gateway"
)

// OpenAI is api.openai.com.
var OpenAI Vendor = compatible{name: "openai", base: "https://api.openai.com/v1",
	rows: rows(openAIPrefix, "", openAIRows()), dialect: dialect{completionCap: completionDefault, toolCaps: true}}

// wanted are the members of request bodies that the gateway reads.
var wanted = set("model", "stream", "stream_options", "stream_format", "user", "safety_identifier", "max_tokens", "max_completion_tokens",
	"max_output_tokens", "max_tool_calls", "n", "best_of", "service_tier", "modalities", "prediction",
	"messages", "input", "prompt", "instructions", "tools", "background", "previous_response_id", "conversation",
	"size", "quality", "partial_images", "web_search_options", "voice", "thread", "max_prompt_tokens",
	"models", "preset", "plugins", "search_parameters", "data_sources")

func set(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}

// wantUsage asks for the stream's usage, which is not sent otherwise.
func wantUsage(c *Call, options gjson.Result) error {
	asked, times := false, 0
	options.ForEach(func(k, v gjson.Result) bool {
		if k.String() == "include_usage" {
			asked, times = v.Type == gjson.True, times+1
		}
		return true
	})
	if times > 1 {
		return invalid("invalid_json", "stream_options", "The member \"stream_options\" has \"include_usage\" more than once.")
	}
	if asked {
		return nil
	}
	path, value := "stream_options.include_usage", any(true)
	if !options.IsObject() {
		path, value = "stream_options", map[string]bool{"include_usage": true}
	}
	body, err := sjson.SetBytes(c.Body, path, value)
	if err != nil {
		return invalid("invalid_json", "stream_options", "The member \"stream_options\" cannot be read.")
	}
	c.Body, c.HideUsage = body, true
	return nil
}

// Tokens that a picture counts as at most, whatever its size: the dearest known
// is gpt-4o-mini with 2,833 + 8 × 5,667 for a picture of 8 tiles (OpenAI's
// images-and-vision guide).
const tokensPerImage = 50_000

// perAudioToken is how many base64 characters of input audio make at least one
// token: 10 tokens a second, at no less than 4 kbit/s.
const perAudioToken = 66

// completionDefault is the output cap of legacy completions without max_tokens, at
// OpenAI and where its server is rebuilt to the letter.
const completionDefault = 16

// bound fills c.Bound from the members of a JSON body.
func bound(c *Call, m map[string]gjson.Result, d *dialect) {
	b := &c.Bound
	var s survey
	for _, name := range []string{"messages", "input", "prompt", "prediction", "thread"} {
		s.walk(m[name], 0)
	}
	// A byte-level tokenizer makes at most one token of a byte, and the JSON
	// around a text is longer than the few tokens a provider puts around it.
	b.Input = int64(len(c.Body)) - s.data + s.images*tokensPerImage + s.audio/perAudioToken
	b.Images, b.Media, b.Opaque = s.images, s.images > 0 || s.audio > 0, s.opaque
	b.Tier, _ = text(m, "service_tier")
	b.LongLife = longLived(c.Body)
	b.Copies = max(amount(m["n"]), 1)
	b.MinOutput = 1
	switch c.Endpoint.Metering {
	case Chat:
		b.chat(m, d.caps)
	case Completion:
		b.completion(m, d.completionCap)
	case Responses:
		b.responses(m, d.toolCaps)
	case Run:
		b.Opaque = true         // the thread is not in the body
		c.Alias = c.Model == "" // the assistant's model is not either, but in the answer
		b.Output, b.CapMember = amount(m["max_completion_tokens"]), "max_completion_tokens"
	case Image:
		b.image(m["size"].String(), m["quality"].String(), amount(m["partial_images"]))
	case Speech:
		b.speech(m["input"].String())
		c.Stream = m["stream_format"].String() == "sse"
	case FileSearch:
		b.Extra.Counts[gateway.FileSearches], b.Exact = 1, true
	case Unbounded:
		b.Unbounded = true
	}
	b.Uncountable = d.foreign
	d.loosen(c, m)
}

func (b *Bound) chat(m map[string]gjson.Result, caps capRule) {
	older, newer := m["max_tokens"], m["max_completion_tokens"]
	b.CapMember, b.Output = "max_completion_tokens", max(amount(older), amount(newer))
	switch {
	case caps == olderOnly:
		b.CapMember, b.CapAlso, b.Output = "max_tokens", "max_completion_tokens", amount(older)
	case newer.Type == gjson.Number:
	case caps == olderFirst || older.Type == gjson.Number:
		b.CapMember = "max_tokens"
	}
	if b.CapAlso == "" && older.Type == gjson.Number && newer.Type == gjson.Number {
		b.CapAlso = "max_tokens" // which of the two is obeyed is the server's choice
	}
	// Tokens of a prediction that were not used are billed as output.
	b.OutputAdd = int64(len(m["prediction"].Raw))
	for _, mode := range m["modalities"].Array() {
		b.MediaOut = b.MediaOut || mode.String() == "audio"
	}
	if m["web_search_options"].Exists() { // these models search once
		b.Opaque, b.Extra.Counts[gateway.WebSearches] = true, 1
	}
	m["tools"].ForEach(func(_, t gjson.Result) bool { b.chatTool(t); return true })
}

func (b *Bound) completion(m map[string]gjson.Result, unset int64) {
	b.CapMember = "max_tokens"
	if b.Output = amount(m["max_tokens"]); !m["max_tokens"].Exists() {
		b.Output = unset
	}
	b.Copies = max(b.Copies, amount(m["best_of"]))
	if p := m["prompt"]; p.IsArray() {
		prompts := int64(0)
		p.ForEach(func(_, e gjson.Result) bool {
			if e.Type == gjson.Number { // an array of tokens is one prompt
				prompts = 1
				return false
			}
			prompts++
			return true
		})
		b.Copies *= max(prompts, 1)
	}
}

func (b *Bound) responses(m map[string]gjson.Result, toolCaps bool) {
	b.CapMember, b.Output = "max_output_tokens", amount(m["max_output_tokens"])
	b.MinOutput = 16 // the API refuses less
	b.Copies = 1
	b.Later = m["background"].Bool()
	for _, name := range []string{"previous_response_id", "conversation"} {
		v := m[name]
		b.Opaque = b.Opaque || v.Exists() && v.Type != gjson.Null
	}
	if p := m["prompt"]; p.IsObject() { // a stored prompt may bring any tools with it
		b.Opaque, b.Unbounded = true, true
	}
	b.responsesTools(m["tools"], m["max_tool_calls"], toolCaps)
}

// tool takes in what a tool of the responses API may cost beside the tokens of
// one turn, and reports whether the provider runs it as often as max_tool_calls says.
func (b *Bound) tool(kind string, bills *[]gateway.Class) (looping bool) {
	bill := func(c gateway.Class) bool {
		if !slices.Contains(*bills, c) {
			*bills = append(*bills, c)
		}
		return true
	}
	switch {
	case kind == "function" || kind == "custom" || kind == "local_shell" || kind == "apply_patch":
		return false // run by the caller
	case strings.HasPrefix(kind, "web_search"):
		return bill(gateway.WebSearches)
	case kind == "file_search":
		return bill(gateway.FileSearches)
	}
	// Containers, image generation, computers are billed by more than tokens; how
	// often other servers' tools are called nothing says.
	b.Opaque, b.Unbounded = true, true
	return false
}

// tokensPerPicture is the most output tokens that one generated picture takes.
// Known: 6,240 for high quality at 1024×1536 (gpt-image-1); newer models draw up
// to four times the area.
const tokensPerPicture = 25_000

// tokensPerPartial is what a partial picture of a stream adds (100 at OpenAI).
const tokensPerPartial = 100

func (b *Bound) image(size, quality string, partial int64) {
	b.Size, b.Grade = size, quality
	b.Media, b.MediaOut = true, true
	b.Output = tokensPerPicture + partial*tokensPerPartial
	b.Extra.Counts[gateway.Images] = b.Copies
}

func (b *Bound) speech(input string) {
	chars := int64(utf8.RuneCountInString(input))
	b.Extra.Counts[gateway.Characters] = chars
	b.MediaOut = true
	// Speech takes about 15 characters a second and 21 tokens a second; slow
	// speech takes four times as long.
	b.Output = 6*chars + 100
	b.Exact = true
}
