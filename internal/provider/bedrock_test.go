package provider_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"tollgate/internal/eventstream"
	"tollgate/internal/fakeai"
	"tollgate/internal/gateway"
	"tollgate/internal/provider"
)

const bedrock = "/api/providers/bedrock"

var allVendors = sync.OnceValue(func() *provider.Router { return provider.NewRouter(provider.All()...) })

// onBedrock takes a call through all that a vendor is asked of it before it is sent.
func onBedrock(t testing.TB, path, body string, header ...string) (*provider.Call, error) {
	t.Helper()
	e, upstream, err := allVendors().Match("POST", bedrock+path)
	if err != nil {
		return nil, err
	}
	c, err := e.Vendor.Parse(e, "application/json", []byte(body))
	if err != nil {
		return nil, err
	}
	if model := e.ModelIn(upstream); model != "" {
		c.Named(model)
	}
	h := http.Header{}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return c, provider.Complete(c, h)
}

func mustBedrock(t testing.TB, path, body string, header ...string) *provider.Call {
	t.Helper()
	c, err := onBedrock(t, path, body, header...)
	if err != nil {
		t.Fatalf("%s %s: %v", path, body, err)
	}
	return c
}

const profile = "arn%3Aaws%3Abedrock%3Aeu-central-1%3A123456789012%3Aapplication-inference-profile%2Fab12cd34"

// and Bedrock's own: where a call goes, and as what.
func TestBedrockPaths(t *testing.T) {
	for _, tt := range []struct{ path, body, model, upstream string }{
		{"/model/anthropic.claude-haiku-4-5-20251001-v1:0/invoke", "{}", "anthropic.claude-haiku-4-5-20251001-v1:0", "/model/anthropic.claude-haiku-4-5-20251001-v1%3A0/invoke"},
		{"/model/us.amazon.nova-pro-v1%3A0/converse-stream", "{}", "us.amazon.nova-pro-v1:0", "/model/us.amazon.nova-pro-v1%3A0/converse-stream"},
		{"/model/" + profile + "/converse", "{}", "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/ab12cd34", "/model/" + profile + "/converse"},
		{"/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Acustom-model%2Famazon.nova-pro-v1%3A0%2Fabcdefghijkl/converse", "{}", "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-pro-v1:0/abcdefghijkl",
			"/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Acustom-model%2Famazon.nova-pro-v1%3A0%2Fabcdefghijkl/converse"},
		{"/model/m/count-tokens", "{}", "m", "/model/m/count-tokens"},
		{"/anthropic/v1/messages", `{"model":"anthropic.claude-opus-5-5"}`, "anthropic.claude-opus-5-5", "/model/anthropic.claude-opus-5-5/invoke"},
		{"/anthropic/v1/messages", `{"model":"eu.a.b-v1:0","stream":true}`, "eu.a.b-v1:0", "/model/eu.a.b-v1%3A0/invoke-with-response-stream"},
		{"/anthropic/v1/complete", `{"model":"anthropic.claude-v2:1"}`, "anthropic.claude-v2:1", "/model/anthropic.claude-v2%3A1/invoke"},
		{"/anthropic/v1/messages", `{"model":"arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v2"}`, "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v2", "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A%3Afoundation-model%2Fanthropic.claude-v2/invoke"},
		{"/openai/v1/chat/completions", `{"model":"us.openai.gpt-6.1-sol","messages":[]}`, "us.openai.gpt-6.1-sol", ""},
	} {
		c := mustBedrock(t, tt.path, tt.body)
		if c.Model != tt.model || c.Path != tt.upstream || c.Stream != strings.HasSuffix(tt.upstream, "-stream") {
			t.Errorf("%s: model %q, path %q, stream %v", tt.path, c.Model, c.Path, c.Stream)
		}
	}
}

// What could lead to another path, or is no model, is refused; a slash is good in an
// ARN and nowhere else.
func TestBedrockModelsRefused(t *testing.T) {
	for _, model := range []string{"", "a/b", "..", ".", "../x", "a b", "a?b", "a%2Fb", "-a", strings.Repeat("a", 300), "ä",
		"arn:aws:bedrock:eu-central-1:123456789012:inference-profile/..", "arn:aws:bedrock:eu-central-1:123456789012:inference-profile/a/b",
		"arn:aws:s3:::bucket/key", "arn:aws:bedrock:eu-central-1:1:x/", "arn:aws:bedrock:EU:1:x/y"} {
		if _, err := onBedrock(t, "/anthropic/v1/messages", `{"model":"`+model+`"}`); gateway.KindOf(err) != gateway.Invalid {
			t.Errorf("body %q: %v", model, err)
		}
		if model == "" {
			continue
		}
		escaped := strings.NewReplacer("%", "%25", "/", "%2F", " ", "%20", "?", "%3F").Replace(model)
		if c, err := onBedrock(t, "/model/"+escaped+"/invoke", "{}"); err == nil {
			t.Errorf("path %q: became %s", model, c.Path)
		}
	}
	if _, _, err := allVendors().Match("GET", openAI+"/models/"+profile); gateway.KindOf(err) != gateway.Invalid {
		t.Errorf("an ARN passes where none belongs: %v", err)
	}
}

