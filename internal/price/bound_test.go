package price_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tollgate/internal/gateway"
	"tollgate/internal/price"
)

func TestWorst(t *testing.T) {
	searches := use(int64(gateway.WebSearches), 5)
	for _, c := range []struct {
		name, model string
		bound       price.Bound
		nano        gateway.NanoUSD
	}{
		{"nothing", "gpt-4o", price.Bound{}, 0},
		// Caching is automatic: 1,000 × 12.5, then 100 × 50, both × 2 for priority.
		{"cache write, dearest tier", "gpt-6-astra", price.Bound{Input: 1000, Output: 100}, 35_000_000},
		{"auto is the dearest tier", "gpt-6-astra", price.Bound{Input: 1000, Output: 100, Tier: "auto"}, 35_000_000},
		{"standard", "gpt-6-astra", price.Bound{Input: 1000, Output: 100, Tier: "default"}, 17_500_000},
		{"flex may be served as standard", "gpt-6-astra", price.Bound{Input: 1000, Output: 100, Tier: "flex"}, 17_500_000},
		{"no call is a batch", "gpt-6-astra", price.Bound{Input: 1000, Output: 100, Tier: "batch"}, 17_500_000},
		{"priority", "gpt-6-astra", price.Bound{Input: 1000, Output: 100, Tier: "priority"}, 35_000_000},
		{"copies", "gpt-6-astra", price.Bound{Input: 1000, Output: 100, Copies: 3, Tier: "default"}, 27_500_000},
		{"at the context tier", "gpt-6-astra", price.Bound{Input: 272_000, Output: 10, Tier: "default"}, 3_400_500_000},
		{"above the context tier", "gpt-6-astra", price.Bound{Input: 272_001, Output: 10, Tier: "default"}, 6_800_775_000},
		// gpt-5.5 has no cache-write price: a write is input.
		{"2.5 times", "gpt-5.5", price.Bound{Input: 1000, Output: 100}, 20_000_000},
		{"text in", "gpt-audio", price.Bound{Input: 1000, Output: 100}, 3_500_000},
		{"audio in", "gpt-audio", price.Bound{Input: 1000, Output: 100, Media: true}, 33_000_000},
		{"audio in and out", "gpt-audio", price.Bound{Input: 1000, Output: 100, Media: true, AudioOut: true}, 38_400_000},
		{"searches are not multiplied", "gpt-6-luna", price.Bound{Extra: searches}, 50_000_000},
		{"speech", "tts-1", price.Bound{Extra: use(int64(gateway.Characters), 4096)}, 61_440_000},
		{"negative", "gpt-4o", price.Bound{Input: -1, Output: -1, Copies: -1}, 0},
		{"saturates", "gpt-4o", price.Bound{Input: math.MaxInt64, Output: math.MaxInt64, Copies: math.MaxInt64}, math.MaxInt64},
	} {
		if got := model(t, "openai", c.model).Worst(c.bound); got != c.nano {
			t.Errorf("%s: %s at most %d, want %d", c.name, c.model, got, c.nano)
		}
	}
}

// A tier above may be cheaper; a shorter request must still be paid for.
func TestWorstCountsLowerContextTiers(t *testing.T) {
	table := parse(t, `{"version": "2026-01-02", "rows": [{"provider": "p", "exact": ["m"], "input": "10", "output": "10",
		"context_tiers": [{"above": 100, "input": "1", "output": "1"}]}]}`)
	m, _ := table.Lookup("p", "m", november)
	if got := m.Worst(price.Bound{Input: 200, Output: 50}); got != 1_500_000 {
		t.Errorf("%d, want 100 × 10 + 50 × 10 micro-dollars", got)
	}
}

func TestAffordable(t *testing.T) {
	for _, c := range []struct {
		name, model string
		bound       price.Bound
		budget      gateway.NanoUSD
		output      int64
	}{
		// $0.00145 of $0.0025 and $10 a million: 120 tokens of room.
		{"room", "gpt-4o", price.Bound{Input: 100, Tier: "default"}, 1_450_000, 120},
		{"a nano-dollar less", "gpt-4o", price.Bound{Input: 100, Tier: "default"}, 1_449_999, 119},
		{"copies share", "gpt-4o", price.Bound{Input: 100, Copies: 4, Tier: "default"}, 1_450_000, 30},
		{"just the input", "gpt-4o", price.Bound{Input: 100, Tier: "default"}, 250_000, 0},
		{"not even the input", "gpt-4o", price.Bound{Input: 100, Tier: "default"}, 249_999, -1},
		{"no budget", "gpt-4o", price.Bound{}, -1, -1},
		{"output is free", "text-embedding-3-small", price.Bound{Input: 100}, 2_000, math.MaxInt64},
		{"a fortune", "gpt-5-nano", price.Bound{Tier: "default"}, gateway.MaxUSD, 2_500_000_000_000_000},
		{"everything", "gpt-4o", price.Bound{}, math.MaxInt64, math.MaxInt64},
	} {
		if got := model(t, "openai", c.model).Affordable(c.bound, c.budget); got != c.output {
			t.Errorf("%s: %d tokens, want %d", c.name, got, c.output)
		}
	}
}

