package price_test

import (
	"math"
	"slices"
	"testing"

	"tollgate/internal/gateway"
	"tollgate/internal/price"
)

// use makes a usage of class, count pairs.
func use(pairs ...int64) gateway.Usage {
	var u gateway.Usage
	for i := 0; i < len(pairs); i += 2 {
		u.Counts[pairs[i]] += pairs[i+1]
	}
	return u
}

const (
	in         = int64(gateway.Input)
	out        = int64(gateway.Output)
	cacheRead  = int64(gateway.CacheRead)
	cacheWrite = int64(gateway.CacheWrite)
	cacheLong  = int64(gateway.CacheWriteLong)
)

func TestCost(t *testing.T) {
	for _, c := range []struct {
		name, model string
		usage       gateway.Usage
		tier        string
		nano        gateway.NanoUSD
	}{
		// 10 × $0.50 + 20 × $1.50 a million = 5,000 + 30,000 nano-dollars.
		{"chat", "gpt-3.5-turbo", use(in, 10, out, 20), "", 35_000},
		{"nothing", "gpt-3.5-turbo", use(), "", 0},
		// 200 × 0.15 + 800 × 0.075 + 50 × 0.60 = 30 + 60 + 30 micro-dollars.
		{"cached input", "gpt-4o-mini", use(in, 200, cacheRead, 800, out, 50), "default", 120_000},
		// Before GPT-5.6 a cache write is ordinary input.
		{"cache write without a price", "gpt-4o-mini", use(cacheWrite, 1000), "", 150_000},
		{"long cache write where writing is free", "gpt-4o-mini", use(cacheLong, 1000), "", 150_000},
		{"cache write", "gpt-6-sol", use(in, 1000, cacheWrite, 1000, cacheRead, 1000, out, 100), "", 5_700_000},
		// 272,000 × $10 + 1,000 × $50 a million.
		{"at the context tier", "gpt-6-astra", use(in, 272_000, out, 1000), "", 2_770_000_000},
		// 272,001 × $20 + 1,000 × $75 a million: the whole request.
		{"above the context tier", "gpt-6-astra", use(in, 272_001, out, 1000), "", 5_515_020_000},
		// 100,000 + 172,001 tokens in, cached ones count for the tier: × 20 and × 2.
		{"cached input counts for the tier", "gpt-6-astra", use(in, 100_000, cacheRead, 172_001), "", 2_344_002_000},
		{"flex", "gpt-6-astra", use(in, 1000, out, 100), "flex", 7_500_000},
		{"batch", "gpt-6-astra", use(in, 1000, out, 100), "batch", 7_500_000},
		{"priority", "gpt-6-astra", use(in, 1000, out, 100), "priority", 30_000_000},
		{"fast is priority", "gpt-6-astra", use(in, 1000, out, 100), "fast", 30_000_000},
		{"unknown tier costs the dearest", "gpt-6-astra", use(in, 1000, out, 100), "ultrafast", 30_000_000},
		{"on demand is standard", "gpt-6-astra", use(in, 1000, out, 100), "on_demand", 15_000_000},
		{"auto was served as standard", "gpt-6-astra", use(in, 1000, out, 100), "auto", 15_000_000},
		{"scale", "gpt-6-astra", use(in, 1000, out, 100), "scale", 15_000_000},
		// 1,000 × 5 + 100 × 30 = 8,000 micro-dollars, × 2.5.
		{"priority of gpt-5.5", "gpt-5.5", use(in, 1000, out, 100), "priority", 20_000_000},
		{"priority above the context tier", "gpt-5.5", use(in, 300_000, out, 100), "priority", 7_511_250_000},
		// 1,000 × 0.15 × 5/3 is exactly 250,000; one token of it 250.
		{"a fraction as multiplier", "gpt-4o-mini", use(in, 1000), "priority", 250_000},
		{"a tier the row does not have", "gpt-3.5-turbo", use(in, 10, out, 20), "flex", 35_000},
		{"embeddings", "text-embedding-3-small", use(in, 40), "", 800},
		{"embeddings of 45 tokens", "text-embedding-3-small", use(in, 45), "", 900},
		// Half of 5 nano-dollars is 2.5; half of 10 is 5.
		{"a fraction rounds up", "gpt-5-nano", use(cacheRead, 1), "flex", 3},
		{"two halves do not", "gpt-5-nano", use(cacheRead, 2), "flex", 5},
		{"speech", "tts-1", use(int64(gateway.Characters), 43), "", 645_000},
		{"speech, high definition", "tts-1-hd", use(int64(gateway.Characters), 43), "", 1_290_000},
		// 61.9 s at $0.006 a minute.
		{"transcription", "whisper-1", use(int64(gateway.AudioMillis), 61_900), "", 6_190_000},
		{"transcription by the hour", "gpt-transcribe", use(int64(gateway.AudioMillis), 3_600_000), "", 270_000_000},
		{"audio tokens", "gpt-audio", use(in, 100, int64(gateway.InputAudio), 200, out, 10, int64(gateway.OutputAudio), 20), "", 8_030_000},
		{"image tokens", "gpt-image-2", use(in, 50, int64(gateway.InputImage), 100, int64(gateway.OutputImage), 1000), "", 31_050_000},
		{"image input of a chat model", "gpt-4o", use(int64(gateway.InputImage), 1000), "", 2_500_000},
		{"the dearest picture", "dall-e-3", use(int64(gateway.Images), 2), "", 240_000_000},
		// Searches are fees: the multiplier is for tokens only.
		{"web searches", "gpt-6-luna", use(in, 1000, int64(gateway.WebSearches), 3), "priority", 30_200_000},
		{"file searches", "gpt-4o", use(int64(gateway.FileSearches), 4), "", 10_000_000},
		{"moderation is free", "omni-moderation-latest", use(in, 5000), "", 0},
		{"negative counts are none", "gpt-4o", use(in, -5, out, 1), "", 10_000},
		{"too much saturates", "gpt-4o", use(in, math.MaxInt64, cacheRead, math.MaxInt64, out, math.MaxInt64), "priority", math.MaxInt64},
	} {
		got, unpriced := model(t, "openai", c.model).Cost(c.usage, c.tier)
		if got != c.nano || unpriced != nil {
			t.Errorf("%s: %s costs %d (unpriced %v), want %d", c.name, c.model, got, unpriced, c.nano)
		}
	}
}

