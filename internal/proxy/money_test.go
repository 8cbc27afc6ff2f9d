package proxy_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/price"
)

// sentCap is the output cap that the provider saw last.
func sentCap(t testing.TB, r *rig) int64 {
	t.Helper()
	var body struct {
		Max       int64 `json:"max_tokens"`
		Completed int64 `json:"max_completion_tokens"`
	}
	if err := json.Unmarshal(r.fake.Last().Body, &body); err != nil {
		t.Fatal(err)
	}
	return max(body.Max, body.Completed)
}

// obedient answers with as many tokens as the call allows, up to 20.
func obedient(w http.ResponseWriter, _ *http.Request, body []byte) bool {
	var call struct {
		Max       int64 `json:"max_tokens"`
		Completed int64 `json:"max_completion_tokens"`
	}
	if err := json.Unmarshal(body, &call); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return true
	}
	out := max(call.Max, call.Completed)
	if out == 0 || out > 20 {
		out = 20
	}
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, usageAnswer(fmt.Sprintf(`{"prompt_tokens":10,"completion_tokens":%d}`, out)))
	return true
}

// Sequential calls use a budget up to its last nano-dollar: when a whole answer
// does not fit any more, the output cap is lowered.
func TestBudgetToTheLastNano(t *testing.T) {
	for _, test := range []struct {
		name   string
		price  int64 // nano-dollars per token out
		budget gateway.NanoUSD
		calls  int     // that pass
		last   []int64 // caps of the last calls, as lowered
		spent  gateway.NanoUSD
	}{
		{"one nano a token", 1, 1010, 51, []int64{10}, 1010},
		{"a remainder below one token", 7, 1000, 8, []int64{2}, 994},
		{"one token is all", 1000, 1000, 1, []int64{1}, 1000},
		{"not even one token", 1001, 1000, 0, nil, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, standing)
			r.fake.Override = obedient
			r.updateSetting(r.setting.ID, func(s *gateway.Setting) {
				s.CostMap = &gateway.CostMap{Prompt: map[string]int64{"m": 0}, Completion: map[string]int64{"m": test.price * 1_000_000}}
			})
			k := r.newKey(budget(test.budget))
			var lowered []int64
			for range test.calls {
				r.clock.Add(time.Millisecond) // events are sorted by it
				a := r.passed(r.chat(k, hello))
				r.settled()
				header := a.header.Get("X-Tollgate-Max-Output-Tokens")
				if tokens := sentCap(t, r); tokens < 20 {
					lowered = append(lowered, tokens)
					if header != fmt.Sprint(tokens) {
						t.Errorf("header says %q, the provider saw %d", header, tokens)
					}
				} else if header != "" {
					t.Errorf("header %q on a call that was not lowered", header)
				}
			}
			r.clock.Add(time.Millisecond)
			a := r.chat(k, hello)
			if r.refused(a, 429, "insufficient_quota"); a.header.Get("X-Should-Retry") != "false" {
				t.Errorf("headers %v", a.header)
			}
			if fmt.Sprint(lowered) != fmt.Sprint(test.last) {
				t.Errorf("lowered to %v, want %v", lowered, test.last)
			}
			if spent := r.books(k); spent != test.spent {
				t.Errorf("spent %v, want %v", spent, test.spent)
			}
			events := r.events(k)
			if n := len(test.last); n > 0 && events[test.calls-1].CapTokens != test.last[n-1] {
				t.Errorf("event says %d", events[test.calls-1].CapTokens)
			}
		})
	}
}

// A lowered cap is the one thing that changes in the body.
func TestLoweredCapChangesNothingElse(t *testing.T) {
	const odd = " {\"x\" : 1.50 ,\n\t\"messages\":[{\"role\":\"user\",\"content\":\"h\\u00e9 \\/ é\"}], \"big\":12345678901234567890, %s\"model\":\"m\" } \n"
	for _, test := range []struct{ name, member, want string }{
		{"max_tokens", `"max_tokens" : 20 , `, `"max_tokens" : 7 , `},
		{"max_completion_tokens", `"max_completion_tokens":20.0,`, `"max_completion_tokens":7,`},
		{"its name escaped", `"max\u005ftokens":20,`, `"max\u005ftokens":7,`},
		{"both", `"max_tokens":5,"max_completion_tokens":20,`, `"max_tokens":5,"max_completion_tokens":7,`},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, standing)
			k := r.newKey(budget(7 * 50_000)) // 7 tokens at $50 a million
			r.fake.Override = obedient
			r.passed(r.chat(k, fmt.Sprintf(odd, test.member)))
			if got, want := string(r.fake.Last().Body), fmt.Sprintf(odd, test.want); got != want {
				t.Errorf("the provider saw\n%q, want\n%q", got, want)
			}
		})
	}
	t.Run("a call that fits is not touched", func(t *testing.T) {
		r := newRig(t)
		k := r.newKey(budget(gateway.OneUSD))
		body := fmt.Sprintf(odd, `"max_tokens" : 2e1 , `)
		r.passed(r.chat(k, body))
		if got := string(r.fake.Last().Body); got != body {
			t.Errorf("the provider saw %q", got)
		}
	})
}

