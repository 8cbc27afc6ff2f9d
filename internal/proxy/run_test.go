package proxy_test

import (
	"maps"
	"slices"
	"testing"

	"tollgate/internal/gateway"
)

// CO-16: a run is charged as the model that its answer names, for its body may name only
// an assistant.
func TestRunCost(t *testing.T) {
	const done = `{"id":"run_1","model":"gpt-4o","status":"completed","usage":{"prompt_tokens":100000,"completion_tokens":20}}`
	const cost = 100_000*2500 + 20*10_000
	for _, test := range []struct {
		name, body, answer string
		cost               gateway.NanoUSD
		basis              gateway.Basis
		unpriced           []string
	}{
		{"without a model", `{"assistant_id":"a"}`, done, cost, gateway.BasisReported, nil},
		{"with one", `{"assistant_id":"a","model":"gpt-4o"}`, done, cost, gateway.BasisReported, nil},
		{"in the queue", `{"assistant_id":"a"}`, `{"id":"run_1","model":"gpt-4o","usage":null}`, 0, gateway.BasisReserved, []string{"model:"}},
		// 128,000 tokens in at $2.50 and 16,384 out at $10, and 1.7 times that for priority.
		{"in the queue with a model", `{"assistant_id":"a","model":"gpt-4o"}`, `{"id":"run_1","model":"gpt-4o","usage":null}`,
			(128_000*2500 + 16_384*10_000) * 17 / 10, gateway.BasisReserved, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.fake.Override = answers(200, "application/json", test.answer)
			k := r.newKey()
			r.passed(r.call(k.secret, "POST", openai+"/threads/t/runs", test.body))
			if e := r.event(k); e.Cost != test.cost || e.Basis != test.basis || !slices.Equal(e.Unpriced, test.unpriced) {
				t.Errorf("cost %v, want %v: %+v", e.Cost, test.cost, e)
			}
			r.books(k)
			// The model is not known before: no limit could be held.
			if test.body == `{"assistant_id":"a"}` {
				r.refused(r.call(r.newKey(budget(gateway.OneUSD)).secret, "POST", openai+"/threads/t/runs", test.body), 403, "model_price_unknown")
			}
		})
	}
}

// What a run or a batch consumed is told when one asks about it, as often as one asks: it
// is noted, and charged to nobody.
func TestLaterUsage(t *testing.T) {
	for path, answer := range map[string]string{
		"/threads/t/runs/run_1": `{"id":"run_1","model":"gpt-4o","status":"completed","usage":{"prompt_tokens":100000,"completion_tokens":20}}`,
		"/batches/batch_1":      `{"id":"batch_1","status":"completed","usage":{"input_tokens":100000,"output_tokens":20}}`,
		"/responses/resp_1":     `{"id":"resp_1","model":"gpt-4o","status":"completed","usage":{"input_tokens":100000,"output_tokens":20}}`,
	} {
		t.Run(path, func(t *testing.T) {
			r := newRig(t)
			r.fake.Override = answers(200, "application/json", answer)
			k := r.newKey()
			for range 2 {
				r.passed(r.call(k.secret, "GET", openai+path, ""))
			}
			for _, e := range r.events(k) {
				if want := map[string]int64{"input": 100_000, "output": 20}; !maps.Equal(e.Later, want) || e.Usage != nil || e.Cost != 0 || e.Tokens != 0 {
					t.Errorf("event %+v", e)
				}
			}
			r.fake.Override = answers(200, "application/json", `{"status":"in_progress","usage":null}`)
			other := r.newKey()
			r.passed(r.call(other.secret, "GET", openai+path, ""))
			if e := r.event(other); e.Later != nil {
				t.Errorf("event %+v", e)
			}
			if spent := r.books(k); spent != 0 {
				t.Errorf("spent %v", spent)
			}
		})
	}
}
