package proxy_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
)

const (
	claude   = "/api/providers/anthropic/v1"
	messages = claude + "/messages"

	greet       = `{"model":"claude-opus-5-5","max_tokens":20,"messages":[{"role":"user","content":"hi"}]}`
	greetStream = `{"stream":true,"model":"claude-opus-5-5","max_tokens":20,"messages":[{"role":"user","content":"hi"}]}`
)

// claudeKey stores a setting for Anthropic and a key for it.
func (r *rig) claudeKey(change ...func(*gateway.Key)) apiKey {
	r.Helper()
	s := r.newSetting(upstreamKey, func(s *gateway.Setting) {
		s.Provider, s.Params = "anthropic", map[string]string{"url": r.upstream.URL}
	})
	use := func(k *gateway.Key) { k.SettingIDs = []string{s.ID} }
	return r.newKey(append([]func(*gateway.Key){use}, change...)...)
}

// typed is events as Anthropic writes them, each under the name of its type.
func typed(t testing.TB, data ...string) []string {
	t.Helper()
	list := make([]string, len(data))
	for i, d := range data {
		var e struct{ Type string }
		if err := json.Unmarshal([]byte(d), &e); err != nil {
			t.Fatalf("%s: %v", d, err)
		}
		list[i] = fmt.Sprintf("event: %s\ndata: %s\n\n", e.Type, d)
	}
	return list
}

// Usage of a message: as it is plain, and as a stream tells it.
const (
	cached       = `"input_tokens":21,"cache_creation_input_tokens":300,"cache_read_input_tokens":4000,"cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":200}`
	messageStart = `{"type":"message_start","message":{"id":"msg_1","type":"message","model":"claude-opus-5-5","content":[],"usage":{` + cached + `,"output_tokens":1,"service_tier":"standard"}}}`
	textDelta    = `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"one two three"}}`
	messageDelta = `{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":50}}`
	messageStop  = `{"type":"message_stop"}`
)

func message(usage string) string {
	return `{"id":"msg_1","type":"message","role":"assistant","model":"claude-opus-5-5","content":[{"type":"text","text":"one two three"}],"usage":{` + usage + `}}`
}

// CO-06, CO-07: every class at its own price. For a million tokens Opus 5.5 costs
// $4 in, $0.20 read, $5 and $8 written, $20 out.
func TestAnthropicCost(t *testing.T) {
	const list = 21*4000 + 4000*200 + 100*5000 + 200*8000 + 50*20_000 // nano-dollars
	stream := func(last string) []string {
		return typed(t, messageStart, `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`, `{"type":"ping"}`,
			textDelta, `{"type":"content_block_stop","index":0}`, last, messageStop)
	}
	for _, test := range []struct {
		name, body string
		upstream   func(http.ResponseWriter, *http.Request, []byte) bool
		cost       gateway.NanoUSD
		tier       string
	}{
		{"CO-06 CO-07 plain", greet, answers(200, "application/json", message(cached+`,"output_tokens":50`)), list, ""},
		{"CO-06 CO-07 streamed", greetStream, events(stream(messageDelta)...), list, "standard"},
		{"what the end says counts", greetStream, events(stream(`{"type":"message_delta","delta":{},"usage":{"input_tokens":121,"output_tokens":50}}`)...), list + 100*4000, "standard"},
		{"fast", strings.Replace(greet, "{", `{"speed":"fast",`, 1), answers(200, "application/json", message(cached+`,"output_tokens":50,"speed":"fast","service_tier":"standard"`)), 2 * list, "fast"},
		{"a region", greet, answers(200, "application/json", message(cached+`,"output_tokens":50,"inference_geo":"us"`)), list * 11 / 10, ""},
		{"any region", greet, answers(200, "application/json", message(cached+`,"output_tokens":50,"inference_geo":"global"`)), list, ""},
		{"searches", greet, answers(200, "application/json", message(cached+`,"output_tokens":50,"server_tool_use":{"web_search_requests":3}`)), list + 3*10_000_000, ""},
		{"compaction", greet, answers(200, "application/json", message(cached+`,"output_tokens":50,"iterations":[{"type":"compaction","input_tokens":1000,"output_tokens":100}]`)), list + 1000*4000 + 100*20_000, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.fake.Override = test.upstream
			k := r.claudeKey(budget(gateway.OneUSD))
			r.passed(r.call(k.secret, "POST", messages, test.body, "anthropic-version: 2026-10-21", "anthropic-beta: a,b"))
			e := r.event(k)
			if e.Cost != test.cost || e.Basis != gateway.BasisReported || e.Tier != test.tier || len(e.Unpriced) > 0 || e.Endpoint != messages {
				t.Errorf("cost %v, want %v: %+v", e.Cost, test.cost, e)
			}
			if spent := r.books(k); spent != test.cost {
				t.Errorf("spent %v", spent)
			}
		})
	}
}

