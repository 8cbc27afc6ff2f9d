package provider_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/internal/gateway"
	"tollgate/internal/provider"
)

// What other models consumed, and what nothing stands for.
func TestShares(t *testing.T) {
	const (
		messages = "POST /api/providers/anthropic/v1/messages"
		onGoogle = "POST /api/providers/gemini/v1beta/models/:model:generateContent"
		onXAI    = "POST /api/providers/xai/v1/chat/completions"
	)
	share := func(model string, in, out int64) provider.Share {
		s := provider.Share{Model: model}
		s.Usage.Counts[gateway.Input], s.Usage.Counts[gateway.Output] = in, out
		return s
	}
	drawn := provider.Share{Model: "gpt-image-2"}
	drawn.Usage.Counts[gateway.Input], drawn.Usage.Counts[gateway.OutputImage] = 50, 6000
	for _, tt := range []struct {
		name, row, request, answer string
		own                        map[string]int64
		shares                     []provider.Share
		unclassed                  []string
	}{
		{"an advisor", messages, `{"model":"claude-haiku-4-5","max_tokens":9}`,
			`{"model":"claude-haiku-4-5-20251001","usage":{"input_tokens":100,"output_tokens":10,"iterations":[{"type":"message","model":"claude-haiku-4-5","input_tokens":100,"output_tokens":10},{"type":"advisor_message","model":"claude-opus-4-1","input_tokens":70,"output_tokens":7}]}}`,
			map[string]int64{"input": 100, "output": 10}, []provider.Share{share("claude-opus-4-1", 70, 7)}, nil},
		{"one that fell back half-way", messages, `{"model":"claude-opus-5","max_tokens":9}`,
			`{"model":"claude-opus-4-8","usage":{"input_tokens":180,"output_tokens":30,"iterations":[{"type":"message","model":"claude-opus-5","input_tokens":80,"output_tokens":10},{"type":"fallback_message","model":"claude-opus-4-8","input_tokens":100,"output_tokens":20}]}}`,
			map[string]int64{"input": 100, "output": 20}, []provider.Share{share("claude-opus-5", 80, 10)}, nil},
		{"compaction by the model itself", messages, `{"model":"claude-opus-5","max_tokens":9}`,
			`{"model":"claude-opus-5","usage":{"input_tokens":1,"output_tokens":1,"iterations":[{"type":"compaction","input_tokens":80,"output_tokens":10}]}}`,
			map[string]int64{"input": 81, "output": 11}, nil, nil},
		{"code of Claude's", messages, `{"model":"claude-opus-5","max_tokens":9}`, `{"usage":{"input_tokens":1,"output_tokens":1,"server_tool_use":{"code_execution_requests":2}}}`,
			map[string]int64{"input": 1, "output": 1}, nil, []string{"code_execution"}},
		{"pictures of a model that is named", responses, `{"tools":[{"type":"image_generation","model":"gpt-image-2"}]}`,
			`{"usage":{"input_tokens":1,"output_tokens":1},"tool_usage":{"image_gen":{"input_tokens":50,"output_tokens":6000,"output_tokens_details":{"image_tokens":6000}}}}`,
			map[string]int64{"input": 1, "output": 1}, []provider.Share{drawn}, nil},
		{"pictures", responses, `{"tools":[{"type":"image_generation"}]}`,
			`{"usage":{"input_tokens":1,"output_tokens":1},"tool_usage":{"image_gen":{"input_tokens":50,"output_tokens":6000}}}`,
			map[string]int64{"input": 1, "output": 1}, nil, []string{"image_gen"}},
		{"no pictures", responses, `{}`, `{"usage":{"input_tokens":1,"output_tokens":1},"tool_usage":{"image_gen":{"input_tokens":0,"output_tokens":0}}}`,
			map[string]int64{"input": 1, "output": 1}, nil, nil},
		{"vector graphics", "POST /images/generations", `{}`, `{"usage":{"input_tokens":1,"output_tokens":1},"svg_usage":{"model":"gpt-6-sol","input_tokens":50,"output_tokens":90,"reasoning_tokens":9}}`,
			map[string]int64{"input": 1, "output_image": 1}, []provider.Share{share("gpt-6-sol", 50, 90)}, nil},
		{"code", responses, `{}`, `{"output":[{"type":"code_interpreter_call"}],"usage":{"input_tokens":1,"output_tokens":1}}`,
			map[string]int64{"input": 1, "output": 1}, nil, []string{"code_interpreter"}},
		{"maps", onGoogle, `{"tools":[{"google_maps":{}}]}`, `{"candidates":[{"groundingMetadata":{}}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1}}`,
			map[string]int64{"input": 1, "output": 1}, nil, []string{"maps"}},
		{"maps that were not needed", onGoogle, `{"tools":[{"googleMaps":{}}]}`, `{"candidates":[{}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1}}`,
			map[string]int64{"input": 1, "output": 1}, nil, nil},
		{"sources", onXAI, `{}`, `{"usage":{"prompt_tokens":1,"completion_tokens":1,"num_sources_used":5}}`,
			map[string]int64{"input": 1, "output": 1}, nil, []string{"sources"}},
	} {
		c, err := parse(t, tt.row, tt.request)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		_, m := pass(c, false, tt.answer)
		if diff := cmp.Diff(tt.own, read(c, m).Usage); diff != "" {
			t.Errorf("%s: usage (-want +got)\n%s", tt.name, diff)
		}
		shares := provider.Shares(c, m.Members())
		for i := range shares {
			shares[i].Usage.Reasoning = 0
		}
		if diff := cmp.Diff(tt.shares, shares); diff != "" {
			t.Errorf("%s: shares (-want +got)\n%s", tt.name, diff)
		}
		if diff := cmp.Diff(tt.unclassed, provider.Unclassed(c, m.Members())); diff != "" {
			t.Errorf("%s: unclassed (-want +got)\n%s", tt.name, diff)
		}
	}
}