// HD-07, AP-12: what changes in a body of Anthropic's, and that nothing else does.
func TestBedrockClaudeBody(t *testing.T) {
	const rest = `"max_tokens":5,"top_p":0.9,"system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}],"tools":[{"name":"t","input_schema":{}}]`
	for _, tt := range []struct{ name, body, want, header string }{
		{"version added", `{"model":"m",` + rest + `}`, `{` + rest + `,"anthropic_version":"bedrock-2023-05-31"}`, ""},
		{"the SDK's own version", `{"model":"m",` + rest + `}`, `{` + rest + `,"anthropic_version":"bedrock-2023-05-31"}`, "Anthropic-Version: 2023-06-01"},
		{"HD-07 header", `{"stream":true,"model":"m",` + rest + `}`, `{` + rest + `,"anthropic_version":"bedrock-2030-01-01"}`, "anthropic-version: bedrock-2030-01-01"},
		{"HD-07 header wins", `{"model":"m","anthropic_version":"a",` + rest + `}`, `{"anthropic_version":"2026-10-21",` + rest + `}`, "anthropic-version: 2026-10-21"},
		{"body's own", `{"anthropic_version":"a","model":"m",` + rest + `}`, `{"anthropic_version":"a",` + rest + `}`, "anthropic-version: 2023-06-01"},
		{"betas", `{"model":"m",` + rest + `}`, `{` + rest + `,"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["a-1","b-2"]}`, "anthropic-beta: a-1, b-2"},
		{"betas of both", `{"anthropic_beta":["x","a-1"],"model":"m",` + rest + `}`, `{"anthropic_beta":["x","a-1","b-2"],` + rest + `,"anthropic_version":"bedrock-2023-05-31"}`, "anthropic-beta: a-1,b-2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := mustBedrock(t, "/anthropic/v1/messages", tt.body, tt.header)
			if string(c.Body) != tt.want {
				t.Errorf("got  %s\nwant %s", c.Body, tt.want)
			}
			if h := c.Header; h.Get("Accept") != "application/json" || h["Anthropic-Version"] != nil || h["Anthropic-Beta"] != nil {
				t.Errorf("header %v", h)
			}
		})
	}
	if c := mustBedrock(t, "/anthropic/v1/messages", `{"model":"m","metadata":{"user_id":"u-1"}}`); c.User != "u-1" {
		t.Errorf("CK-08: user %q", c.User)
	}
}

