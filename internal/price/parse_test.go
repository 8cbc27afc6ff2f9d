package price_test

import (
	"os"
	"strings"
	"testing"

	"tollgate/internal/price"
)

func TestParseRefuses(t *testing.T) {
	row := func(fields string) string {
		return `{"version": "2026-01-02", "rows": [{"provider": "p", "exact": ["ok"], "input": "1"}, {` + fields + `}]}`
	}
	for _, c := range []struct {
		name, text string
		want       []string // all in the message
	}{
		{"empty", ``, []string{"EOF"}},
		{"not JSON", `prices`, []string{"price table"}},
		{"no rows", `{"version": "2026-01-02", "rows": []}`, []string{"no rows"}},
		{"no version", `{"rows": [{"provider": "p", "exact": ["m"], "input": "1"}]}`, []string{"version"}},
		{"version no date", `{"version": "v1", "rows": [{"provider": "p", "exact": ["m"], "input": "1"}]}`, []string{"version", "v1"}},
		{"unknown field at the top", `{"version": "2026-01-02", "models": [], "rows": []}`, []string{"models"}},
		{"something after it", `{"version": "2026-01-02", "rows": [{"provider": "p", "exact": ["m"], "input": "1"}]} {}`, []string{"follows"}},
		{"unknown field", row(`"provider": "p", "exact": ["m"], "inptu": "1"`), []string{"row 2", "(p m)", "inptu"}},
		{"a number as price", row(`"provider": "p", "exact": ["m"], "input": 1`), []string{"row 2", "input"}},
		{"no provider", row(`"exact": ["m"], "input": "1"`), []string{"row 2", "provider"}},
		{"provider in capitals", row(`"provider": "OpenAI", "exact": ["m"], "input": "1"`), []string{"provider"}},
		{"no name", row(`"provider": "p", "input": "1"`), []string{"row 2", "exact"}},
		{"empty name", row(`"provider": "p", "exact": [""], "input": "1"`), []string{"empty"}},
		{"empty prefix", row(`"provider": "p", "prefix": [""], "input": "1"`), []string{"prefix", "empty"}},
		{"no price", row(`"provider": "p", "exact": ["m"], "max_output": 1`), []string{"no price"}},
		{"negative", row(`"provider": "p", "exact": ["m"], "input": "-1"`), []string{"row 2", "input", `"-1"`}},
		{"exponent", row(`"provider": "p", "exact": ["m"], "output": "1e3"`), []string{"output", "1e3"}},
		{"no digits", row(`"provider": "p", "exact": ["m"], "cache_read": "."`), []string{"cache_read"}},
		{"bare point", row(`"provider": "p", "exact": ["m"], "cache_write": "1."`), []string{"cache_write"}},
		{"too fine", row(`"provider": "p", "exact": ["m"], "output_image": "0.0000000001"`), []string{"output_image", "nano-dollar"}},
		{"too large", row(`"provider": "p", "exact": ["m"], "input": "1000000001"`), []string{"input", "too large"}},
		{"image too large", row(`"provider": "p", "exact": ["m"], "per_image": [{"price": "1001"}]`), []string{"per_image[0]", "too large"}},
		{"image without price", row(`"provider": "p", "exact": ["m"], "per_image": [{"size": "1x1"}]`), []string{"per_image[0]", "price"}},
		{"image twice", row(`"provider": "p", "exact": ["m"], "per_image": [{"price": "1"}, {"price": "2"}]`), []string{"per_image[1]", "twice"}},
		{"minute and hour", row(`"provider": "p", "exact": ["m"], "per_minute": "1", "per_hour": "60"`), []string{"per_hour"}},
		{"date", row(`"provider": "p", "exact": ["m"], "input": "1", "effective_from": "soon"`), []string{"effective_from", "soon"}},
		{"twice", row(`"provider": "p", "exact": ["OK"], "input": "2"`), []string{"row 2", `"ok"`, "two rows"}},
		{"tier without a price of the row", row(`"provider": "p", "exact": ["m"], "input": "1", "output": "1", "context_tiers": [{"above": 5, "input": "2"}]`), []string{"context_tiers[0]", "output"}},
		{"tiers out of order", row(`"provider": "p", "exact": ["m"], "input": "1", "context_tiers": [{"above": 5, "input": "2"}, {"above": 5, "input": "3"}]`), []string{"context_tiers[1]", "above"}},
		{"tier at the end of the context", row(`"provider": "p", "exact": ["m"], "input": "1", "context": 5, "context_tiers": [{"above": 5, "input": "2"}]`), []string{"context_tiers[0]", "context"}},
		{"tier at zero", row(`"provider": "p", "exact": ["m"], "input": "1", "context_tiers": [{"above": 0, "input": "2"}]`), []string{"above"}},
		{"bad price in a tier", row(`"provider": "p", "exact": ["m"], "input": "1", "context_tiers": [{"above": 5, "input": "x"}]`), []string{"context_tiers[0]", "input", `"x"`}},
		{"unknown service tier", row(`"provider": "p", "exact": ["m"], "input": "1", "tier_multipliers": {"turbo": "2"}`), []string{"tier_multipliers"}},
		{"multiplier zero", row(`"provider": "p", "exact": ["m"], "input": "1", "tier_multipliers": {"flex": "0"}`), []string{"flex", `"0"`}},
		{"multiplier over zero", row(`"provider": "p", "exact": ["m"], "input": "1", "tier_multipliers": {"flex": "1/0"}`), []string{"flex", "1/0"}},
		{"negative limit", row(`"provider": "p", "exact": ["m"], "input": "1", "context": -1`), []string{"context"}},
		{"fallback to nobody", `{"version": "2026-01-02", "providers": {"a": {"fallback": "b"}}, "rows": [{"provider": "p", "exact": ["m"], "input": "1"}]}`, []string{"fallback", `"b"`}},
		{"fallback in a circle", `{"version": "2026-01-02", "providers": {"p": {"fallback": "p"}}, "rows": [{"provider": "p", "exact": ["m"], "input": "1"}]}`, []string{"fallback"}},
		{"defaults for nobody", `{"version": "2026-01-02", "providers": {"q": {"web_search": "1"}}, "rows": [{"provider": "p", "exact": ["m"], "input": "1"}]}`, []string{"q", "no rows"}},
		{"bad default", `{"version": "2026-01-02", "providers": {"p": {"web_search": "x"}}, "rows": [{"provider": "p", "exact": ["m"], "input": "1"}]}`, []string{"web_search"}},
	} {
		table, err := price.Parse([]byte(c.text))
		if err == nil || table != nil {
			t.Errorf("%s: accepted", c.name)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not name %q", c.name, err, want)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"version": "2026-01-02", "providers": {"q": {"fallback": "p"}}, "rows": [{"provider": "p", "exact": ["m"], "prefix": ["n"],
		"input": "1.5", "output": "2", "per_image": [{"size": "1x1", "price": "0.04"}], "per_minute": "0.006",
		"context_tiers": [{"above": 5, "input": "2", "output": "3"}], "tier_multipliers": {"flex": "0.5", "fast": "5/3"}}]}`))
	f.Add([]byte(`{"version": "2026-01-02", "rows": [{"provider": "p", "exact": ["m"], "input": "99999999999999999999"}]}`))
	f.Add([]byte(`[1]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := price.Parse(data)
		if (err == nil) == (table == nil) {
			t.Fatalf("table %v, error %v", table, err)
		}
		if err != nil {
			return
		}
		for _, m := range table.Models() {
			b := price.Bound{Input: 1000, Output: 1000, Media: true, AudioOut: true}
			if cost, _ := m.Cost(use(in, 1000, out, 1000), "priority"); cost > m.Worst(b) {
				t.Fatalf("%+v: %d, at worst %d", m, cost, m.Worst(b))
			}
			m.Affordable(b, 1000)
			m.ImagePrice("1x1", "")
		}
		table.Lookup("p", "ft:m-2024-01-01:x", november)
	})
}

func BenchmarkParse(b *testing.B) {
	data, err := os.ReadFile("prices.json")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := price.Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}
