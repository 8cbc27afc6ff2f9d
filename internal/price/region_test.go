package price_test

import (
	"testing"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/price"
)

// A region changes what tokens cost, on every tier, and nothing else; the
// operator's own prices know no regions.
func TestAt(t *testing.T) {
	m, ok := price.Embedded().Lookup("anthropic", "claude-haiku-5-5", time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC))
	if !ok {
		t.Fatal("no such model")
	}
	own, _ := m.WithCostMap(&gateway.CostMap{Prompt: map[string]int64{"m": 1_000_000}, Completion: map[string]int64{"m": 1_000_000}}, "m", false)
	var short, long, search gateway.Usage
	short.Counts[gateway.Input] = 1000
	long.Counts[gateway.Input] = 200_000
	search.Counts[gateway.WebSearches] = 1
	for _, tt := range []struct {
		name    string
		model   *price.Model
		usage   gateway.Usage
		percent int64
		want    gateway.NanoUSD
	}{
		{"list", m, short, 0, 100_000},
		{"all of it", m, short, 100, 100_000},
		{"a tenth more", m, short, 110, 110_000},
		{"a tenth more of a long one", m, long, 110, 110_000_000},
		{"a search", m, search, 110, 10_000_000},
		{"own prices", own, short, 110, 1000},
		{"nonsense", m, short, -5, 100_000},
	} {
		if got, _ := tt.model.At(tt.percent).Cost(tt.usage, ""); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
	if (*price.Model)(nil).At(110) != nil {
		t.Error("a model that is not known has no prices")
	}
	if got, _ := m.Cost(long, ""); got != 100_000_000 {
		t.Errorf("the model itself has changed: %d", got)
	}
}
