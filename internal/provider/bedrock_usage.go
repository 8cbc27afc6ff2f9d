package provider

import (
	"net/http"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"tollgate/internal/gateway"
)

// Members of Bedrock's answers beside those that all answers are searched for.
const (
	// invocationMetrics is in the last chunk of a stream. The headers that say the
	// same of a plain answer are put under its name.
	invocationMetrics = "amazon-bedrock-invocationMetrics"
	converseTier      = "serviceTier.type"
)

// Usage implements Vendor. Bedrock counts cached tokens beside the input, in every
// form of its own.
func (v bedrock) Usage(c *Call, m *Members) (gateway.Usage, bool) {
	if isOpenAI(c.Endpoint) {
		return v.openai.Usage(c, m)
	}
	u, known := Anthropic.Usage(c, m)
	u.Percent = 0 // regions have rows of their own
	if known {
		return u, true
	}
	usage, metrics := m.Get("usage"), m.Get(invocationMetrics)
	var other gateway.Usage
	switch {
	case usage.Get("inputTokens").Type == gjson.Number:
		converseUsage(&other, usage, metrics)
		return other, true
	case usage.Get("prompt_tokens").Type == gjson.Number && tokens(&other, c, usage):
		return other, true
	case metrics.Get("inputTokenCount").Type == gjson.Number:
		if metricUsage(&other, metrics) || strings.Contains(c.Model, "embed") {
			return other, true
		}
	}
	return u, false
}

// converseUsage reads the usage of a conversation, or of a model whose own form is the
// same but for its cached tokens (Nova). The metrics say the same: what one of the two
// leaves out the other counts.
func converseUsage(u *gateway.Usage, usage, metrics gjson.Result) {
	metricUsage(u, metrics)
	n := &u.Counts
	for _, f := range []struct {
		class gateway.Class
		names []string
	}{
		{gateway.Input, []string{"inputTokens"}},
		{gateway.Output, []string{"outputTokens"}},
		{gateway.CacheRead, []string{"cacheReadInputTokens", "cacheReadInputTokenCount"}},
		{gateway.CacheWrite, []string{"cacheWriteInputTokens", "cacheWriteInputTokenCount"}},
	} {
		for _, name := range f.names {
			n[f.class] = max(n[f.class], count(usage.Get(name)))
		}
	}
	usage.Get("cacheDetails").ForEach(func(_, d gjson.Result) bool {
		if d.Get("ttl").String() == "1h" {
			long := min(count(d.Get("inputTokens")), n[gateway.CacheWrite])
			n[gateway.CacheWriteLong] += long
			n[gateway.CacheWrite] -= long
		}
		return true
	})
}

// metricUsage reads what the last chunk of a stream, or the headers of an answer,
// say, and whether that is all.
func metricUsage(u *gateway.Usage, metrics gjson.Result) bool {
	n := &u.Counts
	n[gateway.Input] = count(metrics.Get("inputTokenCount"))
	n[gateway.Output] = count(metrics.Get("outputTokenCount"))
	n[gateway.CacheRead] = count(metrics.Get("cacheReadInputTokenCount"))
	n[gateway.CacheWrite] = count(metrics.Get("cacheWriteInputTokenCount"))
	return metrics.Get("outputTokenCount").Type == gjson.Number
}

// headerMetrics are the headers of a plain answer that say what it consumed, by
// their name among the metrics of a stream.
var headerMetrics = []struct{ header, metric string }{
	{"X-Amzn-Bedrock-Input-Token-Count", "inputTokenCount"},
	{"X-Amzn-Bedrock-Output-Token-Count", "outputTokenCount"},
	{"X-Amzn-Bedrock-Cache-Read-Input-Token-Count", "cacheReadInputTokenCount"},
	{"X-Amzn-Bedrock-Cache-Write-Input-Token-Count", "cacheWriteInputTokenCount"},
}

// metricsOf are the metrics that headers tell, as JSON; "" if there are none.
func metricsOf(h http.Header) string {
	metrics := ""
	for _, m := range headerMetrics {
		v := h.Get(m.header)
		if gjson.Parse(v).Type == gjson.Number && gjson.Valid(v) {
			metrics, _ = sjson.SetRaw(metrics, m.metric, v) // a plain name and a number
		}
	}
	return metrics
}
