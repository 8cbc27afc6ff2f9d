package price_test

import (
	"testing"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/price"
)

var november = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// model is a row of the embedded table; the test fails without it.
func model(t testing.TB, provider, name string) *price.Model {
	t.Helper()
	m, ok := price.Embedded().Lookup(provider, name, november)
	if !ok {
		t.Fatalf("no row for %s %s", provider, name)
	}
	return m
}

func parse(t testing.TB, text string) *price.Table {
	t.Helper()
	table, err := price.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestEmbeddedParses(t *testing.T) {
	table := price.Embedded()
	if got := table.Version(); got != "2026-11-10" {
		t.Errorf("version %q", got)
	}
	if n := len(table.Models()); n < 400 {
		t.Errorf("only %d rows", n)
	}
	if price.Embedded() != table {
		t.Error("parsed twice")
	}
	for _, m := range table.Models() {
		if m.Provider == "" || m.Name == "" {
			t.Errorf("row without a name: %+v", m)
		}
	}
}

func TestLookup(t *testing.T) {
	table := parse(t, `{"version": "2026-01-02", "providers": {"azure": {"fallback": "openai"}}, "rows": [
		{"provider": "openai", "exact": ["gpt-4o"], "input": "1"},
		{"provider": "openai", "exact": ["gpt-4o-2024-05-13"], "input": "2"},
		{"provider": "openai", "prefix": ["gpt-4"], "input": "3"},
		{"provider": "openai", "prefix": ["gpt-4-long"], "input": "4"},
		{"provider": "openai", "exact": ["gpt-3.5-turbo"], "input": "5"},
		{"provider": "openai", "exact": ["gpt-3.5-turbo-0613"], "input": "6"},
		{"provider": "openai", "exact": ["ft:gpt-4o"], "input": "7"},
		{"provider": "openai", "prefix": ["ft:gpt-3"], "input": "8"},
		{"provider": "azure", "exact": ["gpt-35-turbo"], "input": "9"},
		{"provider": "openai", "exact": ["mistral-large"], "input": "10"},
		{"provider": "openai", "exact": ["Org/Model-A"], "input": "11"},
		{"provider": "openai", "exact": ["omni-latest"], "input": "12"}
	]}`)
	for _, c := range []struct {
		provider, model string
		input           int64 // dollars; 0 when unknown
	}{
		{"openai", "gpt-4o", 1},
		{"openai", "gpt-4o-2024-05-13", 2},
		{"openai", "gpt-4o-2024-08-06", 1},
		{"openai", "gpt-4o-20240806", 1},
		{"openai", "gpt-4o-latest", 1},
		{"openai", "GPT-4O", 1},
		{"openai", "gpt-4o-mini", 3},
		{"openai", "gpt-4-long-32k", 4},
		{"openai", "gpt-3.5-turbo-0613", 6},
		{"openai", "gpt-3.5-turbo-1106", 5},
		{"openai", "gpt-3.5-turbo-2512", 0}, // a month, not a day: another model
		{"openai", "gpt-3.5-turbo-instruct", 0},
		{"openai", "mistral-large-2512", 0},
		{"openai", "ft:gpt-4o-2024-08-06:acme:bot:abc123", 7},
		{"openai", "ft:gpt-4o:acme::abc123:ckpt-step-100", 7},
		{"openai", "ft:gpt-4o-mini-2024-07-18:acme::x", 0}, // neither its base nor a shorter name
		{"openai", "ft:gpt-3.5-turbo:acme::x", 0},
		{"openai", "ft:", 0},
		{"openai", "ft:gpt-4o", 7},
		{"openai", "org/model-a", 11},
		{"openai", "omni-latest", 12},
		{"openai", "omni", 0},
		{"openai", "-latest", 0},
		{"openai", "", 0},
		{"azure", "gpt-35-turbo", 9},
		{"azure", "gpt-4o-2024-11-20", 1},
		{"openai", "gpt-35-turbo", 0},
		{"nobody", "gpt-4o", 0},
	} {
		m, ok := table.Lookup(c.provider, c.model, november)
		if ok != (c.input != 0) {
			t.Errorf("%s %q: found is %v", c.provider, c.model, ok)
		} else if ok && m.Rates[gateway.Input].Nano != c.input*int64(gateway.OneUSD) {
			t.Errorf("%s %q: $%d a million, want $%d", c.provider, c.model, m.Rates[gateway.Input].Nano/1e9, c.input)
		}
	}
}

func TestLookupByTime(t *testing.T) {
	table := parse(t, `{"version": "2026-01-02", "rows": [
		{"provider": "p", "exact": ["m"], "input": "2", "effective_from": "2026-03-01"},
		{"provider": "p", "exact": ["m"], "input": "1"},
		{"provider": "p", "exact": ["m"], "input": "3", "effective_from": "2026-05-01"},
		{"provider": "p", "exact": ["later"], "input": "4", "effective_from": "2026-05-01"},
		{"provider": "p", "prefix": ["late"], "input": "5"}
	]}`)
	for _, c := range []struct {
		model, at string
		input     int64
	}{
		{"m", "2020-01-01T00:00:00Z", 1},
		{"m", "2026-02-28T23:59:59Z", 1},
		{"m", "2026-03-01T00:00:00Z", 2},
		{"m", "2026-04-30T23:59:59Z", 2},
		{"m", "2026-05-01T00:00:00Z", 3},
		{"later", "2026-04-30T00:00:00Z", 5},
		{"later", "2026-05-01T00:00:00Z", 4},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		m, ok := table.Lookup("p", c.model, at)
		if !ok || m.Rates[gateway.Input].Nano != c.input*int64(gateway.OneUSD) {
			t.Errorf("%s at %s: %v %+v, want $%d", c.model, c.at, ok, m, c.input)
		}
	}
}

// Names that real answers and requests carry.
func TestEmbeddedLookup(t *testing.T) {
	for _, c := range []struct {
		provider, model string
		input           string // dollars per million; empty when unknown
	}{
		{"openai", "gpt-3.5-turbo-0301", "1.5"},
		{"openai", "gpt-3.5-turbo-1106", "1"},
		{"openai", "gpt-3.5-turbo-0125", "0.5"},
		{"openai", "gpt-3.5-turbo-16k", "3"},
		{"openai", "gpt-4-0613", "30"},
		{"openai", "gpt-4-32k-0314", "60"},
		{"openai", "gpt-4-1106-preview", "10"},
		{"openai", "gpt-4o-2024-05-13", "5"},
		{"openai", "gpt-4o-2024-11-20", "2.5"},
		{"openai", "gpt-4o-mini-2024-07-18", "0.15"},
		{"openai", "gpt-6-astra-2026-09-01", "10"},
		{"openai", "gpt-5.6-luna-2026-08-01", "0.2"},
		{"openai", "ft:gpt-4o-mini-2024-07-18:acme:bot:a1", "0.3"},
		{"openai", "ft:gpt-3.5-turbo-0613:acme::a1", "3"},
		{"openai", "ft:gpt-4-0613:acme::a1", "45"},
		{"openai", "ft:gpt-9:acme::a1", ""},
		{"openai", "gpt-4o-audio-preview-2024-12-17", "2.5"},
		{"openai", "text-moderation-latest", "0"},
		{"openai", "gpt-9", ""},
		{"openai", "claude-opus-5-5", ""},
		{"azure", "gpt-35-turbo-0613", "1.5"},
		{"azure", "gpt-4o-mini-2024-07-18", "0.15"},
		{"azure", "gpt-4o-mini-2024-07-18.ft-0e1", "0.3"},
		{"anthropic", "claude-opus-5-5", "4"},
		{"anthropic", "claude-haiku-4-5-20251001", "1"},
		{"anthropic", "claude-3-5-sonnet-20241022", "3"},
		{"bedrock", "us.anthropic.claude-opus-5-5", "4.4"},
		{"bedrock", "amazon.nova-micro-v1:0", "0.035"},
		{"google", "gemini-2.5-pro", "1.25"},
		{"deepinfra", "meta-llama/llama-3.3-70b-instruct-turbo", "0.1"},
		{"groq", "openai/gpt-oss-120b", "0.15"},
		{"xai", "grok-4.6", "2"},
		{"mistral", "mistral-large-4", "0.7"},
		{"deepseek", "deepseek-v4-pro", "1.32"},
	} {
		m, ok := price.Embedded().Lookup(c.provider, c.model, november)
		if ok != (c.input != "") {
			t.Errorf("%s %q: found is %v", c.provider, c.model, ok)
			continue
		}
		if !ok {
			continue
		}
		want, err := gateway.ParseUSD(c.input)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Rates[gateway.Input].Nano; got != int64(want) {
			t.Errorf("%s %q: input %d, want %d", c.provider, c.model, got, want)
		}
	}
}

func TestEmbeddedFuturePrice(t *testing.T) {
	year := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	for at, want := range map[time.Time]int64{year.Add(-time.Second): 750_000_000, year: 1_500_000_000} {
		m, ok := price.Embedded().Lookup("google", "gemini-3.8-flash", at)
		if !ok || m.Rates[gateway.Input].Nano != want {
			t.Errorf("at %s: %+v, want %d", at, m, want)
		}
	}
}
