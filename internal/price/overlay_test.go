package price_test

import (
	"strings"
	"testing"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/price"
)

const priced = `{"version": "2026-01-02", "rows": [
	{"provider": "p", "exact": ["m"], "input": "2", "output": "10", "cache_read": "0.2", "web_search": "10",
	 "context_tiers": [{"above": 1000, "input": "4", "output": "15", "cache_read": "0.4"}],
	 "tier_multipliers": {"flex": "0.5", "priority": "2"}, "max_output": 100, "context": 5000},
	{"provider": "p", "exact": ["plain"], "input": "2", "output": "10"},
	{"provider": "p", "exact": ["draw"], "per_image": [{"size": "1x1", "price": "0.04"}, {"size": "2x2", "price": "0.08"}]},
	{"provider": "p", "exact": ["fee"], "input": "1", "output": "1", "per_request": "0.005"}]}`

// dollars is so many dollars per million tokens.
func dollars(n float64) int64 { return int64(n * float64(gateway.OneUSD)) }

func TestOverlay(t *testing.T) {
	table := parse(t, priced)
	classes := func(pairs ...any) map[string]int64 {
		m := make(map[string]int64)
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i].(string)] = dollars(pairs[i+1].(float64))
		}
		return m
	}
	for _, c := range []struct {
		name, model string
		costMap     gateway.CostMap
		usage       gateway.Usage
		tier        string
		want        gateway.NanoUSD
	}{
		{"one class of several", "m", gateway.CostMap{Models: map[string]map[string]int64{"m": classes("input", 1.0)}},
			use(in, 100, out, 10, cacheRead, 10), "", 100*1000 + 10*10_000 + 10*200},
		{"also in a long context", "m", gateway.CostMap{Models: map[string]map[string]int64{"m": classes("input", 1.0)}},
			use(in, 2000, out, 10), "", 2000*1000 + 10*15_000},
		{"before the service tier", "m", gateway.CostMap{Models: map[string]map[string]int64{"m": classes("input", 1.0)}},
			use(in, 100, out, 10), "flex", (100*1000 + 10*10_000) / 2},
		{"what follows a class follows its new price", "plain", gateway.CostMap{Models: map[string]map[string]int64{"plain": classes("input", 1.0)}},
			use(cacheRead, 100, cacheLong, 10), "", 110 * 1000},
		{"to a nano-dollar", "plain", gateway.CostMap{Models: map[string]map[string]int64{"plain": {"input": 3_625_001}}},
			use(in, 1_000_000), "", 3_625_001},
		{"nothing is a price", "plain", gateway.CostMap{Models: map[string]map[string]int64{"plain": classes("input", 0.0)}},
			use(in, 100, out, 10), "", 10 * 10_000},
		{"a model that the table does not know", "new", gateway.CostMap{Models: map[string]map[string]int64{"new": classes("input", 1.0, "output", 2.0)}},
			use(in, 100, cacheRead, 10, out, 10), "priority", 110*1000 + 10*2000},
		{"over the three maps, which know no tiers", "m", gateway.CostMap{
			Prompt: map[string]int64{"m": dollars(3)}, Completion: map[string]int64{"m": dollars(5)},
			Models: map[string]map[string]int64{"m": classes("cache_read", 0.5)}},
			use(in, 2000, cacheRead, 100, out, 10), "priority", 2000*3000 + 100*500 + 10*5000},
		{"pictures", "draw", gateway.CostMap{Models: map[string]map[string]int64{"draw": {"images": dollars(10_000)}}},
			use(int64(gateway.Images), 3), "", 3 * 10_000_000},
		{"seconds of audio", "new", gateway.CostMap{Models: map[string]map[string]int64{"new": {"audio_ms": dollars(0.1)}}},
			use(int64(gateway.AudioMillis), 90_000), "", 9_000_000}, // $0.0001 a second
		{"searches", "m", gateway.CostMap{Models: map[string]map[string]int64{"m": {"web_searches": dollars(25_000)}}},
			use(int64(gateway.WebSearches), 2), "", 50_000_000},
		{"a fee for the call", "plain", gateway.CostMap{Models: map[string]map[string]int64{"plain": {"requests": dollars(5000)}}},
			use(in, 100), "", 5_000_000 + 100*2000},
	} {
		m, _ := table.Lookup("p", c.model, november)
		own, ok := m.WithCostMap(&c.costMap, c.model, false)
		if !ok {
			t.Errorf("%s: the map does not count", c.name)
			continue
		}
		cost, unpriced := own.Cost(c.usage, c.tier)
		if cost != c.want || len(unpriced) > 0 {
			t.Errorf("%s: %d (unpriced %v), want %d", c.name, cost, unpriced, c.want)
		}
		bound := price.Bound{Input: c.usage.PromptTokens(), Output: c.usage.CompletionTokens(), Tier: c.tier, Extra: c.usage}
		if worst := own.Worst(bound); worst < cost {
			t.Errorf("%s: costs %d, at worst %d", c.name, cost, worst)
		}
	}
	if m, _ := table.Lookup("p", "m", november); m.Rates[gateway.Input].Nano != dollars(2) {
		t.Error("the table itself has changed")
	}
	m, _ := table.Lookup("p", "m", november)
	for _, none := range []*gateway.CostMap{nil, {}, {Models: map[string]map[string]int64{"m": {}}}, {Models: map[string]map[string]int64{"other": {"input": 1}}}} {
		if _, ok := m.WithCostMap(none, "m", false); ok {
			t.Errorf("%+v counts", none)
		}
	}
	own, _ := m.WithCostMap(&gateway.CostMap{Models: map[string]map[string]int64{"m": {"input": -5, "nonsense": 7}}}, "m", false)
	if cost, _ := own.Cost(use(in, 100), ""); cost != 200_000 {
		t.Errorf("a negative price counts: %d", cost)
	}
}