// The cap on the output, where each form has it.
func TestBedrockCaps(t *testing.T) {
	for _, tt := range []struct {
		path, body string
		output     int64
		cap, also  string
		full       bool
	}{
		{"/model/m/converse", `{"inferenceConfig":{"maxTokens":7}}`, 7, "inferenceConfig.maxTokens", "", false},
		{"/model/m/converse", `{}`, 0, "inferenceConfig.maxTokens", "", false},
		{"/model/arn:aws:bedrock:us-east-1:123456789012:prompt%2FABCDEFGHIJ:1/converse", `{"promptVariables":{}}`, 0, "", "", true},
		{"/model/m/converse", `{"inferenceConfig":{"maxTokens":7},"additionalModelRequestFields":{"max_tokens":9000}}`, 0, "", "", true},
		{"/model/m/converse", `{"inferenceConfig":{"maxTokens":7},"additionalModelRequestFields":{"top_k":5}}`, 7, "inferenceConfig.maxTokens", "", false},
		{"/model/anthropic.claude-opus-5-5/invoke", `{"anthropic_version":"x","max_tokens":7}`, 7, "max_tokens", "", false},
		{"/model/us.anthropic.claude-opus-5-5/invoke", `{"max_tokens":7,"max_gen_len":9000}`, 0, "", "", true},
		{"/model/anthropic.claude-v2/invoke", `{"prompt":"x","max_tokens_to_sample":7}`, 7, "max_tokens_to_sample", "", false},
		{"/model/" + profile + "/invoke", `{"anthropic_version":"x","max_tokens":7}`, 7, "max_tokens", "", false},
		{"/model/" + profile + "/invoke", `{"max_tokens":7}`, 0, "", "", true},
		{"/model/us.meta.llama3-3-70b-instruct-v1:0/invoke", `{"max_gen_len":7,"max_tokens":1}`, 7, "max_gen_len", "", false},
		{"/model/amazon.nova-pro-v1:0/invoke", `{"inferenceConfig":{"max_new_tokens":7}}`, 7, "inferenceConfig.max_new_tokens", "", false},
		{"/model/amazon.nova-pro-v1:0/invoke", `{"inferenceConfig":{"max_new_tokens":9,"maxTokens":7}}`, 9, "inferenceConfig.maxTokens", "inferenceConfig.max_new_tokens", false},
		{"/model/amazon.titan-text-lite-v1/invoke", `{"textGenerationConfig":{"maxTokenCount":7}}`, 7, "textGenerationConfig.maxTokenCount", "", false},
		{"/model/openai.gpt-oss-20b-1:0/invoke", `{"max_tokens":7}`, 7, "max_tokens", "", false},
		{"/model/nobody.knows-v1:0/invoke", `{"max_tokens":7}`, 0, "", "", true},
		{"/model/amazon.titan-embed-text-v1/invoke", `{"inputText":"x"}`, 0, "", "", false},
		{"/anthropic/v1/messages", `{"model":"m","max_tokens":7}`, 7, "max_tokens", "", false},
		{"/anthropic/v1/complete", `{"model":"m","prompt":"x","max_tokens_to_sample":7}`, 7, "max_tokens_to_sample", "", false},
	} {
		b := mustBedrock(t, tt.path, tt.body).Bound
		if b.Output != tt.output || b.CapMember != tt.cap || b.CapAlso != tt.also || b.FullOutput != tt.full || b.Percent != 0 {
			t.Errorf("%s %s: %+v", tt.path, tt.body, b)
		}
	}
	for path, body := range map[string]string{
		"/model/m/converse":                               `{"inferenceConfig":{"maxTokens":7,"maxTokens":8}}`,
		"/model/meta.llama3/invoke":                       `{"max_gen_len":"7"}`,
		"/model/d/converse":                               `{"inferenceConfig":[]}`,
		"/model/m/invoke":                                 `[]`,
		"/model/m/converse-stream":                        ``,
		"/model/a/converse":                               `{"serviceTier":{"type":"flex","type":"priority"}}`,
		"/model/b/converse":                               `{"additionalModelRequestFields":{"max_tokens":1,"max_tokens":2}}`,
		"/model/amazon.nova-pro-v1:0/invoke":              `{"inferenceConfig":{"maxTokens":true}}`,
		"/model/c/invoke-with-response-stream":            `{"max_tokens":1,"max_tokens":2}`,
		"/model/amazon.titan-text-lite-v1/invoke":         `{"textGenerationConfig":{"maxTokenCount":[]}}`,
		"/anthropic/v1/messages":                          `{"model":7}`,
		"/openai/v1/chat/completions":                     `{"model":7}`,
		"/model/anthropic.claude-haiku-4-5-v1%3A0/invoke": `{"metadata":{"user_id":7}}`,
	} {
		if _, err := onBedrock(t, path, body); gateway.KindOf(err) != gateway.Invalid || err == nil {
			t.Errorf("%s %s: %v; want it refused", path, body, err)
		}
	}
}

