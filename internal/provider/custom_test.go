package provider_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/internal/gateway"
	"tollgate/internal/provider"
)

var acme = &gateway.CustomProvider{Provider: "acme", AuthParam: "token", Routes: []gateway.RouteConfig{{
	Path: "/generate", TargetURL: "https://acme.example/v2/generate?region=eu",
	Model: "options.model", Prompt: "turns.#.text", Completion: "out.text",
	Stream: "options.live", StreamEnd: "[FINISHED]", StreamCompletion: "piece",
}}}

func custom(t testing.TB, route *gateway.RouteConfig, body string) (*provider.Call, error) {
	t.Helper()
	e := provider.CustomEndpoint(acme, route, "POST")
	return e.Vendor.Parse(e, "application/json", []byte(body))
}

// CU-03: what the locations say.
func TestCustomParse(t *testing.T) {
	body := `{"turns":[{"text":"one"},{"text":["two","three"]},{"x":1}],"options":{"model":"m","live":true,"max_tokens":5}}`
	c, err := custom(t, &acme.Routes[0], body)
	if err != nil {
		t.Fatal(err)
	}
	want := provider.Bound{Input: int64(len(body)), Output: 8192, Copies: 1, FullOutput: true, Uncountable: true}
	if diff := cmp.Diff(want, c.Bound); diff != "" || c.Model != "m" || !c.Stream {
		t.Errorf("model %q, stream %v, %s", c.Model, c.Stream, diff)
	}
	texts, extra, ok := provider.RequestText(c)
	if diff := cmp.Diff([]string{"one", "two", "three"}, texts); diff != "" || extra != 0 || !ok {
		t.Errorf("%d, %v, %s", extra, ok, diff)
	}
	plain := provider.AnswerText(c, []byte(`{"out":{"text":["a","b"]},"piece":"no"}`), false)
	stream := provider.AnswerText(c, []byte("data: {\"piece\":\"a\"}\n\ndata: {\"out\":{\"text\":\"no\"}}\n\ndata: {\"piece\":\"b\"}\n\ndata: [FINISHED]\n\n"), true)
	if !cmp.Equal(plain, []string{"a", "b"}) || !cmp.Equal(stream, []string{"a", "b"}) {
		t.Errorf("plain %q, streamed %q", plain, stream)
	}
}

func TestCustomBounds(t *testing.T) {
	bare := &gateway.RouteConfig{Path: "/x", TargetURL: "http://a"}
	for _, tt := range []struct {
		body string
		want provider.Bound
	}{
		{``, provider.Bound{Output: 8192}},
		{`["any","JSON"]`, provider.Bound{Input: 14, Output: 8192}},
		{`{"max_tokens":20000}`, provider.Bound{Input: 20, Output: 20000}},
		{`{"max_tokens":20}`, provider.Bound{Input: 17, Output: 8192}}, // nobody knows whether it is obeyed
		{`{"a":{"type":"image_url","image_url":"data:x"}}`, provider.Bound{Input: 47 - 6 + 50_000, Images: 1, Media: true, Output: 8192}},
		{`{"file_id":"f"}`, provider.Bound{Input: 15, Opaque: true, Output: 8192}},
	} {
		c, err := custom(t, bare, tt.body)
		if err != nil {
			t.Errorf("%s: %v", tt.body, err)
			continue
		}
		tt.want.Copies, tt.want.FullOutput, tt.want.Uncountable = 1, true, true
		if diff := cmp.Diff(tt.want, c.Bound); diff != "" || c.Model != "" || c.Stream {
			t.Errorf("%s: (-want +got)\n%s", tt.body, diff)
		}
		// Without a location everything is text.
		if texts, _, _ := provider.RequestText(c); strings.Join(texts, "") != tt.body {
			t.Errorf("%s: texts %q", tt.body, texts)
		}
	}
}

// What may be read in two ways is refused: the model list would not hold.
func TestCustomRefusals(t *testing.T) {
	for _, body := range []string{
		`model=m`, `{"options":{"model":"a","model":"b"}}`, `{"options":{"model":"a"},"options":{"model":"b"}}`,
		`{"options":{"model":7}}`, `{"options":{"live":true,"live":false}}`, `{"options":"` + "\xff" + `"}`,
		strings.Repeat("[", 600) + strings.Repeat("]", 600),
	} {
		if _, err := custom(t, &acme.Routes[0], body); err == nil || gateway.KindOf(err) != gateway.Invalid {
			t.Errorf("%.40s: %v", body, err)
		}
	}
	if _, err := custom(t, nil, `{}`); gateway.KindOf(err) != gateway.NotFound {
		t.Errorf("a route that is not known: %v", err)
	}
}