// A fee is in what a call costs and in what it may cost, once, whatever it consumes.
func TestPerRequest(t *testing.T) {
	m, _ := parse(t, priced).Lookup("p", "fee", november)
	if cost, _ := m.Cost(gateway.Usage{}, ""); cost != 5_000_000 {
		t.Errorf("an empty call costs %d", cost)
	}
	if cost, _ := m.Cost(use(in, 1000), "flex"); cost != 6_000_000 {
		t.Errorf("a call costs %d", cost)
	}
	if worst := m.Worst(price.Bound{Input: 1000, Output: 10, Copies: 3}); worst != 5_000_000+1_000_000+30_000 {
		t.Errorf("at worst %d", worst)
	}
	if n := m.Affordable(price.Bound{Input: 1000, Copies: 1}, 6_010_000); n != 10 {
		t.Errorf("%d tokens are affordable", n)
	}
	if n := m.Affordable(price.Bound{}, 4_999_999); n != -1 {
		t.Errorf("%d tokens are affordable without the fee", n)
	}
}

func TestShift(t *testing.T) {
	for _, c := range []struct {
		number string
		places int
		want   string // empty: refused
	}{
		{"1.5e-07", 6, "0.15"}, {"2.5e-06", 6, "2.5"}, {"0", 6, "0"}, {"0.0", 0, "0"}, {"3.625E-9", 6, "0.003625"},
		{"5", -3, "0.005"}, {"12", -3, "0.012"}, {"1e+2", 0, "100"}, {"0012.500", 0, "12.5"}, {"1e40", 0, "1" + zeros(40)}, {"1", -40, "0." + zeros(39) + "1"},
		{"1e41", 0, ""}, {"1e-41", 0, ""}, {"1e99999999999999999999", 0, ""}, {"1e9999", 0, ""}, {"-1", 0, ""}, {"", 0, ""}, {".5", 0, ""}, {"5.", 0, ""}, {"1e", 0, ""}, {"1e1e1", 0, ""}, {"0x10", 0, ""}, {"NaN", 0, ""},
		{zeros(81), 0, ""},
	} {
		got, err := price.Shift(c.number, c.places)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("Shift(%q, %d) is %q, %v; want %q", c.number, c.places, got, err, c.want)
		}
	}
}

