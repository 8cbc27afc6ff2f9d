package provider_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/internal/gateway"
	"tollgate/internal/provider"
)

// Every shape in which OpenAI reports usage, as disjoint classes.
func TestUsage(t *testing.T) {
	searched := `{"web_search_options":{}}`
	for _, tt := range []struct {
		name, row, request, answer string
		want                       map[string]int64
		reasoning                  int64
		unknown                    bool
	}{
		{name: "chat", row: chat, answer: `{"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}`,
			want: map[string]int64{"input": 10, "output": 5}},
		{name: "null details", row: chat, answer: `{"usage":{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":null,"completion_tokens_details":null}}`,
			want: map[string]int64{"input": 10, "output": 5}},
		{name: "nothing consumed", row: chat, answer: `{"usage":{"prompt_tokens":0,"completion_tokens":0}}`, want: map[string]int64{}},
		{name: "cached", row: chat, answer: `{"usage":{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":8}}}`,
			want: map[string]int64{"input": 2, "cache_read": 8, "output": 5}},
		{name: "written for 30 minutes", row: chat, answer: `{"usage":{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":3,"cache_write_tokens":4}}}`,
			want: map[string]int64{"input": 3, "cache_read": 3, "cache_write": 4, "output": 5}},
		{name: "written for both times", row: responses, answer: `{"usage":{"input_tokens":100,"output_tokens":5,"input_tokens_details":{"cached_tokens":30,"cache_write_tokens":60,"cache_write_tokens_details":{"ttl_30m_tokens":20,"ttl_12h_tokens":40}}}}`,
			want: map[string]int64{"input": 10, "cache_read": 30, "cache_write": 20, "cache_write_long": 40, "output": 5}},
		{name: "audio both ways", row: chat, answer: `{"usage":{"prompt_tokens":50,"completion_tokens":40,"prompt_tokens_details":{"audio_tokens":30,"text_tokens":20},"completion_tokens_details":{"audio_tokens":25,"text_tokens":15}}}`,
			want: map[string]int64{"input": 20, "input_audio": 30, "output": 15, "output_audio": 25}},
		{name: "pictures in", row: chat, answer: `{"usage":{"prompt_tokens":50,"completion_tokens":1,"prompt_tokens_details":{"image_tokens":45}}}`,
			want: map[string]int64{"input": 5, "input_image": 45, "output": 1}},
		{name: "cached pictures count as cached", row: chat, answer: `{"usage":{"prompt_tokens":50,"completion_tokens":1,"prompt_tokens_details":{"image_tokens":45,"cached_tokens":20,"cache_write_tokens":20}}}`,
			want: map[string]int64{"cache_read": 20, "cache_write": 20, "input_image": 10, "output": 1}},
		{name: "cached pictures of a model that draws", row: "POST /images/generations", answer: `{"usage":{"input_tokens":50,"output_tokens":1,"input_tokens_details":{"image_tokens":45,"cached_tokens":20}}}`,
			want: map[string]int64{"cache_read": 5, "input_image": 45, "output_image": 1}},
		{name: "Mistral's audio", row: "POST /api/providers/mistral/v1/chat/completions", answer: `{"usage":{"prompt_audio_seconds":3.5,"prompt_tokens":10,"completion_tokens":5}}`,
			want: map[string]int64{"input": 10, "output": 5, "audio_ms": 3500}},
		{name: "no audio of Mistral's", row: "POST /api/providers/mistral/v1/chat/completions", answer: `{"usage":{"prompt_audio_seconds":null,"prompt_tokens":10,"completion_tokens":5}}`,
			want: map[string]int64{"input": 10, "output": 5}},
		{name: "cached audio counts as audio", row: chat, answer: `{"usage":{"prompt_tokens":50,"completion_tokens":1,"prompt_tokens_details":{"audio_tokens":40,"cached_tokens":30}}}`,
			want: map[string]int64{"input_audio": 40, "cache_read": 10, "output": 1}},
		{name: "details beyond the total", row: chat, answer: `{"usage":{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":99,"audio_tokens":99},"completion_tokens_details":{"audio_tokens":99}}}`,
			want: map[string]int64{"input_audio": 10, "output_audio": 5}},
		{name: "reasoning", row: responses, answer: `{"usage":{"input_tokens":10,"output_tokens":50,"output_tokens_details":{"reasoning_tokens":40}}}`,
			want: map[string]int64{"input": 10, "output": 50}, reasoning: 40},
		{name: "reasoning counted beside the completion", row: chat, answer: `{"usage":{"prompt_tokens":10,"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":40}}}`,
			want: map[string]int64{"input": 10, "output": 45}, reasoning: 40},
		{name: "predictions are part of the completion", row: chat, answer: `{"usage":{"prompt_tokens":1,"completion_tokens":9,"completion_tokens_details":{"accepted_prediction_tokens":3,"rejected_prediction_tokens":4}}}`,
			want: map[string]int64{"input": 1, "output": 9}},
		{name: "search of a chat", row: chat, request: searched, answer: `{"usage":{"prompt_tokens":1,"completion_tokens":2}}`,
			want: map[string]int64{"input": 1, "output": 2, "web_searches": 1}},
		{name: "searches of a response", row: responses, request: `{"tools":[{"type":"web_search"}]}`, answer: `{"usage":{"input_tokens":1,"output_tokens":2},"tool_usage":{"web_search":{"num_requests":4}}}`,
			want: map[string]int64{"input": 1, "output": 2, "web_searches": 4}},
		{name: "file searches of a response", row: responses, request: `{"tools":[{"type":"file_search"}]}`,
			answer: `{"output":[{"type": "file_search_call"},{"type":"file_search_call"},{"type":"message","content":[{"text":"\"type\":\"file_search_call\""}]}],"usage":{"input_tokens":1,"output_tokens":2}}`,
			want:   map[string]int64{"input": 1, "output": 2, "file_searches": 2}},
		{name: "web searches that only the output shows", row: responses, request: `{"tools":[{"type":"web_search"}]}`,
			answer: `{"output":[{"type":"web_search_call"}],"usage":{"input_tokens":1,"output_tokens":2}}`,
			want:   map[string]int64{"input": 1, "output": 2, "web_searches": 1}},
		{name: "searches of an answer too long to keep", row: responses, request: `{"tools":[{"type":"file_search"}],"max_tool_calls":3}`,
			answer: `{"output":[{"text":"` + strings.Repeat("x", 2<<20) + `"}],"usage":{"input_tokens":1,"output_tokens":2}}`,
			want:   map[string]int64{"input": 1, "output": 2, "file_searches": 3}},
		{name: "no search of a response", row: responses, request: `{"tools":[{"type":"web_search"}]}`, answer: `{"usage":{"input_tokens":1,"output_tokens":2},"tool_usage":{"web_search":{"num_requests":0}}}`,
			want: map[string]int64{"input": 1, "output": 2}},
		{name: "embeddings", row: "POST /embeddings", answer: `{"usage":{"prompt_tokens":7,"total_tokens":7}}`, want: map[string]int64{"input": 7}},
		{name: "compaction", row: "POST /responses/compact", answer: `{"usage":{"input_tokens":9,"output_tokens":3}}`, want: map[string]int64{"input": 9, "output": 3}},
		{name: "pictures with details", row: "POST /images/generations", answer: `{"usage":{"input_tokens":60,"output_tokens":300,"input_tokens_details":{"text_tokens":10,"image_tokens":50},"output_tokens_details":{"image_tokens":272,"text_tokens":28}}}`,
			want: map[string]int64{"input": 10, "input_image": 50, "output": 28, "output_image": 272}},
		{name: "pictures without usage", row: "POST /images/generations", request: `{"n":3}`, answer: `{"data":[{},{},{}]}`, want: map[string]int64{"images": 3}},
		{name: "speech", row: "POST /audio/speech", request: `{"input":"hello"}`, answer: ``, want: map[string]int64{"characters": 5}},
		{name: "silence", row: "POST /audio/speech", request: `{"input":""}`, answer: ``, want: map[string]int64{}, unknown: true},
		{name: "search", row: "POST /vector_stores/:vector_store_id/search", answer: `{"data":[]}`, want: map[string]int64{"file_searches": 1}},
		{name: "run in the queue", row: "POST /threads/runs", answer: `{"status":"queued","usage":null}`, want: map[string]int64{}, unknown: true},

		{name: "no usage", row: chat, answer: `{"choices":[]}`, want: map[string]int64{}, unknown: true},
		{name: "empty usage", row: chat, answer: `{"usage":{}}`, want: map[string]int64{}, unknown: true},
		{name: "usage is text", row: chat, answer: `{"usage":"9"}`, want: map[string]int64{}, unknown: true},
		{name: "numbers in quotes", row: chat, answer: `{"usage":{"prompt_tokens":"9","completion_tokens":"9"}}`, want: map[string]int64{}, unknown: true},
		{name: "negative", row: chat, answer: `{"usage":{"prompt_tokens":-9,"completion_tokens":9}}`, want: map[string]int64{}, unknown: true},
		{name: "output is missing", row: chat, answer: `{"usage":{"prompt_tokens":9}}`, want: map[string]int64{}, unknown: true},
		{name: "negative details", row: chat, answer: `{"usage":{"prompt_tokens":9,"completion_tokens":9,"prompt_tokens_details":{"cached_tokens":-5},"completion_tokens_details":{"reasoning_tokens":-1}}}`,
			want: map[string]int64{"input": 9, "output": 9}},
		{name: "huge", row: chat, answer: `{"usage":{"prompt_tokens":1e300,"completion_tokens":99999999999999999999}}`,
			want: map[string]int64{"input": 1 << 40, "output": 1 << 40}},
		{name: "no JSON", row: chat, answer: `<html>usage</html>`, want: map[string]int64{}, unknown: true},
	} {
		if tt.request == "" {
			tt.request = `{}`
		}
		c, err := parse(t, tt.row, tt.request)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		_, m := pass(c, false, tt.answer)
		got := read(c, m)
		if diff := cmp.Diff(tt.want, got.Usage); diff != "" || got.Known == tt.unknown || got.Reasoning != tt.reasoning {
			t.Errorf("%s: known %v, reasoning %d, (-want +got)\n%s", tt.name, got.Known, got.Reasoning, diff)
		}
	}
}