func TestUnpriced(t *testing.T) {
	for _, c := range []struct {
		provider, model string
		bound           price.Bound
		want            []gateway.Class
	}{
		{"openai", "gpt-4o", price.Bound{Input: 1, Output: 1}, nil},
		{"openai", "gpt-4o", price.Bound{Input: 1, Media: true, Output: 1}, nil},
		{"openai", "gpt-4o", price.Bound{Extra: use(int64(gateway.Characters), 1)}, []gateway.Class{gateway.Characters}},
		{"openai", "gpt-6-sol", price.Bound{Input: 1, LongLife: true}, []gateway.Class{gateway.CacheWriteLong}},
		{"anthropic", "claude-opus-5-5", price.Bound{Input: 1, LongLife: true}, nil},
		{"openai", "whisper-1", price.Bound{Input: 1, Output: 1}, []gateway.Class{gateway.Input, gateway.Output}},
		{"openai", "whisper-1", price.Bound{Extra: use(int64(gateway.AudioMillis), 1)}, nil},
		{"openai", "dall-e-3", price.Bound{Extra: use(int64(gateway.Images), 1)}, nil},
		{"openai", "gpt-audio", price.Bound{Output: 1, AudioOut: true}, nil},
		{"groq", "llama-3.1-8b-instant", price.Bound{Extra: use(int64(gateway.WebSearches), 1)}, []gateway.Class{gateway.WebSearches}},
	} {
		if got := model(t, c.provider, c.model).Unpriced(c.bound); !slices.Equal(got, c.want) {
			t.Errorf("%s %+v: %v, want %v", c.model, c.bound, got, c.want)
		}
	}
}

// allowedTiers are answers that may follow when a tier was asked for.
var allowedTiers = map[string][]string{
	"":         {"", "default", "flex", "priority", "fast", "scale", "ultrafast"},
	"auto":     {"", "default", "flex", "priority", "fast", "scale", "ultrafast"},
	"default":  {"default", ""},
	"flex":     {"flex", "default"},
	"priority": {"priority", "default"},
	"fast":     {"fast", "default"},
	"batch":    {"batch", "default"},
	"turbo":    {"turbo", "default"},
}

// checkBound fails if some usage within the bound costs more than Worst, or if
// Affordable does not end where the budget does.
func checkBound(t *testing.T, r *rand.Rand, m *price.Model, b price.Bound, budget gateway.NanoUSD) {
	t.Helper()
	worst := m.Worst(b)
	for range 8 {
		u := within(r, b)
		for _, tier := range allowedTiers[b.Tier] {
			if cost, _ := m.Cost(u, tier); cost > worst {
				t.Fatalf("%s %s served at %q: %+v costs %d, bound %+v was %d", m.Provider, m.Name, tier, u, cost, b, worst)
			}
		}
	}
	output := m.Affordable(b, budget)
	at := func(n int64) gateway.NanoUSD { b.Output = n; return m.Worst(b) }
	if output >= 0 && at(output) > budget || output < 0 && at(0) <= budget {
		t.Fatalf("%s: %d tokens of output for %d, at worst %d (bound %+v)", m.Name, output, budget, at(max(output, 0)), b)
	}
	if output >= 0 && output < math.MaxInt64 && at(output+1) <= budget {
		t.Fatalf("%s: %d tokens of output for %d, but one more fits (bound %+v)", m.Name, output, budget, b)
	}
}

