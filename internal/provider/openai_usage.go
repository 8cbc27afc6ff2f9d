package provider

import (
	"math"
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/internal/gateway"
)

// Usage implements Vendor. OpenAI counts cached, cache-written, audio and image
// tokens inside of the totals; here they are taken apart into disjoint classes.
func (v compatible) Usage(c *Call, m *Members) (gateway.Usage, bool) {
	usage := object(m, "usage", "response.usage", "x_groq.usage")
	var u gateway.Usage
	known := true
	switch {
	case usage.Get("type").String() == "duration":
		u.Counts[gateway.AudioMillis], known = millis(usage.Get("seconds"))
	case usage.IsObject():
		known = tokens(&u, c, usage)
		v.correct(&u, c, usage)
		if audio, ok := millis(usage.Get("prompt_audio_seconds")); ok { // Mistral's, beside the tokens
			u.Counts[gateway.AudioMillis] = audio
		}
	case c.Endpoint.Metering == Transcription && m.Get("duration").Exists():
		u.Counts[gateway.AudioMillis], known = millis(m.Get("duration"))
	case c.Bound.Exact, c.Endpoint.Metering == Image:
		u = c.Bound.Extra
		known = !u.IsZero()
	default:
		known = false
	}
	searches(&u, c, m)
	return u, known
}

// object is the first of the members that is one.
func object(m *Members, names ...string) gjson.Result {
	for _, name := range names {
		if v := m.Get(name); v.IsObject() {
			return v
		}
	}
	return gjson.Result{}
}

// correct applies what the vendor counts otherwise than OpenAI does.
func (d *dialect) correct(u *gateway.Usage, c *Call, usage gjson.Result) {
	n := &u.Counts
	// What tokens has found to be more than the completion is added already.
	if c.Endpoint.Metering == Chat && u.Reasoning <= count(usage.Get("completion_tokens")) && d.apart(c.Model) {
		n[gateway.Output] += u.Reasoning
	}
	if more := count(usage.Get("total_tokens")) - u.PromptTokens() - u.CompletionTokens(); d.totalHasMore && more > 0 {
		n[gateway.Output] += more
		u.Reasoning += more
	}
	if d.charge != "" {
		if charge, err := gateway.ParseUSD(usage.Get(d.charge).Raw); err == nil {
			u.Charge = max(charge, 0)
		}
	}
}

// apart reports whether a model's reasoning is counted beside its completion.
func (d *dialect) apart(model string) bool {
	for _, prefix := range d.reasoningApart {
		if strings.HasPrefix(model, prefix) {
			return true
		}
	}
	return false
}

// searches adds the calls of server tools. The responses API reports web searches,
// or shows them, as it shows file searches, in its output; chat completions do
// not, there the one that was asked for counts.
func searches(u *gateway.Usage, c *Call, m *Members) {
	n := &u.Counts
	switch web := toolUsage(m).Get("web_search.num_requests"); {
	case web.Type == gjson.Number:
		n[gateway.WebSearches] = count(web)
	case c.Endpoint.Metering == Chat:
		n[gateway.WebSearches] = c.Bound.Extra.Counts[gateway.WebSearches]
	default:
		n[gateway.WebSearches] = count(m.Get(webSearchCalls))
	}
	if files := m.Get(fileSearchCalls); files.Exists() {
		n[gateway.FileSearches] = count(files)
	}
}

// tokens reads a usage object of either naming: prompt and completion tokens, or
// input and output tokens.
func tokens(u *gateway.Usage, c *Call, usage gjson.Result) bool {
	in, inKnown := either(usage, "prompt_tokens", "input_tokens")
	out, outKnown := either(usage, "completion_tokens", "output_tokens")
	if !inKnown || !outKnown && c.Endpoint.Metering != Embeddings {
		return false
	}
	details := first(usage, "prompt_tokens_details", "input_tokens_details", "input_token_details")
	long := count(details.Get("cache_write_tokens_details.ttl_12h_tokens"))
	n := &u.Counts
	n[gateway.CacheRead] = max(count(details.Get("cached_tokens")), count(usage.Get("prompt_cache_hit_tokens")))
	n[gateway.CacheWriteLong] = long
	n[gateway.CacheWrite] = max(count(details.Get("cache_write_tokens"))-long, 0)
	n[gateway.InputAudio] = count(details.Get("audio_tokens"))
	n[gateway.InputImage] = count(details.Get("image_tokens"))
	// What is cached may be audio or pictures too; then the classes overlap and the
	// dearer one keeps its count. Only models that draw charge more for pictures than
	// for text.
	order := []gateway.Class{gateway.InputAudio, gateway.CacheWriteLong, gateway.CacheWrite, gateway.CacheRead, gateway.InputImage}
	if c.Endpoint.Metering == Image {
		order = []gateway.Class{gateway.InputAudio, gateway.InputImage, gateway.CacheWriteLong, gateway.CacheWrite, gateway.CacheRead}
	}
	rest := in
	for _, class := range order {
		n[class] = min(n[class], rest)
		rest -= n[class]
	}
	n[gateway.Input] = rest

	details = first(usage, "completion_tokens_details", "output_tokens_details", "output_token_details")
	u.Reasoning = count(details.Get("reasoning_tokens"))
	if u.Reasoning > out { // so it was counted beside the completion
		out += u.Reasoning
	}
	n[gateway.OutputAudio] = min(count(details.Get("audio_tokens")), out)
	n[gateway.OutputImage] = min(count(details.Get("image_tokens")), out-n[gateway.OutputAudio])
	n[gateway.Output] = out - n[gateway.OutputAudio] - n[gateway.OutputImage]
	if !details.Exists() {
		// Without details the output is what the endpoint is for.
		switch c.Endpoint.Metering {
		case Image:
			n[gateway.OutputImage], n[gateway.Output] = out, 0
		case Speech:
			n[gateway.OutputAudio], n[gateway.Output] = out, 0
		}
	}
	return true
}

// either is a count under one of its names, and whether it is there and makes sense.
func either(v gjson.Result, names ...string) (int64, bool) {
	r := first(v, names...)
	return count(r), r.Type == gjson.Number && r.Num >= 0
}

func first(v gjson.Result, names ...string) gjson.Result {
	for _, name := range names {
		if r := v.Get(name); r.Exists() && r.Type != gjson.Null {
			return r
		}
	}
	return gjson.Result{}
}

// count is a number of things an upstream claims: never negative, never so large
// that sums overflow.
func count(v gjson.Result) int64 {
	if v.Type != gjson.Number || !(v.Num > 0) {
		return 0
	}
	return int64(math.Min(v.Num, 1<<40))
}

// millis is a number of seconds in milliseconds, rounded up, and whether it is one.
func millis(v gjson.Result) (int64, bool) {
	if v.Type == gjson.String { // some send "61.9"
		v = gjson.Parse(v.String())
	}
	if v.Type != gjson.Number || !(v.Num >= 0) {
		return 0, false
	}
	return int64(math.Ceil(math.Min(v.Num, 1<<32) * 1000)), true
}
