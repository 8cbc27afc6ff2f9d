package provider

import (
	"regexp"

	"github.com/tidwall/gjson"

	"tollgate/internal/gateway"
)

// Share is what another model than the one that answered consumed for a call.
type Share struct {
	Model string
	Usage gateway.Usage
}

// Shares are what other models consumed, by what the answer reports: advisors and
// models that fell back at Anthropic, those that draw at OpenAI. Vendor.Usage does
// not contain them.
func Shares(c *Call, m *Members) []Share {
	var list []Share
	add := func(model string, u gateway.Usage) {
		if !u.IsZero() {
			list = append(list, Share{model, u})
		}
	}
	report{end: m.Get("usage"), start: m.Get("message.usage")}.get("iterations").ForEach(func(_, i gjson.Result) bool {
		if model := otherModel(c, m, i); model != "" {
			var u gateway.Usage
			report{end: i}.tokens(&u)
			add(model, u)
		}
		return true
	})
	for _, drawn := range []struct {
		model string
		usage gjson.Result
		as    Metering
	}{
		{drawer(c), toolUsage(m).Get("image_gen"), Image},
		{m.Get("svg_usage").Get("model").String(), m.Get("svg_usage"), Chat},
	} {
		var u gateway.Usage
		if drawn.model != "" && tokens(&u, &Call{Endpoint: &Endpoint{Metering: drawn.as}}, drawn.usage) {
			add(drawn.model, u)
		}
	}
	return list
}

// Unclassed names what an answer reports that no class stands for, and so no price.
func Unclassed(c *Call, m *Members) []string {
	var list []string
	note := func(used bool, name string) {
		if used {
			list = append(list, name)
		}
	}
	usage := object(m, "usage", "response.usage")
	note(drawer(c) == "" && consumed(toolUsage(m).Get("image_gen")), "image_gen")
	note(!m.Get("svg_usage").Get("model").Exists() && consumed(m.Get("svg_usage")), "svg")
	note(count(m.Get(codeCalls)) > 0, "code_interpreter")
	note(count(usage.Get("server_tool_use.code_execution_requests")) > 0, "code_execution")
	note(count(usage.Get("num_sources_used")) > 0, "sources")
	note(asksMaps(c) && (c.Stream || grounded(m)), "maps")
	return list
}

// consumed reports whether a usage has any tokens.
func consumed(usage gjson.Result) bool {
	return count(usage.Get("total_tokens"))+count(usage.Get("input_tokens"))+count(usage.Get("output_tokens")) > 0
}

// toolUsage is what OpenAI reports of its own tools.
func toolUsage(m *Members) gjson.Result { return object(m, "tool_usage", "response.tool_usage") }

// drawer is the model of the tool that draws, if the call names one.
func drawer(c *Call) (model string) {
	if c.Endpoint.Metering != Responses {
		return ""
	}
	gjson.GetBytes(c.Body, "tools").ForEach(func(_, t gjson.Result) bool {
		if t.Get("type").String() == "image_generation" {
			model = t.Get("model").String()
		}
		return true
	})
	return model
}

// asksMaps reports whether a call to Gemini may ground its answer in maps.
func asksMaps(c *Call) (asks bool) {
	if _, ok := c.Endpoint.Vendor.(gemini); !ok {
		return false
	}
	gjson.GetBytes(c.Body, "tools").ForEach(func(_, t gjson.Result) bool {
		t.ForEach(func(k, v gjson.Result) bool {
			asks = asks || camel(k.String()) == "googleMaps" && given(v)
			return true
		})
		return true
	})
	return asks
}

// grounded reports whether an answer may rest on what a tool of Google's has found.
func grounded(m *Members) bool {
	candidates := m.Get("candidates")
	found := !candidates.Exists()
	candidates.ForEach(func(_, e gjson.Result) bool {
		found = found || e.Get("groundingMetadata").IsObject()
		return true
	})
	return found
}

// SameModel reports whether two names are those of one model, whatever version of it
// and whoever serves it.
func SameModel(a, b string) bool { return plainModel(a) == plainModel(b) }

var version = regexp.MustCompile(`(-latest|-\d{8}|-\d{4}-\d\d-\d\d)?(-v\d+(:\d+)?)?$`)

func plainModel(name string) string { return version.ReplaceAllString(bareModel(name), "") }