// AU-02, AU-18, CK-08, AP-15: the call as the provider sees it, with the
// key in either header and under either version of the API.
func TestAnthropicCall(t *testing.T) {
	for _, test := range []struct {
		name, path, version string
		bearer              bool
	}{
		{"R-56 AU-02 AU-18 CK-08 AP-15 older SDKs", messages, "2023-06-01", false},
		{"R-56 AP-15 newer SDKs", messages + "?beta=true", "2026-10-21", true},
		{"counting", messages + "/count_tokens?beta=true", "2026-10-21", true},
		{"R-55 AU-18 legacy", claude + "/complete", "2023-06-01", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.fake.Override = answers(200, "application/json", message(`"input_tokens":1,"output_tokens":1`))
			k := r.claudeKey()
			body := `{"metadata":{"user_id":"u-1"}, "temperature" : 1.0,"model":"claude-opus-5-5","max_tokens":20,` +
				`"messages":[{"role":"user","content":[ {"type":"text","text":"h\u00e9"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBO"}}]}]}`
			req := r.request("", "POST", test.path, body, "anthropic-version: "+test.version, "anthropic-beta: x-2026-01-01,y-2026-02-02")
			if req.Header.Set("X-Api-Key", k.secret); test.bearer {
				req.Header.Del("X-Api-Key")
				req.Header.Set("Authorization", "Bearer "+k.secret)
			}
			a := r.passed(r.do(req))
			if a.body != message(`"input_tokens":1,"output_tokens":1`) || a.header.Get("Request-Id") == "" {
				t.Errorf("got %v %s", a.header, a.body)
			}
			got := r.fake.Last()
			h := got.Header
			path, query, _ := strings.Cut(strings.TrimPrefix(test.path, "/api/providers/anthropic"), "?")
			if got.Path != path || got.Query != query || string(got.Body) != body {
				t.Errorf("the provider saw %s?%s %s", got.Path, got.Query, got.Body)
			}
			if h.Get("X-Api-Key") != upstreamKey || h.Get("Authorization") != "" || h.Get("Anthropic-Version") != test.version || h.Get("Anthropic-Beta") != "x-2026-01-01,y-2026-02-02" {
				t.Errorf("the provider saw %v", h)
			}
			if e := r.event(k); e.UserID != "u-1" || e.Provider != "anthropic" || e.Model != "claude-opus-5-5" {
				t.Errorf("event %+v", e)
			}
		})
	}
}

// ST-06: all events pass under their names, byte for byte, unknown ones as well.
func testAnthropicStream(t *testing.T) {
	pieces := typed(t, messageStart, `{"type":"ping"}`, `{"type":"content_block_start","index":0,"content_block":{}}`, textDelta,
		`{"type":"content_block_stop","index":0}`, `{"type":"something_new"}`, messageDelta, `{"type":"error","error":{"type":"overloaded_error"}}`, messageStop)
	r := newRig(t)
	r.fake.Override = events(pieces...)
	k := r.claudeKey()
	a := r.passed(r.call(k.secret, "POST", messages, greetStream))
	if a.body != strings.Join(pieces, "") || a.header.Get("Content-Type") != "text/event-stream; charset=utf-8" {
		t.Errorf("got %v %q", a.header, a.body)
	}
	if got := string(r.fake.Last().Body); got != greetStream {
		t.Errorf("the provider saw %s", got)
	}
}