// What the input may hold beside text, and what nothing bounds.
func TestBedrockBounds(t *testing.T) {
	const image = `{"image":{"format":"png","source":{"bytes":"AAAA"}}}`
	say := func(block string) string {
		return `{"messages":[{"role":"user","content":[{"text":"hi"},` + block + `]}]}`
	}
	const tokensPerImage = 50_000
	for _, tt := range []struct {
		name, path, body string
		images           int64
		opaque, loose    bool
		header           string
	}{
		{"text", "/model/m/converse", say(`{"text":"x"}`), 0, false, false, ""},
		{"a picture", "/model/m/converse", say(image), 1, false, false, ""},
		{"a picture in a tool's result", "/model/m/converse", say(`{"toolResult":{"toolUseId":"t","content":[{"text":"x"},` + image + `]}}`), 1, false, false, ""},
		{"a guarded picture", "/model/m/converse", say(`{"guardContent":` + image + `}`), 1, false, false, ""},
		{"a document", "/model/m/converse", say(`{"document":{"format":"pdf","name":"d","source":{"bytes":"AAAA"}}}`), 0, true, false, ""},
		{"a video elsewhere", "/model/m/converse", say(`{"video":{"source":{"s3Location":{"uri":"s3://b/k"}}}}`), 0, true, false, ""},
		{"an unknown block", "/model/m/converse", say(`{"hologram":{}}`), 0, true, false, ""},
		{"a prompt's variables", "/model/m/converse", `{"promptVariables":{"a":{"text":"x"}}}`, 0, true, false, ""},
		{"a tool", "/model/m/converse", `{"toolConfig":{"tools":[{"toolSpec":{"name":"t"}},{"cachePoint":{"type":"default"}}]}}`, 0, false, false, ""},
		{"a tool of Bedrock's own", "/model/m/converse", `{"toolConfig":{"tools":[{"systemTool":{"name":"nova_grounding"}}]}}`, 0, true, true, ""},
		{"a guardrail", "/model/m/converse", `{"guardrailConfig":{"guardrailIdentifier":"g"}}`, 0, false, true, ""},
		{"tier flex", "/model/m/converse", `{"serviceTier":{"type":"flex"}}`, 0, false, false, ""},
		{"tier priority", "/model/m/converse", `{"serviceTier":{"type":"priority"}}`, 0, false, true, ""},
		{"faster", "/model/m/converse", `{"performanceConfig":{"latency":"optimized"}}`, 0, false, true, ""},
		{"as fast as usual", "/model/m/converse", `{"performanceConfig":{"latency":"standard"}}`, 0, false, false, ""},
		{"header: tier priority", "/model/m/invoke", `{}`, 0, false, true, "X-Amzn-Bedrock-Service-Tier: priority"},
		{"header: tier default", "/model/m/invoke", `{}`, 0, false, false, "X-Amzn-Bedrock-Service-Tier: default"},
		{"header: guardrail", "/model/m/invoke", `{}`, 0, false, true, "X-Amzn-Bedrock-GuardrailIdentifier: g"},
		{"header: faster", "/model/m/invoke", `{}`, 0, false, true, "X-Amzn-Bedrock-PerformanceConfig-Latency: optimized"},
		{"picture of another's form", "/model/meta.llama/invoke", `{"prompt":"x","images":["AAAA"]}`, 0, true, false, ""},
		{"text of another's form", "/model/meta.llama/invoke", `{"prompt":"image"}`, 0, false, false, ""},
		{"OpenAI's tier", "/openai/v1/chat/completions", `{"model":"m","service_tier":"priority","messages":[]}`, 0, false, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := mustBedrock(t, tt.path, tt.body, tt.header)
			b := c.Bound
			if b.Images != tt.images || b.Opaque != tt.opaque || b.Unbounded != tt.loose || b.Media != (tt.images > 0) || !b.Uncountable {
				t.Errorf("%+v", b)
			}
			want := int64(len(tt.body)) + tt.images*(tokensPerImage-int64(len("AAAA")))
			if strings.Contains(tt.body, "toolConfig") {
				want += 1000
			}
			if b.Input != want {
				t.Errorf("input %d, want %d", b.Input, want)
			}
			if name, value, ok := strings.Cut(tt.header, ": "); ok && c.Header.Get(name) != value {
				t.Errorf("the header does not go on: %v", c.Header)
			}
		})
	}
	c := mustBedrock(t, "/model/m/converse", `{"inferenceConfig":{"maxTokens":9000},"additionalModelRequestFields":{"thinking":{"type":"enabled","budget_tokens":4000}}}`)
	if c.Bound.MinOutput != 4001 || c.Bound.CapMember == "" {
		t.Errorf("thinking: %+v", c.Bound)
	}
	c = mustBedrock(t, "/model/cohere.command-text-v14/invoke", `{"prompt":"x","max_tokens":5,"num_generations":4}`)
	if c.Bound.Copies != 4 {
		t.Errorf("copies: %+v", c.Bound)
	}
}

// CO-09: one model under all of its names.
func TestBedrockPriceNames(t *testing.T) {
	for model, want := range map[string]string{
		"anthropic.claude-opus-5-5":        "anthropic.claude-opus-5-5 us.anthropic.claude-opus-5-5 eu.anthropic.claude-opus-5-5 au.anthropic.claude-opus-5-5 jp.anthropic.claude-opus-5-5",
		"apac.amazon.nova-pro-v1:0":        "apac.amazon.nova-pro-v1:0 us.amazon.nova-pro-v1:0 eu.amazon.nova-pro-v1:0 au.amazon.nova-pro-v1:0 jp.amazon.nova-pro-v1:0 amazon.nova-pro-v1:0",
		"global.anthropic.claude-opus-5-5": "global.anthropic.claude-opus-5-5 anthropic.claude-opus-5-5 us.anthropic.claude-opus-5-5 eu.anthropic.claude-opus-5-5 au.anthropic.claude-opus-5-5 jp.anthropic.claude-opus-5-5 anthropic.claude-opus-5-5",
		"arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc": "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc",
		"plain": "plain",
	} {
		if got := strings.Join(provider.PriceNames(provider.Bedrock, model), " "); got != want {
			t.Errorf("%s: %s", model, got)
		}
	}
	arn := "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-opus-5-5"
	if got := provider.PriceNames(provider.Bedrock, arn); got[0] != arn || got[1] != "eu.anthropic.claude-opus-5-5" {
		t.Errorf("%v", got)
	}
	if got := provider.PriceNames(provider.OpenAI, "m"); !slices.Equal(got, []string{"m"}) {
		t.Errorf("another vendor's: %v", got)
	}
	if c := mustBedrock(t, "/model/"+profile+"/converse", "{}"); !c.Alias {
		t.Error("an application inference profile is no alias")
	}
}

