package proxy_test

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"tollgate/internal/gateway"
)

// What a cut stream cost of a model that may have thought unseen is not in its text:
// what was reserved stands.
func TestCutThinking(t *testing.T) {
	const chunk = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"one two three\"}}]}\n\n"
	ask := func(model, more string) string {
		return `{"model":"` + model + `","stream":true,"max_completion_tokens":900,` + more + `"messages":[{"role":"user","content":"hi"}]}`
	}
	const tiered = "data: {\"service_tier\":\"default\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"one two three\"}}]}\n\n"
	// hi is 9 tokens with what is around it.
	for _, test := range []struct {
		name, body string
		limit      gateway.NanoUSD
		basis      gateway.Basis
		cost       gateway.NanoUSD
	}{
		{"at the dearest tier, which it may have been", ask("gpt-5", ""), 0, gateway.BasisReserved,
			2 * (gateway.NanoUSD(len(ask("gpt-5", "")))*1250 + 900*10_000)},
		{"at the tier that the answer names", ask("gpt-5", `"x":"tiered",`), 0, gateway.BasisReserved,
			gateway.NanoUSD(len(ask("gpt-5", `"x":"tiered",`)))*1250 + 900*10_000},
		{"a reasoning model", ask("o3-pro", ""), 0, gateway.BasisReserved,
			gateway.NanoUSD(len(ask("o3-pro", "")))*20_000 + 900*80_000},
		{"of which the key's limit holds", ask("o3-pro", ""), gateway.OneUSD, gateway.BasisReserved,
			gateway.NanoUSD(len(ask("o3-pro", "")))*20_000 + 900*80_000},
		{"one that does not", ask("gpt-4o-mini", `"service_tier":"default",`), gateway.OneUSD, gateway.BasisEstimated, 9*150 + 3*600},
		{"asked to", ask("gpt-4", `"reasoning_effort":"high",`), gateway.OneUSD, gateway.BasisReserved,
			gateway.NanoUSD(len(ask("gpt-4", `"reasoning_effort":"high",`)))*30_000 + 900*60_000},
		{"asked not to", ask("gpt-4", `"reasoning_effort":"none",`), gateway.OneUSD, gateway.BasisEstimated, 9*30_000 + 3*60_000},
		{"not known, without a limit", ask("m", ""), 0, gateway.BasisEstimated, 3 * 50_000},
		{"not known", ask("m", ""), gateway.OneUSD, gateway.BasisReserved, 900 * 50_000},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			if r.fake.Override = broken(chunk); strings.Contains(test.body, "tiered") {
				r.fake.Override = broken(tiered)
			}
			k := r.newKey(budget(test.limit))
			r.passed(r.chat(k, test.body))
			if e := r.event(k); e.Basis != test.basis || e.Cost != test.cost {
				t.Errorf("cost %v, want %v: %+v", e.Cost, test.cost, e)
			}
			r.books(k)
		})
	}
}

// A caller that leaves when the answer is complete, but before its usage has come, does
// not leave without it.
func TestCallerLeavesAtTheEnd(t *testing.T) {
	const usage = `{"prompt_tokens":10,"completion_tokens":20005,"completion_tokens_details":{"reasoning_tokens":20000}}`
	for _, test := range []struct {
		name, path, body, before, mark, after string
		cost                                  gateway.NanoUSD // $1.25 and $10 a million
	}{
		{"chat", chat, `{"model":"gpt-5","stream":true,"messages":[]}`,
			"data: {\"choices\":[{\"delta\":{\"content\":\"42\"}}]}\n\ndata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n", "stop",
			"data: {\"choices\":[],\"usage\":" + usage + "}\n\ndata: [DONE]\n\n", 10*1250 + 20_005*10_000},
		{"responses", openai + "/responses", `{"model":"gpt-5","stream":true,"input":"hi"}`,
			"data: {\"type\":\"response.output_text.done\",\"text\":\"42\"}\n\n", "done",
			"data: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":10,\"output_tokens\":20005}}}\n\n", 10*1250 + 20_005*10_000},
		{"usage that never comes", chat, `{"model":"gpt-4o-mini","stream":true,"messages":[]}`,
			"data: {\"choices\":[{\"delta\":{\"content\":\"42\"},\"finish_reason\":\"stop\"}]}\n\n", "stop", "", 3*150 + 1*600},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.proxy.SetUsageWait(500 * time.Millisecond)
			gone := make(chan bool)
			r.fake.Override = func(w http.ResponseWriter, req *http.Request, b []byte) bool {
				events(test.before)(w, req, b)
				w.(http.Flusher).Flush()
				r.wait(gone)
				time.Sleep(100 * time.Millisecond) // the proxy has noticed by then
				if test.after == "" {
					<-req.Context().Done()
					return true
				}
				events(test.after)(w, req, b)
				return true
			}
			k := r.newKey()
			ctx, leave := context.WithCancel(t.Context())
			res, err := r.client.Do(r.request(k.secret, "POST", test.path, test.body).WithContext(ctx))
			r.must(err)
			for lines := bufio.NewScanner(res.Body); lines.Scan() && !strings.Contains(lines.Text(), test.mark); {
			}
			leave()
			close(gone)
			e := r.event(k)
			if want := test.after != ""; e.Cost != test.cost || (e.Basis == gateway.BasisReported) != want {
				t.Errorf("cost %v, want %v: %+v", e.Cost, test.cost, e)
			}
			if e.LatencyMS > 2000 {
				t.Errorf("took %d ms", e.LatencyMS)
			}
			r.books(k)
		})
	}
}
