package provider

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// Thinking says whether an answer may have cost tokens out that its text does not
// show, so that counting the text is no bound.
type Thinking uint8

// What is known of a model's thinking.
const (
	ThinkingUnknown Thinking = iota
	ThinkingShown            // there is none, or it is text of the answer
	ThinkingHidden           // some or all of it may be hidden
)

// Thinking tells what is known of the answer to c that model gave. Where a request
// asks for thinking, how much of it is shown is the provider's choice.
func (c *Call) Thinking(model string) Thinking {
	switch c.Endpoint.Metering {
	case Chat, Responses, Run, Invoke, Converse:
	default:
		return ThinkingShown // nothing else thinks
	}
	if c.asksThinking() {
		return ThinkingHidden
	}
	if v, ok := c.Endpoint.Vendor.(interface{ showsThinking() bool }); ok && v.showsThinking() {
		return ThinkingShown
	}
	name := bareModel(model)
	if hasPrefix(name, hiddenThinkers...) {
		return ThinkingHidden
	}
	if hasPrefix(name, plainModels...) {
		return ThinkingShown
	}
	return ThinkingUnknown
}

// Models by the beginnings of their names, without what vendors put before them.
// A model that is in neither list is not known. Claude up to version 4 thinks only
// where a request asks for it, and from version 5 on by itself.
var (
	hiddenThinkers = []string{"o1", "o3", "o4", "gpt-5", "gpt-6", "gpt-oss", "codex", "gemini-2.5", "gemini-3", "gemini-4",
		"gemini-2.0-flash-thinking", "grok-3-mini", "grok-4", "magistral", "claude-5", "claude-opus-5", "claude-sonnet-5", "claude-haiku-5", "claude-fable"}
	plainModels = []string{"gpt-3", "gpt-4", "chatgpt-4o", "davinci", "babbage", "claude-1", "claude-2", "claude-3", "claude-v", "claude-instant",
		"claude-opus-4", "claude-sonnet-4", "claude-haiku-4", "gemini-1", "gemini-2.0", "gemma", "llama", "meta-llama", "mistral", "ministral",
		"mixtral", "codestral", "nova-", "titan-", "command", "jamba", "j2-", "grok-2"}
)

// bareModel is a name without its fine-tuning, its geography and its maker:
// "claude-3-haiku" for "us.anthropic.claude-3-haiku", "gpt-4o" for "ft:gpt-4o:me".
func bareModel(name string) string {
	name = strings.TrimPrefix(strings.ToLower(name), "ft:")
	name = name[strings.LastIndexByte(name, '/')+1:]
	for _, maker := range []string{"anthropic.", "amazon.", "meta.", "mistral.", "cohere.", "ai21.", "openai.", "google."} {
		if i := strings.Index(name, maker); i >= 0 {
			return name[i+len(maker):]
		}
	}
	return name
}

// asking are the members of a request that make a model think or say how much.
var asking = []string{"reasoning", "reasoning_effort", "reasoning_format", "include_reasoning", "thinking", "reasoning_config", "enable_thinking",
	"output_config.effort", "generationConfig.thinkingConfig", "generation_config.thinking_config", "inferenceConfig.reasoningConfig", "reasoningConfig",
	"additionalModelRequestFields.thinking", "additionalModelRequestFields.reasoning_config", "additionalModelRequestFields.reasoningConfig",
	"additionalModelRequestFields.output_config", "additionalModelRequestFields.reasoning_effort",
	"extra_body", "google.thinking_config", "chat_template_kwargs"}

// asksThinking reports whether the request may ask for thinking, or for less of it
// to be shown. One that turns it off does not.
func (c *Call) asksThinking() bool {
	if c.Endpoint.Form || c.Custom != nil {
		return false
	}
	body := gjson.ParseBytes(c.Body)
	return slices.ContainsFunc(asking, func(path string) bool {
		v := body.Get(path)
		switch {
		case !given(v), v.Type == gjson.False && path != "include_reasoning":
			return false
		case v.String() == "none", v.Get("type").String() == "disabled":
			return false
		}
		return true
	})
}