// AU-21, AU-22: whose signature a setting asks for, and for which host.
func TestBedrockIdentity(t *testing.T) {
	v := provider.Bedrock.(provider.Signing)
	params := map[string]string{"awsAccessKeyId": "AKIA", "awsSecretAccessKey": "s", "awsSessionToken": "t", "awsRegion": "eu-west-1", "awsRoleArn": "default", "awsExternalId": "x"}
	id, ok := v.Identity(provider.Credential{Params: params}, "https://bedrock-runtime.eu-west-1.amazonaws.com")
	if want := (provider.Identity{AccessKeyID: "AKIA", SecretAccessKey: "s", SessionToken: "t", ExternalID: "x", Region: "eu-west-1", Service: "bedrock"}); !ok || id != want {
		t.Errorf("got %+v", id)
	}
	params["awsRoleArn"] = "arn:aws:iam::123456789012:role/r"
	if id, _ = v.Identity(provider.Credential{Params: params}, "https://bedrock-mantle.eu-west-1.api.aws"); id.RoleARN != params["awsRoleArn"] || id.Service != "bedrock-mantle" {
		t.Errorf("got %+v, %s", id, id.RoleARN)
	}
	if _, ok = v.Identity(provider.Credential{APIKey: "k", Params: params}, ""); ok {
		t.Error("an API key needs no signature")
	}
	for region, want := range map[string]string{"eu-west-1": "https://bedrock-runtime.eu-west-1.amazonaws.com", "cn-north-1": "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"} {
		if got := provider.Bedrock.BaseURL(&gateway.Setting{Params: map[string]string{"awsRegion": region}}); got != want {
			t.Errorf("%s: %s", region, got)
		}
	}
}

// claudeStream is the stream of a message as callers of Anthropic's API get it.
func claudeStream(t testing.TB, frames []byte, read func(io.Reader) io.Reader) (string, error) {
	t.Helper()
	c := mustBedrock(t, "/anthropic/v1/messages", `{"model":"m","stream":true}`)
	res := &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/vnd.amazon.eventstream"}, "Content-Length": {"1"}}, Body: io.NopCloser(read(bytes.NewReader(frames)))}
	provider.Answer(c, res)
	if ct := res.Header.Get("Content-Type"); ct != "text/event-stream; charset=utf-8" || res.ContentLength != -1 || res.Header.Get("Content-Length") != "" {
		t.Errorf("%v", res.Header)
	}
	b, err := io.ReadAll(res.Body)
	return string(b), err
}

func sse(events ...string) string {
	text := ""
	for _, e := range events {
		kind, _, _ := strings.Cut(strings.TrimPrefix(e, `{"type":"`), `"`)
		text += "event: " + kind + "\ndata: " + e + "\n\n"
	}
	return text
}

// ST-08, ST-13: the events under their names, however the frames are cut; a stream
// that breaks off within one says so.
func TestBedrockClaudeStream(t *testing.T) {
	frames, want := bytes.Join(fakeai.ClaudeFrames, nil), sse(fakeai.ClaudeEvents...)
	same := func(r io.Reader) io.Reader { return r }
	for name, read := range map[string]func(io.Reader) io.Reader{"whole": same, "byte by byte": iotest.OneByteReader, "end with data": iotest.DataErrReader} {
		if got, err := claudeStream(t, frames, read); got != want || err != nil {
			t.Errorf("%s: %v, %s", name, err, got)
		}
	}
	ends := map[int]bool{0: true}
	at := 0
	for _, f := range fakeai.ClaudeFrames {
		at += len(f)
		ends[at] = true
	}
	for cut := range len(frames) {
		got, err := claudeStream(t, frames[:cut], same)
		if !strings.HasPrefix(want, got) || (err == nil) != ends[cut] || err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut at %d: %v, %q", cut, err, got)
		}
	}
	broken := bytes.Clone(frames)
	broken[len(broken)-1] ^= 1
	if got, err := claudeStream(t, broken, same); err == nil || got != sse(fakeai.ClaudeEvents[:6]...) {
		t.Errorf("a wrong checksum: %v, %s", err, got)
	}
}