func TestSameModel(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"claude-haiku-4-5", "claude-haiku-4-5-20251001", true},
		{"us.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5", true},
		{"openai/gpt-4o", "gpt-4o-2024-08-06", true},
		{"claude-opus-4", "claude-opus-4-1", false},
		{"gpt-4o", "gpt-4o-mini", false},
	} {
		if got := provider.SameModel(tt.a, tt.b); got != tt.same {
			t.Errorf("%s and %s: %v", tt.a, tt.b, got)
		}
	}
}

// A picture and the reason why the answer ended, in one event that is too large to be
// kept: the stream ended all the same, and its usage is all of it.
func TestGeminiLargeEnd(t *testing.T) {
	picture := func(reason string) string {
		return `{"candidates":[{"content":{"parts":[{"text":"\"finishReason\":\"STOP\""},{"inlineData":{"data":"` + strings.Repeat("A", 100<<10) + `"}}]}` + reason + `}],` +
			`"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":1290,"totalTokenCount":1300,"candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":1290}]}}`
	}
	for _, tt := range []struct {
		name, reason string
		events       bool
		known        bool
	}{
		{"events", `,"finishReason":"STOP"`, true, true},
		{"an array", `, "finishReason" : "STOP"`, false, true},
		{"broken off", ``, true, false},
		{"a broken array", ``, false, false},
	} {
		c, err := parse(t, "POST /api/providers/gemini/v1beta/models/:model:streamGenerateContent", `{}`)
		if err != nil {
			t.Fatal(err)
		}
		answer := "data: " + picture(tt.reason) + "\n\n"
		if !tt.events {
			answer = "[" + picture(tt.reason) + "]"
		}
		for _, size := range []int{len(answer), 1000, 7} {
			var pieces []string
			for rest := answer; rest != ""; {
				n := min(size, len(rest))
				pieces, rest = append(pieces, rest[:n]), rest[n:]
			}
			_, m := pass(c, tt.events, pieces...)
			got := read(c, m)
			if want := map[string]int64{"input": 10, "output_image": 1290}; got.Known != tt.known || cmp.Diff(want, got.Usage) != "" {
				t.Errorf("%s in pieces of %d: known %v, %v", tt.name, size, got.Known, got.Usage)
			}
		}
	}
}