// CO-01 to CO-18, as far as they concern OpenAI: what a call cost, by what the
// provider reports.
func TestCosts(t *testing.T) {
	ask := func(model string) string {
		return `{"model":"` + model + `","messages":[{"role":"user","content":"hi"}],"max_tokens":20}`
	}
	const jsonType = "application/json"
	for _, test := range []struct {
		name, path, body string
		status           int
		answer           string
		cost             gateway.NanoUSD
		tokens           int64
		basis            gateway.Basis
		own              bool // the setting's costMap priced it
	}{
		// $0.15 and $0.60 a million: 10 × 150 + 20 × 600.
		{"CO-01 chat", "/chat/completions", ask("gpt-4o-mini"), 200,
			usageAnswer(`{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30}`), 13_500, 30, gateway.BasisReported, false},
		{"CO-02 costMap", "/chat/completions", ask("m"), 200,
			usageAnswer(`{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30}`), 1_000_000, 30, gateway.BasisReported, true},
		// The fine-tune costs twice its base.
		{"CO-03 fine-tuned", "/chat/completions", ask("ft:gpt-4o-mini:acme::x1"), 200,
			usageAnswer(`{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30}`), 27_000, 30, gateway.BasisReported, false},
		{"CO-04 embeddings", "/embeddings", `{"model":"text-embedding-3-small","input":"hi","encoding_format":"base64"}`, 200,
			`{"object":"list","data":[{"embedding":"AAAA"}],"model":"text-embedding-3-small","usage":{"prompt_tokens":1000,"total_tokens":1000}}`,
			20_000, 1000, gateway.BasisReported, false},
		// 60 cached at $0.075, 40 at $0.15; reasoning is part of the 20.
		{"CO-07 cached and reasoning", "/chat/completions", ask("gpt-4o-mini"), 200,
			usageAnswer(`{"prompt_tokens":100,"completion_tokens":20,"prompt_tokens_details":{"cached_tokens":60},"completion_tokens_details":{"reasoning_tokens":15}}`),
			60*75 + 40*150 + 20*600, 120, gateway.BasisReported, false},
		// 4 characters, not 6 bytes, at $15 a million.
		{"CO-12 speech", "/audio/speech", `{"model":"tts-1","input":"é¡é!","voice":"alloy"}`, 200,
			"\xff\xfb\x90", 4 * 15_000, 0, gateway.BasisReported, false},
		{"CO-14 dall-e-3 hd", "/images/generations", `{"model":"dall-e-3","prompt":"a cat","size":"1024x1024","quality":"hd","n":2}`, 200,
			`{"created":1,"data":[{"url":"u"},{"url":"u"}]}`, 160_000_000, 0, gateway.BasisReported, false},
		{"CO-14 gpt-image tokens", "/images/generations", `{"model":"gpt-image-1","prompt":"a cat"}`, 200,
			`{"created":1,"data":[],"usage":{"input_tokens":50,"output_tokens":1000,"input_tokens_details":{"text_tokens":50,"image_tokens":0}}}`,
			50*5_000 + 1000*40_000, 1050, gateway.BasisReported, false},
		{"CO-16 run", "/threads/t/runs", `{"assistant_id":"a","model":"gpt-4o-mini","max_completion_tokens":20}`, 200,
			`{"id":"run","usage":{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30}}`, 13_500, 30, gateway.BasisReported, false},
		{"CO-17 unknown model, no cost limit", "/chat/completions", ask("made-up"), 200,
			usageAnswer(`{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30}`), 0, 30, gateway.BasisUnpriced, false},
		{"CO-18 provider failed", "/chat/completions", ask("gpt-4o-mini"), 500, `{"error":{}}`, 0, 0, gateway.BasisNone, false},
		{"CO-18 provider refused", "/chat/completions", ask("gpt-4o-mini"), 400, `{"error":{}}`, 0, 0, gateway.BasisNone, false},
		{"no usage: counted", "/chat/completions", ask("m"), 200,
			`{"choices":[{"message":{"role":"assistant","content":"one two three"}}]}`, 3 * 50_000, 3 + 9, gateway.BasisEstimated, true},
		{"no JSON: what was reserved", "/chat/completions", ask("m"), 200, "<html>teapot</html>", 1_000_000, 0, gateway.BasisReserved, true},
		{"free endpoint", "/moderations", `{"model":"omni-moderation-latest","input":"hi"}`, 200, `{"usage":{"prompt_tokens":9,"completion_tokens":9}}`,
			0, 0, gateway.BasisNone, false},
		{"usage below zero: counted", "/chat/completions", ask("m"), 200,
			usageAnswer(`{"prompt_tokens":-5,"completion_tokens":-20}`), 50_000, 1 + 9, gateway.BasisEstimated, true},
		{"usage beyond belief", "/chat/completions", ask("m"), 200,
			usageAnswer(`{"prompt_tokens":1,"completion_tokens":1e300}`), 1_000_000, 0, gateway.BasisReserved, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.fake.Override = answers(test.status, jsonType, test.answer)
			k := r.newKey()
			a := r.call(k.secret, "POST", openai+test.path, test.body)
			if a.status != test.status || a.body != test.answer {
				t.Errorf("got %d %q", a.status, a.body)
			}
			e := r.event(k)
			if e.Cost != test.cost || e.Basis != test.basis {
				t.Errorf("cost %v by %s, want %v by %s", e.Cost, e.Basis, test.cost, test.basis)
			}
			if test.basis != gateway.BasisReserved && e.Tokens != test.tokens {
				t.Errorf("%d tokens, want %d: %v", e.Tokens, test.tokens, e.Usage)
			}
			if strings.HasSuffix(e.Price, "+costMap") != test.own || test.basis == gateway.BasisNone && e.Price != "" {
				t.Errorf("price %q", e.Price)
			}
			if spent := r.books(k); spent != test.cost {
				t.Errorf("spent %v", spent)
			}
		})
	}
}