func TestAudioUsage(t *testing.T) {
	for _, tt := range []struct {
		name, answer string
		want         map[string]int64
		unknown      bool
	}{
		{"tokens", `{"text":"x","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"audio_tokens":12,"text_tokens":2},"output_tokens":6,"total_tokens":20}}`,
			map[string]int64{"input": 2, "input_audio": 12, "output": 6}, false},
		{"time", `{"usage":{"type":"duration","seconds":3}}`, map[string]int64{"audio_ms": 3000}, false},
		{"time in quotes", `{"usage":{"type":"duration","seconds":"61.9"}}`, map[string]int64{"audio_ms": 61900}, false},
		{"less than a millisecond", `{"usage":{"type":"duration","seconds":0.0001}}`, map[string]int64{"audio_ms": 1}, false},
		{"time is missing", `{"usage":{"type":"duration"}}`, map[string]int64{}, true},
		{"negative time", `{"usage":{"type":"duration","seconds":-3}}`, map[string]int64{}, true},
		{"time without end", `{"usage":{"type":"duration","seconds":1e300}}`, map[string]int64{"audio_ms": 1 << 32 * 1000}, false},
		{"verbose", `{"duration":12.3456,"text":"x"}`, map[string]int64{"audio_ms": 12346}, false},
		{"duration is text", `{"duration":"long"}`, map[string]int64{}, true},
		{"subtitles", "1\n00:00:00,000 --> 00:00:01,000\nusage\n", map[string]int64{}, true},
	} {
		contentType, body := form(t, "model=m", "file@10")
		c, err := parseForm(t, "POST /audio/transcriptions", contentType, body)
		if err != nil {
			t.Fatal(err)
		}
		_, m := pass(c, false, tt.answer)
		got := read(c, m)
		if diff := cmp.Diff(tt.want, got.Usage); diff != "" || got.Known == tt.unknown {
			t.Errorf("%s: known %v, (-want +got)\n%s", tt.name, got.Known, diff)
		}
	}
}

