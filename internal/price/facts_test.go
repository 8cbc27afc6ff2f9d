package price_test

import (
	"testing"

	"tollgate/internal/gateway"
	"tollgate/internal/price"
)

// openAIFacts are OpenAI's list prices of November 2026 in dollars per million
// tokens, collected apart from the table. An empty price is one that the list
// does not have; a maximum of 0 is one that it does not state.
var openAIFacts = []struct {
	model, input, output, cacheRead, cacheWrite string
	maxOutput                                   int64
}{
	{"gpt-6-astra", "10", "50", "1", "12.5", 128000},
	{"gpt-6.1-sol", "2", "10", "0.1", "2.5", 128000},
	{"gpt-6.1-terra", "1", "5", "0.05", "1.25", 128000},
	{"gpt-6-sol", "2", "10", "0.2", "2.5", 128000},
	{"gpt-6-luna", "0.1", "0.5", "0.01", "0.125", 128000},
	{"gpt-5.6-sol", "4", "20", "0.4", "5", 128000},
	{"gpt-5.6-terra", "2", "12", "0.2", "2.5", 128000},
	{"gpt-5.6-luna", "0.2", "1.2", "0.02", "0.25", 128000},
	{"gpt-5.5", "5", "30", "0.5", "", 128000},
	{"gpt-5.5-pro", "30", "180", "", "", 128000},
	{"gpt-5.4", "2.5", "15", "0.25", "", 128000},
	{"gpt-5.4-mini", "0.75", "4.5", "0.075", "", 128000},
	{"gpt-5.4-nano", "0.2", "1.25", "0.02", "", 128000},
	{"gpt-5.3-codex", "1.75", "14", "0.175", "", 128000},
	{"gpt-5.2", "1.75", "14", "0.175", "", 128000},
	{"gpt-5.1", "1.25", "10", "0.125", "", 128000},
	{"gpt-5", "1.25", "10", "0.125", "", 128000},
	{"gpt-5-mini", "0.25", "2", "0.025", "", 128000},
	{"gpt-5-nano", "0.05", "0.4", "0.005", "", 128000},
	{"gpt-5-pro", "15", "120", "", "", 128000},
	{"gpt-4.1", "2", "8", "0.5", "", 32768},
	{"gpt-4.1-mini", "0.4", "1.6", "0.1", "", 32768},
	{"gpt-4.1-nano", "0.1", "0.4", "0.025", "", 32768},
	{"gpt-4o", "2.5", "10", "1.25", "", 16384},
	{"gpt-4o-mini", "0.15", "0.6", "0.075", "", 16384},
	{"gpt-4-turbo", "10", "30", "", "", 4096},
	{"gpt-4", "30", "60", "", "", 8192},
	{"gpt-3.5-turbo", "0.5", "1.5", "", "", 0},
	{"gpt-3.5-turbo-instruct", "1.5", "2", "", "", 0},
	{"o1", "15", "60", "7.5", "", 100000},
	{"o3", "2", "8", "0.5", "", 100000},
	{"o3-pro", "20", "80", "", "", 100000},
	{"o3-mini", "1.1", "4.4", "0.55", "", 100000},
	{"o4-mini", "1.1", "4.4", "0.275", "", 100000},
	{"text-embedding-3-small", "0.02", "0", "", "", 0},
	{"text-embedding-3-large", "0.13", "0", "", "", 0},
	{"text-embedding-ada-002", "0.1", "0", "", "", 0},
	{"omni-moderation-latest", "0", "0", "", "", 0},
	{"gpt-4o-transcribe", "2.5", "10", "", "", 0},
	{"gpt-4o-mini-transcribe", "1.25", "5", "", "", 0},
	{"gpt-4o-mini-tts", "0.6", "12", "", "", 0},
	{"gpt-realtime-2", "4", "24", "0.4", "", 0},
	{"gpt-realtime", "4", "16", "0.4", "", 0},
	{"gpt-realtime-mini", "0.6", "2.4", "0.06", "", 0},
	{"gpt-audio", "2.5", "10", "", "", 0},
	{"gpt-audio-mini", "0.6", "2.4", "", "", 0},
	{"gpt-image-2", "5", "30", "1.25", "", 0},
	{"gpt-image-1.5", "5", "10", "1.25", "", 0},
	{"gpt-image-1-mini", "2", "8", "0.2", "", 0},
	{"gpt-image-1", "5", "40", "1.25", "", 0},
	{"gpt-image-2.6-sunburst", "5", "30", "1.25", "", 0},
	{"gpt-image-2.6-flare", "5", "30", "1.25", "", 0},
	{"gpt-image-2.5-sunburst", "5", "30", "1.25", "", 0},
	{"gpt-image-2.5-flare", "5", "30", "1.25", "", 0},
}

func TestEmbeddedFollowsOpenAIList(t *testing.T) {
	for _, f := range openAIFacts {
		for _, provider := range []string{"openai", "azure"} {
			m, ok := price.Embedded().Lookup(provider, f.model, november)
			if !ok {
				t.Errorf("%s %s: no row", provider, f.model)
				continue
			}
			if f.cacheRead == "" {
				f.cacheRead = f.input // billed as ordinary input
			}
			if f.cacheWrite == "" {
				f.cacheWrite = f.input
			}
			for _, c := range []struct {
				class gateway.Class
				usd   string
			}{
				{gateway.Input, f.input}, {gateway.Output, f.output},
				{gateway.CacheRead, f.cacheRead}, {gateway.CacheWrite, f.cacheWrite},
			} {
				want, err := gateway.ParseUSD(c.usd)
				if err != nil {
					t.Fatal(err)
				}
				if got := m.Rates[c.class]; got != (price.Rate{Nano: int64(want), Known: true}) {
					t.Errorf("%s %s: %s is %+v, want %d", provider, f.model, c.class, got, want)
				}
			}
			if f.maxOutput != 0 && m.MaxOutput != f.maxOutput {
				t.Errorf("%s %s: at most %d tokens out, want %d", provider, f.model, m.MaxOutput, f.maxOutput)
			}
		}
	}
}