// CO-13: audio by its length, which only the answer tells.
func TestTranscriptionCost(t *testing.T) {
	r := newRig(t)
	r.fake.Override = answers(200, "application/json", `{"task":"transcribe","duration":61.9,"text":"hello"}`)
	for _, endpoint := range []string{"transcriptions", "translations"} {
		t.Run("CO-13 "+endpoint, func(t *testing.T) {
			k := r.newKey()
			form, contentType := multipartForm(t, map[string]string{"model": "whisper-1", "response_format": "verbose_json"}, "file", "a.mp3", strings.Repeat("x", 4000))
			req := r.request(k.secret, "POST", openai+"/audio/"+endpoint, form)
			req.Header.Set("Content-Type", contentType)
			r.passed(r.do(req))
			// 61,900 ms at $0.36 an hour.
			if e := r.event(k); e.Cost != 6_190_000 || e.Usage["audio_ms"] != 61_900 {
				t.Errorf("cost %v for %v", e.Cost, e.Usage)
			}
		})
	}
}

// CO-17: a model without a price is never free silently.
func TestUnknownModel(t *testing.T) {
	body := strings.Replace(hello, `"m"`, `"made-up"`, 1)
	for _, test := range []struct {
		name   string
		key    func(*gateway.Key)
		status int
	}{
		{"cost limit", budget(gateway.OneUSD), 403},
		{"no cost limit", func(*gateway.Key) {}, 200},
		{"deny", func(k *gateway.Key) { k.UnknownModel = gateway.UnknownModelDeny }, 403},
		{"cost limit, allow", func(k *gateway.Key) { k.CostLimit, k.UnknownModel = gateway.OneUSD, gateway.UnknownModelAllow }, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			k := r.newKey(test.key)
			a := r.chat(k, body)
			e := r.event(k)
			if test.status == 403 {
				r.refused(a, 403, "model_price_unknown")
				if r.fake.Calls() != 0 || e.Refused != "model_price_unknown" {
					t.Errorf("%d calls to the provider, event %+v", r.fake.Calls(), e)
				}
				return
			}
			if r.passed(a); e.Basis != gateway.BasisUnpriced || e.Tokens != 30 || e.Cost != 0 {
				t.Errorf("event %+v", e)
			}
		})
	}
}

// A worst case beyond all reason is refused where money is limited, and harms no
// counter where it is not.
func TestWorstCaseBeyondReason(t *testing.T) {
	const greedy = `{"model":"gpt-4o","messages":[],"n":1e300,"max_tokens":1e300}`
	r := newRig(t, standing)
	r.refused(r.chat(r.newKey(budget(gateway.OneUSD)), greedy), 429, "insufficient_quota")
	release := make(chan bool)
	r.fake.Override = func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		r.wait(release)
		w.WriteHeader(http.StatusBadRequest)
		return true
	}
	k := r.newKey()
	results := make(chan answer)
	for range 3 {
		go func() { results <- r.chat(k, greedy) }()
	}
	r.await("three calls in flight", func() bool { return r.fake.Calls() == 3 })
	c, err := r.db.Counters(t.Context(), k.Hash)
	r.must(err)
	if held := c.Values[limit.Spend]; held != 3*1_000_000*int64(gateway.OneUSD) {
		t.Errorf("held %d", held)
	}
	close(release)
	for range 3 {
		if a := <-results; a.status != 400 {
			t.Errorf("got %d %s", a.status, a.body)
		}
	}
	if spent := r.books(k); spent != 0 {
		t.Errorf("spent %v", spent)
	}
}

// The version of the prices stands in the event.
func TestPriceVersion(t *testing.T) {
	r := newRig(t)
	k := r.newKey()
	r.passed(r.chat(k, strings.Replace(hello, `"m"`, `"gpt-4o-mini"`, 1)))
	if e := r.event(k); e.Price != price.Embedded().Version() {
		t.Errorf("price %q", e.Price)
	}
}
