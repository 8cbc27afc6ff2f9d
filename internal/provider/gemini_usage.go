package provider

import (
	"slices"

	"github.com/tidwall/gjson"

	"tollgate/internal/gateway"
)

// Usage implements Vendor. Google counts what was cached inside of the prompt, and
// thoughts and the results of tools beside everything else; a count of zero is left
// out. Every event of a stream may have the counts so far: if it broke off, the
// input is known and the output is not.
func (gemini) Usage(c *Call, m *Members) (gateway.Usage, bool) {
	var u gateway.Usage
	usage := m.Get("usageMetadata")
	prompt, known := either(usage, "promptTokenCount")
	total, summed := either(usage, "totalTokenCount")
	if !known && !summed {
		return u, false
	}
	tools, thoughts := count(usage.Get("toolUsePromptTokenCount")), count(usage.Get("thoughtsTokenCount"))
	out, _ := either(usage, "candidatesTokenCount", "responseTokenCount")
	out += max(total-prompt-tools-thoughts-out, 0)
	geminiPrompt(&u, prompt, usage)
	geminiOutput(&u, out, usage)
	u.Counts[gateway.Input] += tools
	u.Counts[gateway.Output] += thoughts
	u.Reasoning = thoughts
	if c.Bound.Extra.Counts[gateway.WebSearches] > 0 {
		u.Counts[gateway.WebSearches] = groundings(c, m)
	}
	return u, !c.Stream || finished(m)
}

// geminiPrompt takes the prompt apart. Its details contain what was cached.
func geminiPrompt(u *gateway.Usage, prompt int64, usage gjson.Result) {
	n := &u.Counts
	cached := min(count(usage.Get("cachedContentTokenCount")), prompt)
	all, old := usage.Get("promptTokensDetails"), usage.Get("cacheTokensDetails")
	n[gateway.CachedAudio] = min(ofKind(old, "AUDIO"), cached)
	n[gateway.CachedImage] = min(ofKind(old, seen...), cached-n[gateway.CachedAudio])
	n[gateway.CacheRead] = cached - n[gateway.CachedAudio] - n[gateway.CachedImage]
	rest := prompt - cached
	n[gateway.InputAudio] = min(max(ofKind(all, "AUDIO")-n[gateway.CachedAudio], 0), rest)
	rest -= n[gateway.InputAudio]
	oldFilm := min(ofKind(old, "VIDEO"), n[gateway.CachedImage])
	n[gateway.InputVideo] = min(max(ofKind(all, "VIDEO")-oldFilm, 0), rest)
	rest -= n[gateway.InputVideo]
	n[gateway.InputImage] = min(max(ofKind(all, "IMAGE", "DOCUMENT")-(n[gateway.CachedImage]-oldFilm), 0), rest)
	n[gateway.Input] = rest - n[gateway.InputImage]
}

func geminiOutput(u *gateway.Usage, out int64, usage gjson.Result) {
	n := &u.Counts
	details := first(usage, "candidatesTokensDetails", "responseTokensDetails")
	n[gateway.OutputAudio] = min(ofKind(details, "AUDIO"), out)
	n[gateway.OutputImage] = min(ofKind(details, seen...), out-n[gateway.OutputAudio])
	n[gateway.Output] = out - n[gateway.OutputAudio] - n[gateway.OutputImage]
}

// seen are the modalities that are billed as pictures where films are not told from
// them, as in a cache and in what comes out. Documents have no price of their own.
var seen = []string{"IMAGE", "VIDEO", "DOCUMENT"}

// ofKind is the number of tokens of some modalities.
func ofKind(details gjson.Result, kinds ...string) (n int64) {
	details.ForEach(func(_, d gjson.Result) bool {
		if slices.Contains(kinds, d.Get("modality").String()) {
			n += count(d.Get("tokenCount"))
		}
		return true
	})
	return n
}

// finished reports whether a stream came to its end: the last event with candidates
// says why it stopped, or the prompt was refused.
func finished(m *Members) bool {
	done := m.Get("promptFeedback").Get("blockReason").Exists() || m.Get(finishSeen).Exists()
	m.Get("candidates").ForEach(func(_, c gjson.Result) bool {
		done = done || c.Get("finishReason").String() != ""
		return true
	})
	return done
}

// groundings is how many searches the answer shows; as many as there could be where
// it is too long to be looked at.
func groundings(c *Call, m *Members) (n int64) {
	candidates := m.Get("candidates")
	if !candidates.Exists() {
		return c.Bound.Extra.Counts[gateway.WebSearches]
	}
	candidates.ForEach(func(_, e gjson.Result) bool {
		if g := e.Get("groundingMetadata"); g.IsObject() {
			n += max(int64(len(g.Get("webSearchQueries").Array())), 1)
		}
		return true
	})
	return n
}