// CU-04: the declared parameter, and an apikey where there is none.
func TestCustomCredential(t *testing.T) {
	for _, tt := range []struct{ declared, params, want string }{
		{"token", "token=t", "Bearer t"}, {"token", "token=t apikey=k", "Bearer t"}, {"token", "apikey=k", "Bearer k"},
		{"", "apikey=k", "Bearer k"}, {"", "token=t", ""}, {"apikey", "apikey=k", "Bearer k"},
	} {
		params := map[string]string{}
		for field := range strings.FieldsSeq(tt.params) {
			name, value, _ := strings.Cut(field, "=")
			params[name] = value
		}
		e := provider.CustomEndpoint(&gateway.CustomProvider{Provider: "acme", AuthParam: tt.declared}, &acme.Routes[0], "POST")
		h := http.Header{}
		e.Vendor.Authorize(h, provider.Credential{APIKey: params["apikey"], Params: params})
		if got := h.Get("Authorization"); got != tt.want {
			t.Errorf("%q of %s: %q", tt.declared, tt.params, got)
		}
	}
}

func TestCustomUsage(t *testing.T) {
	c, err := custom(t, &acme.Routes[0], `{}`)
	if err != nil {
		t.Fatal(err)
	}
	for answer, want := range map[string]map[string]int64{
		`{"usage":{"prompt_tokens":3,"completion_tokens":4}}`: {"input": 3, "output": 4},
		`{"usage":{"input_tokens":3,"output_tokens":4}}`:      {"input": 3, "output": 4},
		`{"usage":{"credits":1}}`:                             nil,
		`{"out":{}}`:                                          nil,
		// As Anthropic reports it: the cache is beside the input.
		`{"usage":{"input_tokens":3,"output_tokens":4,"cache_read_input_tokens":50,"cache_creation_input_tokens":60}}`: {"input": 3, "cache_read": 50, "cache_write": 60, "output": 4},
	} {
		_, m := pass(c, false, answer)
		got := read(c, m)
		if got.Known != (want != nil) || want != nil && !cmp.Equal(got.Usage, want) {
			t.Errorf("%s: %+v", answer, got)
		}
	}
}

// Anthropic's streams tell the input at their beginning and the output at their end.
func TestCustomStreamUsage(t *testing.T) {
	const start = "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":5000,\"cache_read_input_tokens\":7,\"output_tokens\":1}}}\n\n"
	const end = "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":9000}}\n\n"
	for _, tt := range []struct {
		answer string
		known  bool
		out    int64
	}{{start + end, true, 9000}, {start, false, 1}} {
		c, err := custom(t, &acme.Routes[0], `{}`)
		if err != nil {
			t.Fatal(err)
		}
		_, m := pass(c, true, tt.answer)
		want := map[string]int64{"input": 5000, "cache_read": 7, "output": tt.out}
		if got := read(c, m); got.Known != tt.known || !cmp.Equal(got.Usage, want) {
			t.Errorf("%q: %+v", tt.answer, got)
		}
	}
}

// ST-11: a stream is complete with its end word, in whatever pieces it comes.
func TestCustomEndWord(t *testing.T) {
	const stream = "data: {\"piece\":\"a\"}\n\ndata: [FINISHED]\n\n"
	c, err := custom(t, &acme.Routes[0], `{"options":{"live":true}}`)
	if err != nil {
		t.Fatal(err)
	}
	for i := range stream {
		if _, m := pass(c, true, stream[:i], stream[i:]); !m.Done() || !m.Ended() {
			t.Fatalf("cut at %d: not done", i)
		}
	}
	for _, other := range []string{"data: [DONE]\n\n", "data: [FINISHED]!\n\n", "data: [FINISHE\n\n", "id: [FINISHED]\n\n"} {
		if _, m := pass(c, true, other); m.Done() || m.Ended() {
			t.Errorf("%q ends the stream", other)
		}
	}
	bare, err := custom(t, &gateway.RouteConfig{}, `{}`)
	if err != nil {
		t.Fatal(err)
	}
	if _, m := pass(bare, true, "data: {}\n\n"); !m.Done() || m.Ended() {
		t.Error("without an end word a stream just ends")
	}
}

func FuzzCustom(f *testing.F) {
	f.Add(`{"options":{"model":"m","live":true},"turns":[{"text":"x"}]}`, "options.model")
	f.Add(`[{"a":[1]}]`, "#.a")
	f.Add(`{}`, `..#(a>"x").@this|0`)
	f.Fuzz(func(t *testing.T, body, location string) {
		route := &gateway.RouteConfig{Model: location, Stream: location, Prompt: location, Completion: location}
		c, err := custom(t, route, body)
		if err != nil {
			return
		}
		if c.Bound.Input < 0 || string(c.Body) != body {
			t.Fatalf("bound %+v", c.Bound)
		}
		provider.RequestText(c)
		provider.AnswerText(c, []byte(body), true)
		provider.AnswerText(c, []byte(body), false)
	})
}
