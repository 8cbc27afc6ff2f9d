package provider

import "strings"

// offers are the endpoints that vendors with OpenAI's API may have.
var offers = map[string]Endpoint{
	"chat":           {Method: "POST", Pattern: "/chat/completions", Metering: Chat},
	"completions":    {Method: "POST", Pattern: "/completions", Metering: Completion},
	"fim":            {Method: "POST", Pattern: "/fim/completions", Metering: Completion},
	"responses":      {Method: "POST", Pattern: "/responses", Metering: Responses},
	"embeddings":     {Method: "POST", Pattern: "/embeddings", Metering: Embeddings},
	"transcriptions": {Method: "POST", Pattern: "/audio/transcriptions", Metering: Transcription, Form: true},
	"translations":   {Method: "POST", Pattern: "/audio/translations", Metering: Transcription, Form: true},
	"models":         {Method: "GET", Pattern: "/models"},
	"model":          {Method: "GET", Pattern: "/models/:model"},
}

// offering is v with the endpoints of those names, at its usual place.
func (v compatible) offering(names string) Vendor {
	var table []Endpoint
	for name := range strings.FieldsSeq(names) {
		table = append(table, offers[name])
	}
	v.foreign = true
	v.rows = rows("/api/providers/"+v.name+"/v1", "", table)
	return v
}

// compatibles are the vendors that speak OpenAI's API at least for chat.
var compatibles = []Vendor{
	// Its usage grows from chunk to chunk where the server or the caller wants it
	// on every one: the meter keeps the highest.
	compatible{name: "vllm", own: true, dialect: dialect{caps: olderFirst, completionCap: completionDefault, shown: true}}.
		offering("chat completions embeddings models"),
	compatible{name: "ollama", own: true, dialect: dialect{caps: olderOnly, shown: true}}.
		offering("chat completions embeddings models model"),
	compatible{name: "deepinfra", base: "https://api.deepinfra.com/v1/openai",
		dialect: dialect{caps: olderOnly, reasoningApart: []string{"google/"}, charge: "estimated_cost"}}.
		offering("chat completions embeddings models"),
	// It refuses members that it does not know, stream_options and
	// max_completion_tokens among them.
	compatible{name: "mistral", base: "https://api.mistral.ai/v1",
		dialect: dialect{caps: olderOnly, usageUnasked: true, shown: true}}.
		offering("chat fim embeddings models model"),
	compatible{name: "groq", base: "https://api.groq.com/openai/v1",
		dialect: dialect{usageUnasked: true}}.
		offering("chat transcriptions translations models model"),
	compatible{name: "xai", base: "https://api.x.ai/v1",
		dialect: dialect{reasoningApart: []string{""}, loose: []string{"search_parameters"}, fed: []string{"search_parameters"}}}.
		offering("chat completions responses models model"),
	compatible{name: "deepseek", base: "https://api.deepseek.com/v1",
		dialect: dialect{caps: olderOnly, shown: true}}.
		offering("chat models"),
	compatible{name: "together", base: "https://api.together.xyz/v1",
		dialect: dialect{caps: olderOnly, shown: true}}.
		offering("chat completions embeddings models"),
	compatible{name: "fireworks", base: "https://api.fireworks.ai/inference/v1",
		dialect: dialect{caps: olderFirst, shown: true}}.
		offering("chat completions embeddings models"),
	// Other models may answer than the one that is asked for (a preset has a
	// model of its own), and plugins are billed by the call.
	compatible{name: "openrouter", base: "https://openrouter.ai/api/v1",
		dialect: dialect{caps: olderFirst, usageUnasked: true, charge: "cost",
			loose: []string{"models", "preset", "plugins"}, others: []string{"models", "preset"}, fed: []string{"preset", "plugins"}}}.
		offering("chat completions embeddings models"),
	compatible{name: "gemini", base: "https://generativelanguage.googleapis.com/v1beta/openai",
		dialect: dialect{caps: olderFirst, totalHasMore: true}}.
		offering("chat embeddings models model"),
}
