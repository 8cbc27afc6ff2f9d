package provider_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/internal/gateway"
	"tollgate/internal/provider"
)

// endpointOf is the row of the table for a POST to a path.
func endpointOf(t testing.TB, path string) *provider.Endpoint {
	t.Helper()
	e, _, err := provider.NewRouter(provider.All()...).Match("POST", path)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return e
}

func textsOf(t testing.TB, path, contentType, body string) ([]provider.Text, error) {
	t.Helper()
	return provider.Texts(&provider.Call{Endpoint: endpointOf(t, path)}, contentType, []byte(body))
}

func valuesOf(texts []provider.Text) []string {
	var list []string
	for _, t := range texts {
		list = append(list, t.Value)
	}
	return list
}

func base64Of(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

const (
	chatPath      = "/api/providers/openai/v1/chat/completions"
	responsesPath = "/api/providers/openai/v1/responses"
	messagesPath  = "/api/providers/anthropic/v1/messages"
	geminiPath    = "/api/providers/gemini/v1beta/models/gemini-2.5-flash:generateContent"
	conversePath  = "/api/providers/bedrock/model/m/converse"
)

func TestTexts(t *testing.T) {
	picture := strings.Repeat("iVBORw0K", 20)
	for _, tt := range []struct{ name, path, body, want string }{
		{"strings and parts", chatPath, `{"model":"m","messages":[{"role":"system","content":"S"},{"role":"user","content":[{"type":"text","text":"T1"},{"type":"text","text":"T2"}]}],"stop":["X"],"user":"u"}`, "S T1 T2 X"},
		{"names, tool calls, tool answers", chatPath, `{"messages":[{"role":"assistant","name":"N","tool_calls":[{"id":"c1","type":"function","function":{"name":"F","arguments":"{\"a\":1}"}}]},{"role":"tool","tool_call_id":"c1","content":"A"}]}`, `N F {"a":1} A`},
		{"definitions of tools", chatPath, `{"tools":[{"type":"function","function":{"name":"F","description":"D","parameters":{"type":"object","required":["q"],"properties":{"q":{"type":"string","description":"P","enum":["E"]}}}}}]}`, "F D P E"},
		{"predictions and metadata", chatPath, `{"prediction":{"type":"content","content":"P"},"metadata":{"model":"M"},"reasoning_effort":"low"}`, "P M"},
		{"escapes are read", chatPath, `{"messages":[{"content":"\u0073ecret\n\ud83d\ude42"}]}`, "secret\n🙂"},
		{"a member that stands twice", chatPath, `{"x":{"content":"A","content":"B"}}`, "A B"},
		{"pictures are no text", chatPath, `{"messages":[{"content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,` + picture + `","detail":"low"}},{"type":"input_audio","input_audio":{"data":"` + picture + `","format":"wav"}},{"type":"text","text":"T"}]}]}`, "T"},
		{"addresses are", chatPath, `{"messages":[{"content":[{"type":"image_url","image_url":{"url":"https://h.example/?q=1"}}]}]}`, "https://h.example/?q=1"},
		{"what only begins like a data URL", chatPath, `{"messages":[{"content":"data:image/png;base64,abc and more"},{"content":"data: x"}]}`, "data:image/png;base64,abc and more data: x"},
		{"a text file", chatPath, `{"messages":[{"content":[{"type":"file","file":{"filename":"a.txt","file_data":"data:text/plain;base64,` + base64Of("FILE") + `"}}]}]}`, "a.txt FILE"},
		{"completions", "/api/providers/openai/v1/completions", `{"prompt":["A","B"],"suffix":"C"}`, "A B C"},
		{"embeddings", "/api/providers/openai/v1/embeddings", `{"input":["A","B"],"encoding_format":"float"}`, "A B"},
		{"moderations", "/api/providers/openai/v1/moderations", `{"input":"A"}`, "A"},
		{"pictures", "/api/providers/openai/v1/images/generations", `{"prompt":"A","size":"1024x1024"}`, "A"},
		{"speech", "/api/providers/openai/v1/audio/speech", `{"input":"A","voice":"alloy","instructions":"B"}`, "A B"},
		{"assistants", "/api/providers/openai/v1/assistants", `{"instructions":"A","name":"B"}`, "A B"},
		{"threads", "/api/providers/openai/v1/threads", `{"messages":[{"role":"user","content":"A"}]}`, "A"},
		{"thread and run", "/api/providers/openai/v1/threads/runs", `{"assistant_id":"a","instructions":"A","additional_instructions":"B","thread":{"messages":[{"content":[{"type":"text","text":"C"}]}]}}`, "A B C"},
		{"tool outputs", "/api/providers/openai/v1/threads/t/runs/r/submit_tool_outputs", `{"tool_outputs":[{"tool_call_id":"c","output":"A"}]}`, "A"},
		{"searches", "/api/providers/openai/v1/vector_stores/v/search", `{"query":"A"}`, "A"},
		{"responses", responsesPath, `{"instructions":"I","input":[{"role":"user","content":[{"type":"input_text","text":"A"}]},{"type":"function_call_output","call_id":"c","output":"B"}],"prompt":{"id":"p","variables":{"type":"V"}},"previous_response_id":"r"}`, "I A B V"},
		{"a plain input", responsesPath, `{"input":"A"}`, "A"},
		{"made pictures", responsesPath, `{"input":[{"type":"image_generation_call","id":"i","result":"` + picture + `"}]}`, ""},
		{"what calls itself a result", responsesPath, `{"input":[{"result":"secret"}]}`, "secret"},
		{"Azure completions", "/api/providers/azure/openai/deployments/d/completions", `{"prompt":"A"}`, "A"},
		{"vLLM prompts", "/api/providers/vllm/v1/completions", `{"prompt":["A","B"]}`, "A B"},
		{"Anthropic", messagesPath, `{"system":[{"type":"text","text":"S"}],"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"A"}]},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"` + picture + `"}},{"type":"document","title":"D","source":{"type":"text","media_type":"text/plain","data":"abcd"}}]}],"metadata":{"user_id":"u"}}`, "S A D abcd"},
		{"what Anthropic's tools are given", messagesPath, `{"messages":[{"content":[{"type":"tool_use","id":"t","name":"F","input":{"type":"A","user_id":"B","n":4111,"list":[{"id":"C"}],"ok":true}}]}]}`, "F A B 4111 C"},
		{"sealed thoughts", messagesPath, `{"messages":[{"content":[{"type":"redacted_thinking","data":"` + picture + `"},{"type":"thinking","thinking":"T","signature":"` + picture + `"}]}]}`, "T"},
		{"a document of text in base64", messagesPath, `{"messages":[{"content":[{"type":"document","source":{"type":"base64","media_type":"text/plain","data":"` + base64Of("été") + `"}}]}]}`, "été"},
		{"Anthropic completions", "/api/providers/anthropic/v1/complete", `{"prompt":"A"}`, "A"},
		{"Gemini", geminiPath, `{"systemInstruction":{"parts":[{"text":"S"}]},"contents":[{"role":"user","parts":[{"text":"A"},{"inlineData":{"mimeType":"image/png","data":"` + picture + `"}},{"functionResponse":{"name":"F","response":{"role":"B","n":7}}},{"functionCall":{"name":"G","args":{"q":"C"}}}]}],"safetySettings":[{"category":"HARM","threshold":"NONE"}]}`, "S A F B 7 G C"},
		{"Converse", conversePath, `{"system":[{"text":"S"}],"messages":[{"content":[{"text":"A"},{"toolResult":{"toolUseId":"t","content":[{"json":{"id":"B"}},{"text":"C"}]}},{"image":{"format":"png","source":{"bytes":"` + picture + `"}}},{"document":{"format":"csv","name":"N","source":{"bytes":"` + base64Of("a;b") + `"}}}]}]}`, "S A B C N a;b"},
		{"a model's own form", "/api/providers/bedrock/model/amazon.titan-text-lite-v1/invoke", `{"inputText":"A","textGenerationConfig":{"stopSequences":["B"]}}`, "A B"},
		{"a string by itself", "/api/providers/openai/v1/moderations", ` "A"`, "A"},
		{"no body", "/api/providers/openai/v1/threads", ``, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			texts, err := textsOf(t, tt.path, "application/json", tt.body)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(valuesOf(texts), " "); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// What may hold text that cannot be read is not passed over.
func TestUnseenTexts(t *testing.T) {
	pdf := base64Of("%PDF-1.7\x00\xff")
	for _, tt := range []struct{ name, path, body, want string }{
		{"tokens", "/api/providers/openai/v1/embeddings", `{"input":[1,2]}`, "tokens in the place of text"},
		{"lists of tokens", "/api/providers/openai/v1/completions", `{"prompt":["a",[1,2]]}`, "tokens in the place of text"},
		{"a file", chatPath, `{"messages":[{"content":[{"file":{"file_data":"data:application/pdf;base64,` + pdf + `"}}]}]}`, "a document in a format"},
		{"a document", messagesPath, `{"messages":[{"content":[{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"` + pdf + `"}}]}]}`, "a document in a format"},
		{"inline data", geminiPath, `{"contents":[{"parts":[{"inline_data":{"mime_type":"application/pdf","data":"` + pdf + `"}}]}]}`, "a document in a format"},
		{"bytes", conversePath, `{"messages":[{"content":[{"document":{"source":{"bytes":"` + pdf + `"}}}]}]}`, "a document in a format"},
		{"too deep", chatPath, strings.Repeat(`[`, 100) + strings.Repeat(`]`, 100), "nested too deep"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := textsOf(t, tt.path, "", tt.body)
			var unseen provider.Unseen
			if !errors.As(err, &unseen) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := textsOf(t, chatPath, "", `{"messages":`); gateway.KindOf(err) != gateway.Invalid {
		t.Errorf("half a body: %v", err)
	}
}

// PO-09: what is not changed stays as it was written.
func TestRewrite(t *testing.T) {
	for _, tt := range []struct{ name, path, body, want string }{
		{"blanks, numbers, order, escapes", chatPath,
			" { \"zeta\" : 1.50e1,\t\"messages\":[ {\"content\" : \"a <secret> & \\u00e9\" ,\"x\":\"\\u00e9\"} ] , \"a\":null}\n",
			" { \"zeta\" : 1.50e1,\t\"messages\":[ {\"content\" : \"a <***> & é\" ,\"x\":\"\\u00e9\"} ] , \"a\":null}\n"},
		{"quotes", chatPath, `{"messages":[{"content":"\"secret\"\\"}]}`, `{"messages":[{"content":"\"***\"\\"}]}`},
		{"several", "/api/providers/openai/v1/embeddings", `{"input":["secret","b","secret secret"]}`, `{"input":["***","b","*** ***"]}`},
		{"numbers become strings", messagesPath, `{"messages":[{"content":[{"type":"tool_use","input":{"n": 77 ,"m":7}}]}]}`, `{"messages":[{"content":[{"type":"tool_use","input":{"n": "***" ,"m":7}}]}]}`},
		{"inside of base64", messagesPath, `{"messages":[{"source":{"type":"base64","media_type":"text/plain","data":"` + base64Of("a secret") + `"}}]}`,
			`{"messages":[{"source":{"type":"base64","media_type":"text/plain","data":"` + base64Of("a ***") + `"}}]}`},
		{"inside of a data URL", chatPath, `{"messages":[{"file":{"file_data":"data:text/csv;base64,` + base64Of("secret;1") + `"}}]}`,
			`{"messages":[{"file":{"file_data":"data:text/csv;base64,` + base64Of("***;1") + `"}}]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			texts, err := textsOf(t, tt.path, "", tt.body)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(provider.Rewrite([]byte(tt.body), texts, masked(texts))); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if got := string(provider.Rewrite([]byte(tt.body), texts, valuesOf(texts))); got != tt.body {
				t.Errorf("unchanged: %s", got)
			}
		})
	}
}

// masked are the values with the words of these tests masked.
func masked(texts []provider.Text) []string {
	values := valuesOf(texts)
	for i, v := range values {
		values[i] = strings.NewReplacer("secret", "***", "77", "***").Replace(v)
	}
	return values
}

// formOf writes a form of names and values by turns; a name that begins with @ is
// of a file.
func formOf(t testing.TB, parts ...string) (contentType, body string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(parts); i += 2 {
		create := w.CreateFormField
		name, file := strings.CutPrefix(parts[i], "@")
		if file {
			create = func(name string) (io.Writer, error) { return w.CreateFormFile(name, "a.bin") }
		}
		p, err := create(name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(p, parts[i+1])
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), b.String()
}

func TestFormTexts(t *testing.T) {
	for _, tt := range []struct {
		name, path string
		parts      []string
		want       []string
	}{
		{"a picture and its prompt", "/api/providers/openai/v1/images/edits", []string{"@image", "\x89PNG\x00", "prompt", "a secret", "size", "1024x1024", "user", "u"}, []string{"a secret"}},
		{"speech and its prompt", "/api/providers/openai/v1/audio/transcriptions", []string{"@file", "RIFF\x00", "prompt", "secret", "model", "whisper-1"}, []string{"secret"}},
		{"a file of text", "/api/providers/openai/v1/files", []string{"purpose", "batch", "@file", "{\"a\":\"secret\"}\n", "empty", ""}, []string{"{\"a\":\"secret\"}\n"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			contentType, body := formOf(t, tt.parts...)
			texts, err := textsOf(t, tt.path, contentType, body)
			if err != nil {
				t.Fatal(err)
			}
			if !cmp.Equal(valuesOf(texts), tt.want) {
				t.Errorf("got %q, want %q", valuesOf(texts), tt.want)
			}
			got := string(provider.Rewrite([]byte(body), texts, masked(texts)))
			if want := strings.ReplaceAll(body, "secret", "***"); got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
	contentType, body := formOf(t, "purpose", "batch", "@file", "PK\x03\x04\x00")
	var unseen provider.Unseen
	if _, err := textsOf(t, "/api/providers/openai/v1/files", contentType, body); !errors.As(err, &unseen) {
		t.Errorf("an archive: %v", err)
	}
}

// A custom provider may have its texts anywhere: all are read but the model's name.
func TestCustomTexts(t *testing.T) {
	c := &provider.Call{Endpoint: &provider.Endpoint{}, Custom: &gateway.RouteConfig{Model: "opts.model", Prompt: "q"}}
	body := `{"q":["A",{"type":"B"}],"opts":{"model":"m","max_tokens":4000},"other":{"model":"C"}}`
	texts, err := provider.Texts(c, "", []byte(body))
	if got := valuesOf(texts); err != nil || !cmp.Equal(got, []string{"A", "B", "C"}) {
		t.Errorf("got %q, %v", got, err)
	}
}

// Whatever the body: texts stand where they are said to, and masking them leaves
// JSON with other values in the same places.
func FuzzTexts(f *testing.F) {
	f.Add(`{"messages":[{"content":"a\u0041"},{"content":[{"type":"text","text":"b"}]}],"input":{"n":1}}`)
	f.Add(` ["a", {"source":{"type":"base64","data":"YWJj","media_type":"text/plain"}}]`)
	f.Add(`{"metadata":{"a":-1e5,"a":{"b":[true,null,"x"]}}}`)
	e := endpointOf(f, chatPath)
	f.Fuzz(func(t *testing.T, body string) {
		texts, err := provider.Texts(&provider.Call{Endpoint: e}, "", []byte(body))
		if err != nil || len(texts) == 0 {
			return
		}
		same := string(provider.Rewrite([]byte(body), texts, valuesOf(texts)))
		if same != body {
			t.Fatalf("unchanged texts changed %q to %q", body, same)
		}
		values := make([]string, len(texts))
		for i := range values {
			values[i] = "x y" + fmt.Sprint(i)
		}
		changed := provider.Rewrite([]byte(body), texts, values)
		if !json.Valid(changed) {
			t.Fatalf("%q became %q", body, changed)
		}
		for i, v := range values {
			if !strings.Contains(string(changed), v) && !strings.Contains(string(changed), base64Of(v)) {
				t.Errorf("text %d is not in %q", i, changed)
			}
		}
	})
}

// The texts of a long conversation, 100 KB.
func BenchmarkTexts(b *testing.B) {
	message := `{"role":"user","content":[{"type":"text","text":"` + strings.Repeat("the quick brown fox jumps over 12 lazy dogs. ", 23) + `"}]},`
	body := []byte(`{"model":"m","messages":[` + strings.TrimSuffix(strings.Repeat(message, 100), ",") + `]}`)
	c := &provider.Call{Endpoint: endpointOf(b, chatPath)}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if texts, err := provider.Texts(c, "", body); err != nil || len(texts) != 100 {
			b.Fatal(len(texts), err)
		}
	}
}
