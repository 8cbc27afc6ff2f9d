package proxy_test

import (
	"strings"
	"testing"

	"tollgate/internal/gateway"
)

// Pieces of streams, for chat and for legacy completions alike.
const (
	filterPiece = `data: {"id":"","model":"","choices":[],"prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}],"usage":null}` + "\n\n"
	wordPiece   = `data: {"id":"c","model":"gpt-4o-mini","choices":[{"index":0,"text":"hi","delta":{"content":"hi"},"finish_reason":null}],"usage":null}` + "\n\n"
	usagePiece  = `data: {"id":"c","model":"gpt-4o-mini","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30}}` + "\n\n"
	donePiece   = "data: [DONE]\n\n"
)

// growing is a piece with the usage so far.
func growing(out string) string {
	return `data: {"id":"c","model":"m","choices":[{"index":0,"text":"hi","delta":{"content":"hi"}}],"usage":{"prompt_tokens":10,"completion_tokens":` + out + `}}` + "\n\n"
}

// ST-03, ST-04, ST-05 and the others: streams pass as they came, but for the usage
// that the gateway asked for, and are charged by it.
func TestVendorStreams(t *testing.T) {
	const asks = `"stream_options":{"include_usage":true}`
	type pieces []string
	for _, test := range []struct {
		name, vendor string
		path         string
		sent         pieces
		hidden       string // of it
		asked        bool   // the gateway asks for the usage
		in, out      int64
	}{
		{"ST-03 vllm chat", "vllm", at("vllm", "/chat/completions"), pieces{wordPiece, wordPiece, usagePiece, donePiece}, usagePiece, true, 10, 20},
		{"ST-03 vllm completions", "vllm", at("vllm", "/completions"), pieces{wordPiece, usagePiece, donePiece}, usagePiece, true, 10, 20},
		{"vllm, usage on every chunk", "vllm", at("vllm", "/chat/completions"), pieces{growing("1"), growing("7"), growing("20"), donePiece}, "", true, 10, 20},
		{"vllm, usage of several answers", "vllm", at("vllm", "/chat/completions"), pieces{growing("20"), growing("3"), donePiece}, "", true, 10, 20},
		{"ST-04 deepinfra chat", "deepinfra", at("deepinfra", "/chat/completions"), pieces{wordPiece, usagePiece, donePiece}, usagePiece, true, 10, 20},
		{"ST-04 deepinfra completions", "deepinfra", at("deepinfra", "/completions"), pieces{wordPiece, usagePiece, donePiece}, usagePiece, true, 10, 20},
		{"ST-05 azure chat", "azure", deployment + "/chat/completions", pieces{filterPiece, wordPiece, usagePiece, donePiece}, usagePiece, true, 10, 20},
		{"ST-05 azure completions", "azure", deployment + "/completions", pieces{filterPiece, wordPiece, usagePiece, donePiece}, usagePiece, true, 10, 20},
		{"azure v1", "azure", "/api/providers/azure/openai/v1/chat/completions", pieces{filterPiece, wordPiece, usagePiece, donePiece}, usagePiece, true, 10, 20},
		{"mistral is not asked", "mistral", at("mistral", "/chat/completions"), pieces{wordPiece, growing("20"), donePiece}, "", false, 10, 20},
		{"mistral fim", "mistral", at("mistral", "/fim/completions"), pieces{wordPiece, growing("20"), donePiece}, "", false, 10, 20},
		{"groq's own place", "groq", at("groq", "/chat/completions"), pieces{wordPiece,
			`data: {"id":"c","model":"m","choices":[],"x_groq":{"id":"r","usage":{"queue_time":0.1,"prompt_tokens":10,"completion_tokens":20}}}` + "\n\n", donePiece}, "", false, 10, 20},
		{"openrouter's comments", "openrouter", at("openrouter", "/chat/completions"), pieces{": OPENROUTER PROCESSING\n\n", wordPiece, usagePiece, donePiece}, "", false, 10, 20},
		{"deepseek's comments", "deepseek", at("deepseek", "/chat/completions"), pieces{": keep-alive\n\n", wordPiece, usagePiece, donePiece}, usagePiece, true, 10, 20},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.fake.Override = events(test.sent...)
			k := r.keyFor(test.vendor, func(s *gateway.Setting) {
				s.CostMap = outputAt(50)
				s.CostMap.Prompt["prod"], s.CostMap.Completion["prod"] = 0, s.CostMap.Completion["m"]
			})
			a := r.passed(r.call(k.secret, "POST", test.path, stream))
			if want := strings.Replace(strings.Join(test.sent, ""), test.hidden, "", 1); a.body != want {
				t.Errorf("got\n%s\nwant\n%s", a.body, want)
			}
			if body := string(r.fake.Last().Body); strings.Contains(body, asks) != test.asked || !test.asked && body != stream {
				t.Errorf("the provider saw %s", body)
			}
			e := r.event(k)
			if e.Usage["input"] != test.in || e.Usage["output"] != test.out || e.Basis != gateway.BasisReported || e.Cost != 1_000_000 || !e.Stream || e.Truncated {
				t.Errorf("event %+v", e)
			}
		})
	}
}

// CO-05 for streams: the model that answered counts, though chunks about filters
// around it name none.
func testAzureStreamCost(t *testing.T) {
	r := newRig(t)
	late := strings.Replace(filterPiece, "prompt_filter_results", "content_filter_results", 1)
	r.fake.Override = events(filterPiece, wordPiece, late, usagePiece, late, donePiece)
	k := r.keyFor("azure")
	a := r.passed(r.call(k.secret, "POST", deployment+"/chat/completions?api-version=2026-06-01", stream))
	if want := filterPiece + wordPiece + late + late + donePiece; a.body != want {
		t.Errorf("got\n%s\nwant\n%s", a.body, want)
	}
	if e := r.event(k); e.Cost != 13_500 || e.Served != "gpt-4o-mini" || e.Model != "prod" || e.Basis != gateway.BasisReported {
		t.Errorf("event %+v", e)
	}
}