func TestCostOfOthers(t *testing.T) {
	for _, c := range []struct {
		name, provider, model string
		usage                 gateway.Usage
		tier                  string
		nano                  gateway.NanoUSD
	}{
		{"long cache write", "anthropic", "claude-opus-5-5", use(cacheLong, 1000), "", 8_000_000},
		{"long cache write on Bedrock", "bedrock", "us.anthropic.claude-haiku-4-5-20251001-v1:0", use(cacheLong, 1000), "", 2_200_000},
		{"long cache write of a long request on Bedrock", "bedrock", "us.anthropic.claude-haiku-5-5", use(cacheLong, 100_001), "", 110_001_100},
		{"fast", "anthropic", "claude-opus-5-5", use(in, 1000), "fast", 8_000_000},
		{"a priority commitment", "anthropic", "claude-opus-5-5", use(in, 1000), "priority", 4_000_000},
		{"five times above 100,000", "anthropic", "claude-haiku-5-5", use(in, 100_001), "", 50_000_500},
		{"audio in", "google", "gemini-2.5-flash", use(int64(gateway.InputAudio), 1000), "", 1_000_000},
		// $0.04 an hour is no whole number of nano-dollars for a million milliseconds;
		// the rate is rounded up, so 600,000 ms cost 1.3 nano-dollars over $0.00666….
		{"an hour that is no round number", "groq", "whisper-large-v3-turbo", use(int64(gateway.AudioMillis), 600_000), "", 6_666_668},
	} {
		got, unpriced := model(t, c.provider, c.model).Cost(c.usage, c.tier)
		if got != c.nano || unpriced != nil {
			t.Errorf("%s: %d (unpriced %v), want %d", c.name, got, unpriced, c.nano)
		}
	}
}