// Bedrock's errors within a stream, and before it, in Anthropic's words.
func TestBedrockClaudeErrors(t *testing.T) {
	for kind, want := range map[string]string{
		"throttlingException": "rate_limit_error", "validationException": "invalid_request_error", "modelTimeoutException": "timeout_error",
		"serviceUnavailableException": "overloaded_error", "internalServerException": "api_error", "modelStreamErrorException": "api_error", "somethingNewException": "api_error",
	} {
		got, err := claudeStream(t, fakeai.Frame("exception", kind, `{"message":"a \"reason\""}`), func(r io.Reader) io.Reader { return r })
		if want := "event: error\ndata: {\"error\":{\"message\":\"a \\\"reason\\\"\",\"type\":\"" + want + "\"},\"type\":\"error\"}\n\n"; got != want || err != nil {
			t.Errorf("%s: %v, %s", kind, err, got)
		}
	}
	for _, tt := range []struct {
		status     int
		body, want string
	}{
		{400, `{"message":"m"}`, `{"error":{"message":"m","type":"invalid_request_error"},"request_id":"r","type":"error"}`},
		{403, `{"Message":"m"}`, `{"error":{"message":"m","type":"permission_error"},"request_id":"r","type":"error"}`},
		{424, `{"message":"m","originalStatusCode":500}`, `{"error":{"message":"m","type":"api_error"},"request_id":"r","type":"error"}`},
		{429, `<html>`, `{"error":{"message":"Too Many Requests","type":"rate_limit_error"},"request_id":"r","type":"error"}`},
		{503, ``, `{"error":{"message":"Service Unavailable","type":"overloaded_error"},"request_id":"r","type":"error"}`},
	} {
		res := &http.Response{StatusCode: tt.status, Header: http.Header{"X-Amzn-Requestid": {"r"}}, Body: io.NopCloser(strings.NewReader(tt.body))}
		provider.Answer(mustBedrock(t, "/anthropic/v1/messages", `{"model":"m"}`), res)
		b, _ := io.ReadAll(res.Body)
		if string(b) != tt.want || res.StatusCode != tt.status || res.ContentLength != int64(len(b)) {
			t.Errorf("%d: %s", tt.status, b)
		}
		native := &http.Response{StatusCode: tt.status, Body: io.NopCloser(strings.NewReader(tt.body))}
		provider.Answer(mustBedrock(t, "/model/m/invoke", `{}`), native)
		if b, _ := io.ReadAll(native.Body); string(b) != tt.body {
			t.Errorf("%d on Bedrock's own path: %s", tt.status, b)
		}
	}
}

// metered passes an answer through the meter in pieces of n bytes.
func metered(t testing.TB, c *provider.Call, h http.Header, body []byte, n int) (string, *provider.Meter) {
	t.Helper()
	m := provider.MeterFor(c, h)
	var out []byte
	for piece := range slices.Chunk(body, n) {
		out = append(out, m.Pass(piece)...)
	}
	return string(append(out, m.End()...)), m
}

var framed = http.Header{"Content-Type": {"application/vnd.amazon.eventstream"}}

func classes(counts ...int64) (u gateway.Usage) {
	for i, c := range []gateway.Class{gateway.Input, gateway.CacheRead, gateway.CacheWrite, gateway.CacheWriteLong, gateway.Output} {
		u.Counts[c] = counts[i]
	}
	return u
}

