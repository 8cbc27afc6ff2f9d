package provider

import (
	"cmp"

	"github.com/tidwall/gjson"

	"tollgate/internal/gateway"
)

// Usage implements Vendor. Anthropic's classes are disjoint as they come. A stream
// tells them twice: at its start with all of the input, and at its end, which
// wins for every count it has. If the end is missing, the input is known and the
// output is not.
func (v anthropic) Usage(c *Call, m *Members) (gateway.Usage, bool) {
	r := report{end: m.Get("usage"), start: m.Get("message.usage")}
	var u gateway.Usage
	if v := r.get("input_tokens"); v.Type != gjson.Number {
		return u, false
	}
	_, whole := either(r.end, "output_tokens")
	r.tokens(&u)
	u.Reasoning = min(count(r.get("output_tokens_details.thinking_tokens")), u.Counts[gateway.Output])
	u.Counts[gateway.WebSearches] = count(r.get("server_tool_use.web_search_requests"))
	if !whole {
		// Nobody tells how many there were before it broke off.
		u.Counts[gateway.WebSearches] = c.Bound.Extra.Counts[gateway.WebSearches]
	}
	switch r.get("inference_geo").String() {
	case "", "global", "not_available":
	default:
		u.Percent = regionPercent
	}
	var others gateway.Usage
	r.get("iterations").ForEach(func(_, i gjson.Result) bool {
		switch other := otherModel(c, m, i) != ""; {
		case other && !besideTotal(i):
			report{end: i}.tokens(&others)
		case !other && besideTotal(i):
			report{end: i}.tokens(&u)
		}
		return true
	})
	for class, n := range others.Counts { // in the total, and told by Shares
		u.Counts[class] = max(u.Counts[class]-n, 0)
	}
	u.Reasoning = min(u.Reasoning, u.Counts[gateway.Output])
	return u, whole
}

// besideTotal reports whether an iteration is in no total.
func besideTotal(i gjson.Result) bool {
	kind := i.Get("type").String()
	return kind == "compaction" || kind == "advisor_message"
}

// otherModel is the model of an iteration if that is not the one which answered.
func otherModel(c *Call, m *Members, i gjson.Result) string {
	model := i.Get("model").String()
	if model == "" || SameModel(model, cmp.Or(m.Get("model").String(), m.Get("message.model").String(), c.Model)) {
		return ""
	}
	return model
}

// report is a usage object, or the two of a stream.
type report struct{ start, end gjson.Result }

func (r report) get(path string) gjson.Result {
	if v := r.end.Get(path); given(v) {
		return v
	}
	return r.start.Get(path)
}

// tokens adds the token counts of the report.
func (r report) tokens(u *gateway.Usage) {
	short := count(r.get("cache_creation.ephemeral_5m_input_tokens"))
	long := count(r.get("cache_creation.ephemeral_1h_input_tokens"))
	// The end of a stream has the total, but not what it is made of; what came
	// on top is of the dearer kind, if there is any of it.
	if more := count(r.get("cache_creation_input_tokens")) - short - long; more > 0 && long > 0 {
		long += more
	} else if more > 0 {
		short += more
	}
	n := &u.Counts
	n[gateway.Input] += count(r.get("input_tokens"))
	n[gateway.CacheRead] += count(r.get("cache_read_input_tokens"))
	n[gateway.CacheWrite] += short
	n[gateway.CacheWriteLong] += long
	n[gateway.Output] += count(r.get("output_tokens"))
}
