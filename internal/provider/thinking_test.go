package provider_test

import (
	"testing"

	"tollgate/internal/provider"
)

// Whether what an answer cost is in its text.
func TestThinking(t *testing.T) {
	const (
		messages = "POST /api/providers/anthropic/v1/messages"
		onGoogle = "POST /api/providers/gemini/v1beta/models/:model:generateContent"
		onVLLM   = "POST /api/providers/vllm/v1/chat/completions"
		onGroq   = "POST /api/providers/groq/v1/chat/completions"
	)
	for _, tt := range []struct {
		row, model, body string
		want             provider.Thinking
	}{
		{chat, "gpt-4o-2024-08-06", `{}`, provider.ThinkingShown},
		{chat, "ft:gpt-4o-mini:acme::1", `{}`, provider.ThinkingShown},
		{chat, "gpt-4o", `{"reasoning_effort":"low"}`, provider.ThinkingHidden},
		{chat, "gpt-4o", `{"reasoning_effort":null}`, provider.ThinkingShown},
		{chat, "o3-pro", `{}`, provider.ThinkingHidden},
		{chat, "gpt-5-mini", `{"reasoning_effort":"none"}`, provider.ThinkingHidden},
		{responses, "gpt-4.1", `{"reasoning":{"effort":"high"}}`, provider.ThinkingHidden},
		{responses, "my-model", `{}`, provider.ThinkingUnknown},
		{"POST /embeddings", "my-model", `{}`, provider.ThinkingShown},
		{messages, "claude-sonnet-4-5", `{}`, provider.ThinkingShown},
		{messages, "claude-sonnet-4-5", `{"thinking":{"type":"disabled"}}`, provider.ThinkingShown},
		{messages, "claude-sonnet-4-5", `{"thinking":{"type":"enabled","budget_tokens":2000}}`, provider.ThinkingHidden},
		{messages, "claude-sonnet-4-6", `{"output_config":{"effort":"high"}}`, provider.ThinkingHidden},
		{messages, "claude-sonnet-5", `{}`, provider.ThinkingHidden},
		{messages, "claude-fable-5-2", `{}`, provider.ThinkingHidden},
		{onGoogle, "gemini-2.5-flash", `{}`, provider.ThinkingHidden},
		{onGoogle, "gemini-2.0-flash", `{}`, provider.ThinkingShown},
		{onGoogle, "gemini-2.0-flash", `{"generationConfig":{"thinkingConfig":{"thinkingBudget":9}}}`, provider.ThinkingHidden},
		{onVLLM, "anything", `{}`, provider.ThinkingShown}, // as reasoning_content
		{onVLLM, "anything", `{"include_reasoning":false}`, provider.ThinkingHidden},
		{onGroq, "openai/gpt-oss-120b", `{}`, provider.ThinkingHidden},
		{onGroq, "llama-3.3-70b-versatile", `{}`, provider.ThinkingShown},
	} {
		c, err := parse(t, tt.row, tt.body)
		if err != nil {
			t.Errorf("%s %s: %v", tt.model, tt.body, err)
			continue
		}
		if got := c.Thinking(tt.model); got != tt.want {
			t.Errorf("%s %s: %d, want %d", tt.model, tt.body, got, tt.want)
		}
	}
	for model, want := range map[string]provider.Thinking{
		"us.anthropic.claude-haiku-4-5-20251001-v1:0": provider.ThinkingShown, "us.anthropic.claude-opus-5-5": provider.ThinkingHidden,
		"amazon.nova-pro-v1:0": provider.ThinkingShown, "deepseek.v3.2": provider.ThinkingUnknown,
	} {
		c, err := parse(t, "POST /api/providers/bedrock/model/:model/converse", `{}`)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Thinking(model); got != want {
			t.Errorf("%s: %d, want %d", model, got, want)
		}
	}
}