// Usage from every form of answer, streams untouched on their way.
func TestBedrockUsage(t *testing.T) {
	converse := bytes.Join([][]byte{fakeai.Frame("event", "messageStart", `{"role":"assistant"}`), fakeai.Frame("event", "messageStop", `{"stopReason":"end_turn"}`),
		fakeai.Frame("event", "metadata", `{"usage":`+fakeai.ConverseUsage+`,"serviceTier":{"type":"flex"}}`)}, nil)
	head := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	const in, out = "X-Amzn-Bedrock-Input-Token-Count", "X-Amzn-Bedrock-Output-Token-Count"
	for _, tt := range []struct {
		name, path string
		header     http.Header
		body       string
		want       gateway.Usage
		known      bool
		tier       string
	}{
		{"Nova, whose cache has other names", "/model/amazon.nova-pro-v1:0/invoke", nil, `{"usage":{"inputTokens":10,"outputTokens":20,"cacheReadInputTokenCount":500,"cacheWriteInputTokenCount":600}}`, classes(10, 500, 600, 0, 20), true, ""},
		{"Nova, whose cache only the headers tell", "/model/amazon.nova-pro-v1:0/invoke", head(in, "10", out, "20", "X-Amzn-Bedrock-Cache-Read-Input-Token-Count", "500", "X-Amzn-Bedrock-Cache-Write-Input-Token-Count", "600"),
			`{"usage":{"inputTokens":10,"outputTokens":20}}`, classes(10, 500, 600, 0, 20), true, ""},
		{"converse", "/model/m/converse", nil, `{"usage":` + fakeai.ConverseUsage + `,"serviceTier":{"type":"flex"}}`, classes(10, 4, 1, 2, 20), true, "flex"},
		{"converse stream", "/model/m/converse-stream", framed, string(converse), classes(10, 4, 1, 2, 20), true, "flex"},
		{"claude", "/model/anthropic.c/invoke", nil, `{"usage":{"input_tokens":10,"output_tokens":20,"cache_read_input_tokens":4,"cache_creation_input_tokens":3}}`, classes(10, 4, 3, 0, 20), true, ""},
		{"claude stream", "/model/anthropic.c/invoke-with-response-stream", framed, string(bytes.Join(fakeai.ClaudeFrames, nil)), classes(10, 4, 1, 2, 20), true, ""},
		{"claude stream cut", "/model/anthropic.c/invoke-with-response-stream", framed, string(bytes.Join(fakeai.ClaudeFrames[:3], nil)), classes(10, 4, 1, 2, 20), false, ""},
		{"headers", "/model/meta.llama/invoke", head(in, "10", out, "20", "X-Amzn-Bedrock-Cache-Read-Input-Token-Count", "4", "X-Amzn-Bedrock-Service-Tier", "default"), `{"generation":"x"}`, classes(10, 4, 0, 0, 20), true, "default"},
		{"metrics", "/model/meta.llama/invoke-with-response-stream", framed, string(fakeai.Chunk(`{"generation":"x"}`)) + string(fakeai.Chunk(`{"generation":"","amazon-bedrock-invocationMetrics":{"inputTokenCount":10,"outputTokenCount":20}}`)), classes(10, 0, 0, 0, 20), true, ""},
		{"embedding", "/model/amazon.titan-embed-text-v1/invoke", head(in, "10"), `{"embedding":[1]}`, classes(10, 0, 0, 0, 0), true, ""},
		{"half of it", "/model/meta.llama/invoke", head(in, "10"), `{"generation":"x"}`, classes(0, 0, 0, 0, 0), false, ""},
		{"nonsense", "/model/meta.llama/invoke", head(in, `9","x":"`, out, "20"), `{"generation":"x"}`, classes(0, 0, 0, 0, 0), false, ""},
		{"OpenAI's form", "/model/openai.gpt-oss-20b-1:0/invoke", head(in, "14", out, "20"), `{"usage":{"prompt_tokens":14,"completion_tokens":20,"prompt_tokens_details":{"cached_tokens":4}}}`, classes(10, 4, 0, 0, 20), true, ""},
		{"OpenAI's endpoint", "/openai/v1/chat/completions", nil, `{"usage":{"prompt_tokens":10,"completion_tokens":20}}`, classes(10, 0, 0, 0, 20), true, ""},
		{"compatible complete", "/anthropic/v1/complete", head(in, "10", out, "20"), `{"type":"completion","completion":"x"}`, classes(10, 0, 0, 0, 20), true, ""},
		{"nothing", "/model/m/converse", nil, `{}`, classes(0, 0, 0, 0, 0), false, ""},
	} {
		for _, n := range []int{1, 7, 4096} {
			c := mustBedrock(t, tt.path, `{"model":"m","prompt":"x"}`)
			got, m := metered(t, c, tt.header, []byte(tt.body), n)
			if got != tt.body {
				t.Fatalf("%s, %d at a time: the answer has changed", tt.name, n)
			}
			u, known := c.Endpoint.Vendor.Usage(c, m.Members())
			if tt.name == "claude stream cut" {
				u.Counts[gateway.Output] = 20 // what it says of the output is not the end of it
			}
			if u != tt.want || known != tt.known || m.Tier() != tt.tier {
				t.Errorf("%s, %d at a time: %+v %v, tier %q", tt.name, n, u, known, m.Tier())
			}
			if m.Texts() && m.Done() != known || m.Failed() {
				t.Errorf("%s: done %v, failed %v", tt.name, m.Done(), m.Failed())
			}
		}
	}
}

// Of a frame that breaks off nothing passes before the end is known; one that cannot
// be read passes as it is, and nothing is believed of it.
func TestBedrockFramesHeldBack(t *testing.T) {
	stream := bytes.Join(fakeai.ClaudeFrames, nil)
	first := len(fakeai.ClaudeFrames[0])
	for cut := range stream {
		m := provider.MeterFor(mustBedrock(t, "/model/m/invoke-with-response-stream", "{}"), framed)
		passed := len(m.Pass(stream[:cut]))
		if passed > cut || cut >= first && passed < first || m.MidEvent() {
			t.Fatalf("cut at %d: %d bytes passed", cut, passed)
		}
		if rest := len(m.End()); passed+rest != cut {
			t.Fatalf("cut at %d: %d passed and %d at the end", cut, passed, rest)
		}
	}
	broken := bytes.Clone(stream)
	broken[len(fakeai.ClaudeFrames[0])+20] ^= 1
	c := mustBedrock(t, "/model/m/invoke-with-response-stream", "{}")
	got, m := metered(t, c, framed, broken, 50)
	if _, whole := m.Answer(); got != string(broken) || !m.MidEvent() || whole || !m.Framed() {
		t.Errorf("mid event %v, whole %v, %d bytes of %d", m.MidEvent(), whole, len(got), len(broken))
	}
	if _, known := c.Endpoint.Vendor.Usage(c, m.Members()); known {
		t.Error("a stream that cannot be read tells its usage")
	}
	_, m = metered(t, c, framed, fakeai.Frame("exception", "throttlingException", `{"message":"x"}`), 9)
	if !m.Failed() {
		t.Error("an exception is no failure")
	}
	var d eventstream.Decoder
	if err := d.Feed(provider.ErrorFrame([]byte(`{"message":"x"}`)), func(f eventstream.Frame) {
		if f.Kind != eventstream.Exception || f.Name != "modelStreamErrorException" || string(f.Payload) != `{"message":"x"}` {
			t.Errorf("%+v", f)
		}
	}); err != nil || !d.Whole() {
		t.Error(err)
	}
}