func zeros(n int) string { return strings.Repeat("0", n) }

func TestUSD(t *testing.T) {
	for text, nano := range map[string]int64{"2.5": 2_500_000_000, "0.000000001": 1, "1e-9": 1, "1.5E2": 150_000_000_000, "0": 0, "1000000000": 1e18} {
		got, err := price.ParseUSD(text)
		if err != nil || got != nano {
			t.Errorf("%s is %d, %v", text, got, err)
		}
		if back, err := price.ParseUSD(price.FormatUSD(nano)); err != nil || back != nano {
			t.Errorf("%d comes back as %d, %v", nano, back, err)
		}
	}
	for _, text := range []string{"", "-1", "1e-10", "1000000001", "one", "1,5", " 1"} {
		if n, err := price.ParseUSD(text); err == nil {
			t.Errorf("%q is %d", text, n)
		}
	}
}

func FuzzUSD(f *testing.F) {
	f.Add("1.5e-7")
	f.Fuzz(func(t *testing.T, text string) {
		n, err := price.ParseUSD(text)
		if err != nil {
			return
		}
		if back, err := price.ParseUSD(price.FormatUSD(n)); err != nil || back != n || n < 0 {
			t.Fatalf("%q is %d and comes back as %d, %v", text, n, back, err)
		}
	})
}

func TestFaults(t *testing.T) {
	rows := ""
	for range 20 {
		rows += `, {"provider": "p", "exact": ["x"], "input": "-1"}`
	}
	_, err := price.Parse([]byte(`{"version": "soon", "rows": [{"provider": "p", "exact": ["m"], "output": "1.", "input": "1"}` + rows + `]}`))
	faults, ok := err.(price.Faults)
	if !ok || len(faults) != 11 || faults[10] != "and more" {
		t.Fatalf("%d faults: %v", len(faults), err)
	}
	if faults[0] != `version "soon" is not a date like 2006-01-02 or 2006-01-02.2` || faults[1] != `row 1 (p m): output: "1." not a decimal number such as "2.5"` {
		t.Errorf("%q", faults[:2])
	}
	_, err = price.Parse([]byte(`{"version": "2026-01-02", "rows": [{"provider": "p", "exact": ["a"], "input": 1}, {"provider": "p", "exact": ["b"], "inptu": "1"}, 5,
		{"provider": "p", "exact": ["c"], "input": "-1"}, {"provider": "p", "exact": ["d"], "input": "1", "max_output": "9"}]}`))
	const want = `price table: row 1 (p a): input: is a number; a text such as "2.5" is expected; row 2 (p b): unknown field "inptu"; ` +
		`row 3 ( ?): is a number, not an object; row 4 (p c): input: "-1" not a decimal number such as "2.5"; row 5 (p d): max_output: is a string, which does not fit`
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
	for version, ok := range map[string]bool{"2026-11-23": true, "2026-11-23.2": true, "2026-11-23.": false, "2026-11-23.b": false, "2026-13-01": false, "2026-11-23.1234567890": false} {
		_, err := price.Parse([]byte(`{"version": "` + version + `", "rows": [{"provider": "p", "exact": ["m"], "input": "1"}]}`))
		if (err == nil) != ok {
			t.Errorf("%s: %v", version, err)
		}
	}
}

func TestAge(t *testing.T) {
	table := parse(t, priced)
	for at, want := range map[string]int{"2025-12-01": 0, "2026-01-02": 0, "2026-01-03": 1, "2026-04-02": 90} {
		day, err := time.Parse(time.DateOnly, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := table.Age(day.Add(23 * time.Hour)); got != want {
			t.Errorf("on %s it is %d days old, want %d", at, got, want)
		}
	}
}