// ST-07, CO-08: the legacy endpoint reports nothing; its tokens are counted.
func testAnthropicComplete(t *testing.T) {
	body := `{"model":"claude-2.1","prompt":"one two three","max_tokens_to_sample":50,"stream":true}`
	pieces := typed(t, `{"type":"completion","completion":" one two","stop_reason":null,"model":"claude-2.1"}`, `{"type":"ping"}`,
		`{"type":"completion","completion":" three","stop_reason":"stop_sequence","model":"claude-2.1"}`)
	r := newRig(t)
	r.fake.Override = events(pieces...)
	k := r.claudeKey(budget(gateway.OneUSD))
	if a := r.passed(r.call(k.secret, "POST", claude+"/complete", body)); a.body != strings.Join(pieces, "") {
		t.Errorf("got %q", a.body)
	}
	// 3 tokens and 3 around the reply in, 3 out; $8 and $24 for a million.
	if e := r.event(k); e.Basis != gateway.BasisEstimated || e.Usage["input"] != 6 || e.Usage["output"] != 3 || e.Cost != 6*8000+3*24_000 {
		t.Errorf("event %+v", e)
	}
	r.books(k)
	failing := typed(t, `{"type":"completion","completion":" one two","stop_reason":null,"model":"claude-2.1"}`, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`)
	r.fake.Override = events(failing...)
	k = r.claudeKey(budget(gateway.OneUSD))
	if a := r.passed(r.call(k.secret, "POST", claude+"/complete", body)); a.body != strings.Join(failing, "") {
		t.Errorf("got %q", a.body)
	}
	if e := r.event(k); e.Refused != "upstream_error_event" || e.Usage["output"] != 2 {
		t.Errorf("event %+v", e)
	}
}

// A stream that breaks off: one error event in the form of the API and no end mark;
// what the provider told of the input is charged, and the text that had come. A model
// that thinks by itself may have done so up to the cap.
func TestAnthropicBrokenStream(t *testing.T) {
	start := typed(t, messageStart)[0]
	const input = 21*5000 + 4000*500 + 100*6250 + 200*10_000
	const newer = 21*4000 + 4000*200 + 100*5000 + 200*8000
	for _, test := range []struct {
		name, model string
		pieces      []string
		basis       gateway.Basis
		cost        gateway.NanoUSD
	}{
		{"between events", "claude-opus-4-5", []string{start, typed(t, textDelta)[0]}, gateway.BasisEstimated, input + 3*25_000},
		{"inside of an event", "claude-opus-4-5", []string{start, typed(t, textDelta)[0], "event: content_block_delta\nda"}, gateway.BasisEstimated, input + 3*25_000},
		{"before any text", "claude-opus-4-5", []string{start}, gateway.BasisEstimated, input + 1*25_000},
		{"where it may have thought", "claude-opus-5-5", []string{start, typed(t, textDelta)[0]}, gateway.BasisReserved, newer + 20*20_000},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.fake.Override = broken(test.pieces...)
			k := r.claudeKey(budget(gateway.OneUSD))
			a := r.passed(r.call(k.secret, "POST", messages, strings.Replace(greetStream, "claude-opus-5-5", test.model, 1)))
			at := strings.LastIndex(a.body, "\n\nevent: error\ndata: ")
			if at < 0 || strings.Contains(a.body, "[DONE]") || !strings.HasSuffix(a.body, "}\n\n") {
				t.Fatalf("got %q", a.body)
			}
			var e wireError
			if err := json.Unmarshal([]byte(a.body[at+len("\n\nevent: error\ndata: "):]), &e); err != nil || e.Type != "error" || e.Error.Type != "api_error" || e.Error.Code != "upstream_interrupted" {
				t.Errorf("error event %+v (%v)", e, err)
			}
			if event := r.event(k); !event.Truncated || event.Basis != test.basis || event.Cost != test.cost {
				t.Errorf("cost %v, want %v: %+v", event.Cost, test.cost, event)
			}
			r.books(k)
		})
	}
}

// ER-08: refusals in the words of the API, so that its SDKs raise their own errors.
func TestAnthropicErrors(t *testing.T) {
	r := newRig(t, standing)
	r.fake.Override = answers(200, "application/json", message(`"input_tokens":0,"output_tokens":20`))
	open := r.claudeKey()
	once := r.claudeKey(limited(gateway.Limit{Measure: gateway.Requests, Per: gateway.Minute, Max: 1}))
	spent := r.claudeKey(budget(1))
	paths := r.claudeKey(func(k *gateway.Key) {
		k.AllowedPaths = []gateway.AllowedPath{{Method: "GET", Path: claude + "/models"}}
	})
	r.passed(r.call(once.secret, "POST", messages, greet))
	for _, test := range []struct {
		name, key, path, body string
		status                int
		kind, code            string
	}{
		{"ER-08 no key", "", messages, greet, 401, "authentication_error", "invalid_api_key"},
		{"unknown key", "nobody's", messages, greet, 401, "authentication_error", "invalid_api_key"},
		{"ER-08 path", paths.secret, messages, greet, 403, "permission_error", "path_not_allowed"},
		{"body", open.secret, messages, `{"model":1}`, 400, "invalid_request_error", "invalid_type"},
		{"no such endpoint", open.secret, claude + "/nosuch", greet, 404, "not_found_error", "unknown_url"},
		{"size", open.secret, messages, strings.Repeat(" ", 1<<20+1), 413, "request_too_large", "request_too_large"},
		{"ER-08 rate", once.secret, messages, greet, 429, "rate_limit_error", "rate_limit_exceeded"},
		{"money", spent.secret, messages, greet, 402, "billing_error", "insufficient_quota"},
		{"not boundable", spent.secret, messages + "/batches", `{"requests":[]}`, 403, "permission_error", "cost_not_boundable"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := r.call(test.key, "POST", test.path, test.body)
			if e := r.refused(a, test.status, test.code); e.Error.Type != test.kind {
				t.Errorf("type %q, want %q", e.Error.Type, test.kind)
			}
			if test.status == 402 && a.header.Get("X-Should-Retry") != "false" {
				t.Errorf("headers %v", a.header)
			}
		})
	}
}

// Errors of the provider pass as they are, 529 among them, and cost nothing.
func TestAnthropicUpstreamErrors(t *testing.T) {
	for _, status := range []int{400, 401, 402, 404, 413, 429, 500, 529} {
		r := newRig(t)
		body := `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}`
		r.fake.Override = answers(status, "application/json", body)
		k := r.claudeKey(budget(gateway.OneUSD))
		if a := r.call(k.secret, "POST", messages, greet); a.status != status || a.body != body {
			t.Errorf("%d: got %d %s", status, a.status, a.body)
		}
		if e := r.event(k); e.Cost != 0 || e.Status != status {
			t.Errorf("%d: event %+v", status, e)
		}
		r.books(k)
	}
}

// The caller's own limits stand in the headers of the API, over the provider's.
func TestAnthropicLimitHeaders(t *testing.T) {
	r := newRig(t, standing)
	r.fake.Override = func(w http.ResponseWriter, req *http.Request, b []byte) bool {
		w.Header().Set("Anthropic-Ratelimit-Requests-Limit", "4000")
		w.Header().Set("Anthropic-Ratelimit-Input-Tokens-Limit", "5000")
		return answers(200, "application/json", message(`"input_tokens":1,"output_tokens":1`))(w, req, b)
	}
	k := r.claudeKey(limited(gateway.Limit{Measure: gateway.Requests, Per: gateway.Minute, Max: 9}))
	a := r.passed(r.call(k.secret, "POST", messages, greet))
	for name, want := range map[string]string{
		"Anthropic-Ratelimit-Requests-Limit": "9", "Anthropic-Ratelimit-Requests-Remaining": "8",
		"Anthropic-Ratelimit-Requests-Reset":     noon.Add(time.Minute).Format(time.RFC3339),
		"Anthropic-Ratelimit-Input-Tokens-Limit": "5000", "X-Ratelimit-Limit-Requests": "9",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if n := r.counters(k).Values[limit.CounterName(gateway.Requests, gateway.Minute, noon)]; n != 1 {
		t.Errorf("counted %d requests", n)
	}
}

// What is left of a budget lowers the cap, but never below the thinking that was
// asked for, and a cap that the caller left out is not made up.
func TestAnthropicLoweredCap(t *testing.T) {
	for _, test := range []struct {
		name, body string
		budget     gateway.NanoUSD
		sent       int64 // 0: refused
	}{
		{"lowered", greet, 87*8800 + 12*22_000, 12},
		{"not one token", greet, 87*8800 + 21_999, 0},
		{"all of it", greet, 87*8800 + 20*22_000, 20},
		{"thinking is kept", strings.Replace(greet, `"max_tokens":20,`, `"max_tokens":20,"thinking":{"type":"enabled","budget_tokens":15},`, 1), 87*8800 + 15*22_000, 0},
		{"no cap", strings.Replace(greet, `"max_tokens":20,`, "", 1), gateway.OneUSD / 100, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, standing)
			r.fake.Override = answers(200, "application/json", message(`"input_tokens":1,"output_tokens":1`))
			// A byte of the body may be a token that is written to the cache for
			// long, at $8 for a million and a tenth on top for the region.
			extra := gateway.NanoUSD(len(test.body)-87) * 8800
			k := r.claudeKey(budget(test.budget + extra))
			a := r.call(k.secret, "POST", messages, test.body)
			if test.sent == 0 {
				r.refused(a, 402, "insufficient_quota")
				return
			}
			r.passed(a)
			if got := sentCap(t, r); got != test.sent {
				t.Errorf("the provider saw %d, want %d", got, test.sent)
			}
		})
	}
}