// FuzzBedrock: whatever body and answer come, bounds make sense, bytes pass, and
// nobody falls over them.
func FuzzBedrock(f *testing.F) {
	f.Add(`{"messages":[{"content":[{"image":{"source":{"bytes":7}}}]}],"inferenceConfig":{"maxTokens":1e99}}`, bytes.Join(fakeai.ClaudeFrames, nil))
	f.Add(`{"model":"arn:aws:bedrock:a:1:b/c","anthropic_beta":{"a":1},"toolConfig":[]}`, fakeai.Frame("event", "metadata", `{"usage":{"inputTokens":-1,"cacheDetails":[7]}}`))
	f.Add(`{"num_generations":1e300,"max_tokens":-1,"serviceTier":7,"performanceConfig":""}`, fakeai.Chunk("x"))
	f.Fuzz(func(t *testing.T, body string, answer []byte) {
		for _, path := range []string{"/model/meta.llama3/invoke", "/model/" + profile + "/invoke-with-response-stream", "/model/m/converse-stream", "/anthropic/v1/messages"} {
			c, err := onBedrock(t, path, body)
			if err != nil {
				if gateway.KindOf(err) != gateway.Invalid {
					t.Fatalf("%s: %v", path, err)
				}
				c = mustBedrock(t, path, `{"model":"m"}`)
			}
			if b := c.Bound; b.Input < 0 || b.Output < 0 || b.Copies < 1 || strings.Count(c.Path, "/") != 3 {
				t.Fatalf("%s: %+v", c.Path, b)
			}
			got, m := metered(t, c, framed, answer, 13)
			if got != string(answer) {
				t.Fatalf("%s: the answer has changed", path)
			}
			u, _ := c.Endpoint.Vendor.Usage(c, m.Members())
			for class, n := range u.Counts {
				if n < 0 {
					t.Fatalf("%d of %v", n, gateway.Class(class))
				}
			}
		}
		if _, err := claudeStream(t, answer, func(r io.Reader) io.Reader { return r }); err != nil && len(answer) == 0 {
			t.Fatal(err)
		}
	})
}

// What is counted where Bedrock reports nothing: the texts of each form, and what
// had come of an answer, tools included.
func TestBedrockTexts(t *testing.T) {
	for _, tt := range []struct{ path, body, want string }{
		{"/model/m/converse", `{"messages":[{"role":"user","content":[{"text":"one"}]}],"system":[{"text":"two"}],"inferenceConfig":{"stopSequences":["three"]}}`, "user one two"},
		{"/model/meta.llama3/invoke", `{"prompt":"one","stop":["two"]}`, "one two"},
		{"/anthropic/v1/messages", `{"model":"m","messages":[{"role":"user","content":"one"}]}`, "user one"},
	} {
		c := mustBedrock(t, tt.path, tt.body)
		if texts, _, ok := provider.RequestText(c); !ok || strings.Join(texts, " ") != tt.want {
			t.Errorf("%s: %q, %v", tt.path, texts, ok)
		}
	}
	stream := bytes.Join([][]byte{
		fakeai.Frame("event", "contentBlockDelta", `{"delta":{"text":"one"}}`),
		fakeai.Frame("event", "contentBlockDelta", `{"delta":{"toolUse":{"input":"{\"two\""}}}`),
		fakeai.Frame("event", "contentBlockDelta", `{"delta":{"reasoningContent":{"text":"three"}},"p":"padding"}`),
		fakeai.Chunk(`{"generation":"four"}`), fakeai.Chunk(`{"outputText":"five"}`),
		fakeai.Chunk(`{"type":"content_block_delta","delta":{"type":"text_delta","text":"six"}}`),
	}, nil)
	c := mustBedrock(t, "/model/m/converse-stream", "{}")
	_, m := metered(t, c, framed, stream, 11)
	answer, whole := m.Answer()
	if got := strings.Join(provider.AnswerText(c, answer, m.Texts()), " "); got != `one {"two" three four five six` || !whole {
		t.Errorf("%q, whole %v", got, whole)
	}
}

// A stream of a thousand events on its way past the meter.
func BenchmarkBedrockMeter(b *testing.B) {
	frame := fakeai.Frame("event", "contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"Hello "},"p":"abcdefghijklmnop"}`)
	c := mustBedrock(b, "/model/m/converse-stream", "{}")
	b.SetBytes(int64(1000 * len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		m := provider.MeterFor(c, framed)
		for range 1000 {
			m.Pass(frame)
		}
		m.End()
	}
}