// The classes never add up to more than the provider's own totals.
func FuzzUsage(f *testing.F) {
	f.Add(`{"usage":{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":8,"audio_tokens":9}}}`)
	f.Add(`{"response":{"usage":{"input_tokens":1,"output_tokens":1e30},"tool_usage":{"web_search":{"num_requests":-1}}}}`)
	f.Add(`{"usage":{"type":"duration","seconds":"1e9"}}`)
	c, err := parse(f, responses, `{}`)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, answer string) {
		_, m := pass(c, false, answer)
		u, known := provider.OpenAI.Usage(c, m.Members())
		for class, n := range u.Counts {
			if n < 0 || n > 1<<32*1000 {
				t.Fatalf("%q: %d of class %s", answer, n, gateway.ClassNames[class])
			}
		}
		usage := m.Members().Get("usage")
		if in := usage.Get("input_tokens"); known && in.Num >= 0 && in.Num < 1<<40 && in.Exists() && !usage.Get("prompt_tokens").Exists() &&
			usage.Get("type").String() != "duration" && u.PromptTokens() != int64(in.Num) {
			t.Fatalf("%q: %d tokens in", answer, u.PromptTokens())
		}
	})
}

func TestStreamedSearches(t *testing.T) {
	c, err := parse(t, "POST /responses", `{"stream":true,"tools":[{"type":"file_search"},{"type":"web_search"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	_, m := pass(c, true, `data: {"type":"response.output_item.added","item":{"type":"file_search_call"}}

data: {"type":"response.file_search_call.completed"}

data: {"type":"response.file_search_call.completed"}

data: {"type":"response.web_search_call.completed"}

data: {"type":"response.completed","response":{"output":[{"type":"file_search_call"}],"usage":{"input_tokens":1,"output_tokens":2}}}

`)
	want := map[string]int64{"input": 1, "output": 2, "file_searches": 2, "web_searches": 1}
	if diff := cmp.Diff(want, read(c, m).Usage); diff != "" {
		t.Error(diff)
	}
}
