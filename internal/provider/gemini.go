package provider

import (
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/internal/gateway"
)

// Gemini is Google's Gemini in its own API. The form of it that speaks OpenAI's is
// a vendor beside it, of the same name, so that one setting serves both.
var Gemini Vendor = gemini{}

type gemini struct{}

func (gemini) Name() string { return "gemini" }

// geminiPrefix is where the API stands on the proxy. SDKs add the version to their
// base URL themselves.
const geminiPrefix = "/api/providers/gemini"

// Endpoints implements Vendor. Not here on purpose: files, caches and batches,
// which cost by what the gateway cannot see, and the live API, which is no HTTP.
// Models are listed in v1beta only: in v1 the same paths are OpenAI's form.
func (gemini) Endpoints() []Endpoint {
	verbs := []Endpoint{
		{Method: "POST", Pattern: "/models/:model:generateContent", Metering: Chat},
		{Method: "POST", Pattern: "/models/:model:streamGenerateContent", Metering: Chat},
		{Method: "POST", Pattern: "/models/:model:embedContent", Metering: Embeddings},
		{Method: "POST", Pattern: "/models/:model:batchEmbedContents", Metering: Embeddings},
		{Method: "POST", Pattern: "/models/:model:countTokens"},
	}
	lists := []Endpoint{
		{Method: "GET", Pattern: "/models"},
		{Method: "GET", Pattern: "/models/:model"},
	}
	var all []Endpoint
	for _, group := range [][]Endpoint{
		rows(geminiPrefix+"/v1beta", "/v1beta", verbs),
		rows(geminiPrefix+"/v1beta", "/v1beta", lists),
		rows(geminiPrefix+"/v1", "/v1", verbs),
	} {
		for _, e := range group {
			e.Model, e.Dialect = ":model", gateway.GoogleDialect
			all = append(all, e)
		}
	}
	return all
}

// BaseURL implements Vendor. A setting's url is that of OpenAI's form or of this
// one, with or without the version, which the paths have.
func (gemini) BaseURL(s *gateway.Setting) string {
	u := strings.TrimRight(s.Params["url"], "/")
	if u == "" {
		return "https://generativelanguage.googleapis.com"
	}
	u = strings.TrimSuffix(u, "/openai")
	for _, version := range []string{"/v1beta", "/v1"} {
		u = strings.TrimSuffix(u, version)
	}
	return u
}

// Authorize implements Vendor.
func (gemini) Authorize(h http.Header, c Credential) {
	if c.APIKey != "" {
		h.Set("X-Goog-Api-Key", c.APIKey)
	}
}

// Parse implements Vendor.
func (gemini) Parse(e *Endpoint, _ string, body []byte) (*Call, error) {
	c := &Call{Endpoint: e, Body: body, OpenEnd: true,
		Watch: []string{"usageMetadata", "modelVersion", "candidates", "promptFeedback"}}
	c.Bound.Copies = 1
	if e.Method != http.MethodPost {
		return c, nil
	}
	if len(body) == 0 {
		return nil, invalid("invalid_json", "", "The body is empty; a JSON object is needed.")
	}
	if _, err := members(body, nil); err != nil {
		return nil, err
	}
	c.Stream = strings.HasSuffix(e.Pattern, ":streamGenerateContent")
	c.List = c.Stream
	c.Bound.Uncountable, c.Bound.MinOutput = true, 1
	switch e.Metering {
	case Chat:
		return c, boundGenerate(c)
	case Embeddings:
		return c, boundEmbed(c)
	}
	return c, nil
}

// pathBound is a Vendor whose bounds depend on the model that the path names.
type pathBound interface{ named(c *Call) }

// Named tells a call which model its path names: whatever the body says, that is
// the one that answers.
func (c *Call) Named(model string) {
	c.Model = model
	if v, ok := c.Endpoint.Vendor.(pathBound); ok {
		v.named(c)
	}
}

// named takes it into account that some models answer in pictures or sound without
// being asked to.
func (gemini) named(c *Call) {
	for _, kind := range []string{"image", "banana", "tts", "audio", "omni"} {
		if c.Endpoint.Metering == Chat && strings.Contains(c.Model, kind) {
			c.Bound.MediaOut = true
		}
	}
}

// fold reads the named members of an object, none if it is no object: Google's
// servers take a member under two names, maxOutputTokens and max_output_tokens. It
// reports false if one of them is there twice.
func fold(v gjson.Result, names ...string) (m map[string]gjson.Result, ok bool) {
	m, ok = make(map[string]gjson.Result, len(names)), true
	if !v.IsObject() {
		return m, true
	}
	v.ForEach(func(k, e gjson.Result) bool {
		spelled := camel(k.String())
		for _, name := range names {
			if spelled == name {
				_, twice := m[name]
				m[name], ok = e, ok && !twice
			}
		}
		return true
	})
	return m, ok
}

// camel is a name in the first of the two spellings.
func camel(name string) string {
	first, rest, _ := strings.Cut(name, "_")
	for part := range strings.SplitSeq(rest, "_") {
		if part != "" {
			first += strings.ToUpper(part[:1]) + part[1:]
		}
	}
	return first
}

// spelling is the name under which an object has a member, or would be given it.
func spelling(v gjson.Result, name string) string {
	found := name
	v.ForEach(func(k, _ gjson.Result) bool {
		if camel(k.String()) == name {
			found = k.String()
		}
		return true
	})
	return found
}

// googleTier is a service tier as the price table names it.
func googleTier(s string) string {
	s = strings.TrimPrefix(strings.ToLower(s), "service_tier_")
	if s == "unspecified" {
		return "standard"
	}
	return s
}

// geminiTexts gathers the texts of a request.
func geminiTexts(body gjson.Result, texts *[]string, extra *int64) {
	m, _ := fold(body, "contents", "content", "requests", "systemInstruction", "tools")
	for _, name := range []string{"contents", "content", "requests", "systemInstruction"} {
		collect(m[name], texts, extra, 0)
	}
	if given(m["tools"]) {
		*texts = append(*texts, m["tools"].Raw)
	}
}
