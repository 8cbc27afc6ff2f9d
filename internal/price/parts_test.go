package price_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/internal/gateway"
	"tollgate/internal/price"
)

var today = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

func TestParts(t *testing.T) {
	m, _ := price.Embedded().Lookup("openai", "gpt-4o-mini", today)
	if m == nil {
		t.Fatal("no price")
	}
	var u gateway.Usage
	u.Counts[gateway.Input], u.Counts[gateway.CacheRead], u.Counts[gateway.Output] = 1000, 101, 10
	// $0.15, $0.075 and $0.60 per million tokens; 7.575 micro-dollars are 7,575 nano.
	want := map[string]gateway.NanoUSD{"input": 150_000, "cache_read": 7_575, "output": 6_000}
	if diff := cmp.Diff(want, m.Parts(u, "")); diff != "" {
		t.Errorf("parts (-want +got)\n%s", diff)
	}
}

// The parts of any usage add up to its cost, to the nano-dollar.
func TestPartsAddUp(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	table := price.Embedded()
	for _, name := range []string{"gpt-4o-mini", "gpt-5", "gpt-4o-audio-preview"} {
		m, _ := table.Lookup("openai", name, today)
		if m == nil {
			t.Fatalf("no price for %s", name)
		}
		for range 2000 {
			var u gateway.Usage
			for c := range u.Counts {
				if random.IntN(2) == 0 {
					u.Counts[c] = random.Int64N(300_000)
				}
			}
			for _, tier := range []string{"", "flex", "priority"} {
				cost, _ := m.Cost(u, tier)
				var sum gateway.NanoUSD
				for _, part := range m.Parts(u, tier) {
					sum += part
				}
				if sum != cost {
					t.Fatalf("%s %q %v: the parts are %d, the cost %d", name, tier, u, sum, cost)
				}
			}
		}
	}
}
