package provider_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/internal/provider"
)

func TestRequestText(t *testing.T) {
	for _, tt := range []struct {
		name, row, body string
		texts           []string
		extra           int64
		opaque          bool
	}{
		{name: "chat", row: chat, body: `{"model":"m","messages":[{"role":"user","content":"a \"b\""},{"role":"assistant","content":[{"type":"text","text":"c"}]}]}`,
			texts: []string{"user", `a "b"`, "assistant", "text", "c"}, extra: 3 + 3*4},
		{name: "tools", row: chat, body: `{"messages":[],"tools":[{"type":"function"},{"function":{}}],"tool_choice":"auto","response_format":null}`,
			texts: []string{`[{"type":"function"},{"function":{}}]`, `"auto"`}, extra: 3 + 2*16},
		{name: "responses", row: responses, body: `{"input":"hi","instructions":"be brief"}`, texts: []string{"hi", `"be brief"`}, extra: 3 + 4},
		{name: "prompts", row: "POST /completions", body: `{"prompt":["a",[1,2,3]],"suffix":"z"}`, texts: []string{"a", `"z"`}, extra: 3 + 3},
		{name: "embeddings", row: "POST /embeddings", body: `{"input":["a","b"],"user":"not counted"}`, texts: []string{"a", "b"}, extra: 3},
		{name: "picture", row: chat, body: `{"messages":[{"content":[{"type":"image_url"}]}]}`, opaque: true},
		{name: "file", row: responses, body: `{"input":[{"file_id":"f"}]}`, opaque: true},
		{name: "search tool", row: responses, body: `{"input":"x","tools":[{"type":"web_search"}]}`, opaque: true},
		{name: "run", row: "POST /threads/runs", body: `{}`, opaque: true},
		{name: "speech", row: "POST /audio/speech", body: `{"input":"x"}`, opaque: true},
	} {
		c, err := parse(t, tt.row, tt.body)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		texts, extra, ok := provider.RequestText(c)
		if diff := cmp.Diff(tt.texts, texts); diff != "" || extra != tt.extra || ok == tt.opaque {
			t.Errorf("%s: extra %d, ok %v, (-want +got)\n%s", tt.name, extra, ok, diff)
		}
	}
}

func TestAnswerText(t *testing.T) {
	for _, tt := range []struct {
		name, answer string
		events       bool
		want         string
	}{
		{"chat", `{"id":"x","model":"not this","choices":[{"message":{"role":"assistant","content":"Hello","refusal":null,"tool_calls":[{"function":{"name":"f","arguments":"{\"a\":1}"}}]}}]}`, false, `Hello|{"a":1}`},
		{"reasoning", `{"choices":[{"message":{"reasoning_content":"hm","content":"yes"}}]}`, false, "hm|yes"},
		{"completion", `{"choices":[{"text":"a"},{"text":"b"}]}`, false, "a|b"},
		{"responses", `{"output":[{"type":"reasoning","summary":[{"type":"summary_text","text":"why"}]},{"type":"message","content":[{"type":"output_text","text":"because"}]}]}`, false, "why|because"},
		{"chat stream", "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"lo\"}}]}\n\ndata: [DONE]\n\n", true, "Hel|lo"},
		{"CRLF, several lines, no blank", ": c\r\ndata:{\"choices\":[{\"delta\":\r\ndata:{\"content\":\"Hi\"}}]}\r\n\r\n", true, "Hi"},
		{"CR", "data: {\"text\":\"a\"}\r\rdata: {\"text\":\"b\"}\r\r", true, "a|b"},
		{"end cut off", "data: {\"text\":\"a\"}\n\ndata: {\"text\":\"b", true, "a"},
		{"end without a blank line", "data: {\"text\":\"a\"}\n\ndata: {\"text\":\"b\"}", true, "a|b"},
		{"responses stream says all again at its end", "data: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi\"}\n\ndata: {\"type\":\"response.output_text.done\",\"text\":\"Hi\"}\n\ndata: {\"type\":\"response.completed\",\"response\":{\"output\":[{\"content\":[{\"text\":\"Hi\"}]}]}}\n\n", true, "Hi"},
		{"empty", "", true, ""}, {"nothing", "", false, ""}, {"no JSON", "<p>text</p>", false, ""},
		{"too deep", strings.Repeat(`{"content":`, 30) + `"x"` + strings.Repeat("}", 30), false, ""},
	} {
		if got := strings.Join(provider.AnswerText(new(provider.Call), []byte(tt.answer), tt.events), "|"); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