func TestCostNamesUnpricedClasses(t *testing.T) {
	u := use(in, 10, int64(gateway.InputAudio), 5, int64(gateway.Images), 1, out, 0)
	got, unpriced := model(t, "openai", "gpt-4o").Cost(u, "")
	if want := []gateway.Class{gateway.InputAudio, gateway.Images}; got != 25_000 || !slices.Equal(unpriced, want) {
		t.Errorf("%d, unpriced %v; want 25000, %v", got, unpriced, want)
	}
	// A long cache write costs at least what a short one does; what more is not known.
	got, unpriced = model(t, "openai", "gpt-6-sol").Cost(use(cacheLong, 1000), "")
	if want := []gateway.Class{gateway.CacheWriteLong}; got != 2_500_000 || !slices.Equal(unpriced, want) {
		t.Errorf("long cache write: %d, unpriced %v", got, unpriced)
	}
	// A zero Model knows no price, and says so.
	got, unpriced = new(price.Model).Cost(u, "priority")
	if got != 0 || len(unpriced) != 3 {
		t.Errorf("zero model: %d, unpriced %v", got, unpriced)
	}
}

// A tier without a multiplier has no known price, but one that is never dearer.
func TestKnowsTier(t *testing.T) {
	for _, c := range []struct {
		provider, model, tier string
		known                 bool
		atLeast               string
	}{
		{"openai", "gpt-4o", "", true, ""},
		{"openai", "gpt-4o", "auto", true, ""},
		{"openai", "gpt-4o", "batch", true, ""},
		{"openai", "gpt-4o", "flex", true, ""},
		{"openai", "gpt-6-sol", "flex", true, ""},
		{"openai", "gpt-4o", "priority", true, "priority"},
		{"openai", "gpt-4o", "fast", true, "fast"},
		{"openai", "gpt-6-astra", "ultrafast", false, "ultrafast"},
		{"openai", "o3-pro", "priority", false, "priority"},
		{"anthropic", "claude-opus-5-5", "fast", true, "fast"},
		{"anthropic", "claude-opus-5-5", "priority", true, ""},
		{"anthropic", "claude-fable-5-2", "fast", false, "fast"},
		{"anthropic", "claude-opus-4-7", "fast", false, "fast"},
		{"mistral", "mistral-large-latest", "priority", false, "priority"},
		{"groq", "openai/gpt-oss-120b", "performance", false, "performance"},
		{"groq", "openai/gpt-oss-120b", "on_demand", true, ""},
		{"groq", "openai/gpt-oss-120b", "flex", true, ""},
		{"bedrock", "amazon.nova-pro-v1:0", "priority", false, "priority"},
		{"bedrock", "amazon.nova-pro-v1:0", "reserved", false, "reserved"},
		{"google", "gemini-2.5-pro", "priority", true, "priority"},
	} {
		m := model(t, c.provider, c.model)
		if known, atLeast := m.KnowsTier(c.tier), m.AtLeast(c.tier); known != c.known || atLeast != c.atLeast {
			t.Errorf("%s %q: known %v, at least %q", c.model, c.tier, known, atLeast)
		}
		own, _ := m.WithCostMap(&gateway.CostMap{Prompt: map[string]int64{"m": 1}, Completion: map[string]int64{"m": 1}}, "m", false)
		if !own.KnowsTier(c.tier) || own.AtLeast(c.tier) != "" {
			t.Errorf("own prices of %s know no %q", c.model, c.tier)
		}
	}
}

