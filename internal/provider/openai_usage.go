package provider

import (
	"math"

	"github.com/tidwall/gjson"

	"tollgate/internal/gateway"
)

// Usage implements Vendor. OpenAI counts cached, cache-written, audio and image
// tokens inside of the totals; here they are taken apart into disjoint classes.
func (o openAI) Usage(c *Call, m *Members) (gateway.Usage, bool) {
	usage := m.Get("usage")
	if !usage.IsObject() {
		usage = m.Get("response.usage")
	}
	var u gateway.Usage
	known := true
	switch {
	case usage.Get("type").String() == "duration":
		u.Counts[gateway.AudioMillis], known = millis(usage.Get("seconds"))
	case usage.IsObject():
		known = tokens(&u, c, usage)
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

// searches adds the calls of server tools. The responses API reports web searches,
// or shows them, as it shows file searches, in its output; chat completions do
// not, there the one that was asked for counts.
func searches(u *gateway.Usage, c *Call, m *Members) {
	report := m.Get("tool_usage")
	if !report.IsObject() {
		report = m.Get("response.tool_usage")
	}
	n := &u.Counts
	switch web := report.Get("web_search.num_requests"); {
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
	n[gateway.CacheRead] = count(details.Get("cached_tokens"))
	n[gateway.CacheWriteLong] = long
	n[gateway.CacheWrite] = max(count(details.Get("cache_write_tokens"))-long, 0)
	n[gateway.InputAudio] = count(details.Get("audio_tokens"))
	n[gateway.InputImage] = count(details.Get("image_tokens"))
	// What is cached may be audio or pictures too; then the classes overlap and
	// the dearer one keeps its count.
	rest := in
	for _, class := range []gateway.Class{gateway.InputAudio, gateway.InputImage, gateway.CacheWriteLong, gateway.CacheWrite, gateway.CacheRead} {
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