// within draws a usage that the bound allows, often on its edge.
func within(r *rand.Rand, b price.Bound) gateway.Usage {
	u := b.Extra
	for c := range gateway.AudioMillis {
		u.Counts[c] = 0
	}
	inputs := []gateway.Class{gateway.Input, gateway.CacheRead, gateway.CacheWrite, gateway.CacheWriteLong}
	if b.Media {
		inputs = append(inputs, gateway.InputAudio, gateway.CachedAudio, gateway.InputImage, gateway.CachedImage)
	}
	outputs := []gateway.Class{gateway.Output}
	if b.AudioOut {
		outputs = append(outputs, gateway.OutputAudio, gateway.OutputImage)
	}
	spend := func(left int64, classes []gateway.Class) {
		for left > 0 {
			n := left
			if r.IntN(2) == 0 {
				n = r.Int64N(left) + 1
			}
			u.Counts[classes[r.IntN(len(classes))]] += n
			left -= n
			if r.IntN(4) == 0 {
				return
			}
		}
	}
	spend(b.Input, inputs)
	spend(b.Output*max(b.Copies, 1), outputs)
	return u
}

func TestWorstHoldsForEveryRow(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	tiers := []string{"", "auto", "default", "flex", "priority", "fast", "batch", "turbo"}
	inputs := []int64{0, 1, 7, 1000, 100_000, 100_001, 200_000, 200_001, 272_000, 272_001, 1_050_000}
	for _, m := range price.Embedded().Models() {
		for range 40 {
			b := price.Bound{
				Input: inputs[r.IntN(len(inputs))], Output: r.Int64N(200_000), Copies: r.Int64N(4),
				Media: r.IntN(2) == 0, AudioOut: r.IntN(2) == 0, Tier: tiers[r.IntN(len(tiers))],
				Extra: use(int64(gateway.WebSearches), r.Int64N(3), int64(gateway.Images), r.Int64N(3), int64(gateway.AudioMillis), r.Int64N(9999)),
			}
			checkBound(t, r, m, b, gateway.NanoUSD(r.Int64N(int64(10*gateway.OneUSD))))
		}
	}
}

func FuzzWorst(f *testing.F) {
	models := price.Embedded().Models()
	// The table has no order; a case must name the same row again.
	slices.SortFunc(models, func(a, b *price.Model) int {
		if a.Provider+a.Name < b.Provider+b.Name {
			return -1
		}
		return 1
	})
	f.Add(uint64(1), uint(3), int64(272_001), int64(128_000), int64(2), int64(1_000_000_000), "")
	f.Add(uint64(2), uint(90), int64(1), int64(0), int64(1), int64(0), "flex")
	f.Add(uint64(3), uint(200), int64(1<<40), int64(1<<20), int64(128), int64(math.MaxInt64), "priority")
	f.Fuzz(func(t *testing.T, seed uint64, row uint, input, output, copies, budget int64, tier string) {
		m := models[row%uint(len(models))]
		r := rand.New(rand.NewPCG(seed, 0))
		b := price.Bound{Input: input, Output: output, Copies: copies, Tier: tier, Media: seed%2 == 0, AudioOut: seed%3 == 0}
		m.Worst(b)
		m.Affordable(b, gateway.NanoUSD(budget))
		m.Cost(use(in, input, out, output, cacheRead, copies), tier)
		// Counts that can be drawn from and added without overflow.
		b.Input, b.Output, b.Copies = clamp(input, 1<<50), clamp(output, 1<<40), clamp(copies, 1<<10)
		checkBound(t, r, m, b, gateway.NanoUSD(budget))
	})
}

func clamp(n, most int64) int64 { return min(max(n, 0), most) }

func BenchmarkCost(b *testing.B) {
	m := model(b, "openai", "gpt-6-astra")
	u := use(in, 1000, cacheRead, 5000, out, 500)
	b.ReportAllocs()
	for b.Loop() {
		m.Cost(u, "priority")
	}
}

func BenchmarkWorst(b *testing.B) {
	m := model(b, "openai", "gpt-6-astra")
	bound := price.Bound{Input: 300_000, Output: 128_000}
	b.ReportAllocs()
	for b.Loop() {
		m.Worst(bound)
	}
}

func BenchmarkAffordable(b *testing.B) {
	m := model(b, "openai", "gpt-6-astra")
	bound := price.Bound{Input: 3000}
	b.ReportAllocs()
	for b.Loop() {
		m.Affordable(bound, gateway.OneUSD)
	}
}

func BenchmarkLookup(b *testing.B) {
	for name, model := range map[string]string{
		"exact": "gpt-4o-mini", "dated": "gpt-6-astra-2026-09-01", "prefix": "gpt-4o-audio-preview-x",
		"tuned": "ft:gpt-4o-2024-08-06:acme:bot:a1", "unknown": "no-such-model",
	} {
		b.Run(name, func(b *testing.B) {
			table := price.Embedded()
			b.ReportAllocs()
			for b.Loop() {
				table.Lookup("openai", model, november)
			}
		})
	}
}