func TestForImage(t *testing.T) {
	for _, c := range []struct {
		model, size, quality string
		nano                 gateway.NanoUSD
	}{
		{"dall-e-3", "1024x1024", "hd", 80_000_000},
		{"dall-e-3", "1024x1024", "standard", 40_000_000},
		{"dall-e-3", "1792x1024", "hd", 120_000_000},
		{"dall-e-3", "1024x1792", "", 80_000_000},     // default quality
		{"dall-e-3", "", "", 40_000_000},              // default of both
		{"dall-e-3", "", "hd", 80_000_000},            // default size
		{"dall-e-3", "1024x1024", "auto", 80_000_000}, // dearest of the size
		{"dall-e-3", "auto", "standard", 80_000_000},  // dearest of the quality
		{"dall-e-3", "640x480", "odd", 120_000_000},   // dearest of all
		{"dall-e-2", "256x256", "", 16_000_000},
		{"dall-e-2", "512x512", "standard", 18_000_000},
		{"dall-e-2", "", "", 20_000_000},
	} {
		m := model(t, "openai", c.model)
		got, unpriced := m.ForImage(c.size, c.quality).Cost(use(int64(gateway.Images), 1), "")
		if got != c.nano || unpriced != nil {
			t.Errorf("%s %q %q: %d, want %d", c.model, c.size, c.quality, got, c.nano)
		}
		if want := int64(c.nano) * 1_000_000; m.ImagePrice(c.size, c.quality).Nano != want {
			t.Errorf("%s %q %q: rate %+v, want %d", c.model, c.size, c.quality, m.ImagePrice(c.size, c.quality), want)
		}
	}
	chat := model(t, "openai", "gpt-4o")
	if chat.ForImage("1024x1024", "hd") != chat || chat.ImagePrice("", "").Known {
		t.Error("a model that is not billed by the picture has got a price for one")
	}
}

func TestWithCostMap(t *testing.T) {
	own := &gateway.CostMap{
		Prompt:     map[string]int64{"gpt-6-astra": 2_000_000_000, "llama": 1_000_000_000, "half": 1, "free": 0, "bad": -1},
		Completion: map[string]int64{"gpt-6-astra": 4_000_000_000, "llama": 3_000_000_000, "free": 0, "bad": 1},
		Embeddings: map[string]int64{"gpt-6-astra": 7_000_000_000},
	}
	astra := model(t, "openai", "gpt-6-astra")
	m, ok := astra.WithCostMap(own, "gpt-6-astra", false)
	if !ok {
		t.Fatal("not taken")
	}
	if m.MaxOutput != 128_000 || m.Context != 1_050_000 {
		t.Errorf("limits %d, %d", m.MaxOutput, m.Context)
	}
	// All kinds of input at $2, output at $4: no cliff, no multiplier.
	u := use(in, 300_000, cacheRead, 1000, cacheWrite, 1000, out, 1000)
	if got, _ := m.Cost(u, "priority"); got != 608_000_000 {
		t.Errorf("cost %d, want 608000000", got)
	}
	if got, _ := m.Cost(use(int64(gateway.WebSearches), 1), ""); got != 10_000_000 {
		t.Errorf("a search costs %d", got)
	}
	if got := m.Worst(price.Bound{Input: 300_000, Output: 1000}); got != 604_000_000 {
		t.Errorf("worst %d, want 604000000", got)
	}
	if m, ok = astra.WithCostMap(own, "gpt-6-astra", true); !ok {
		t.Fatal("embeddings not taken")
	}
	if got, unpriced := m.Cost(use(in, 1000), ""); got != 7_000_000 || unpriced != nil {
		t.Errorf("embeddings cost %d, unpriced %v", got, unpriced)
	}

	var unknown *price.Model
	m, ok = unknown.WithCostMap(own, "llama", false)
	if !ok {
		t.Fatal("a model unknown to the table is not taken")
	}
	if got, unpriced := m.Cost(use(in, 10, out, 10, int64(gateway.InputAudio), 1), ""); got != 41_000 || unpriced != nil {
		t.Errorf("cost %d, unpriced %v", got, unpriced)
	}
	if _, ok := unknown.WithCostMap(own, "free", false); !ok {
		t.Error("a price of zero is a price")
	}
	audio, _ := model(t, "openai", "gpt-audio").WithCostMap(
		&gateway.CostMap{Prompt: map[string]int64{"a": 1}, Completion: map[string]int64{"a": 2}}, "a", false)
	if r := audio.Rates[gateway.InputAudio]; r.Nano != 32_000_000_000 {
		t.Errorf("audio at %+v: the table's price is gone", r)
	}
	for _, name := range []string{"half", "bad", "gpt-4o", ""} {
		if _, ok := astra.WithCostMap(own, name, false); ok {
			t.Errorf("%q: taken", name)
		}
	}
	if _, ok := astra.WithCostMap(nil, "gpt-6-astra", false); ok {
		t.Error("a missing map is taken")
	}
	if _, ok := astra.WithCostMap(own, "llama", true); ok {
		t.Error("embeddings taken without a price")
	}
}
