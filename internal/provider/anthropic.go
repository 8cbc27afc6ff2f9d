package provider

import (
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/internal/gateway"
)

// anthropicPrefix is where Anthropic's API stands on the proxy. SDKs add "/v1" to
// their base URL themselves.
const anthropicPrefix = "/api/providers/anthropic"

// Anthropic is api.anthropic.com.
var Anthropic Vendor = anthropic{name: "anthropic", base: "https://api.anthropic.com",
	rows: rows(anthropicPrefix, "", anthropicRows())}

// anthropic is a vendor that speaks Anthropic's API.
type anthropic struct {
	name, base string
	rows       []Endpoint
}

func (v anthropic) Name() string { return v.name }

func (v anthropic) Endpoints() []Endpoint { return v.rows }

// BaseURL implements Vendor. A setting's url is what SDKs call the base URL, to
// which they add "/v1"; one that has it already means the same.
func (v anthropic) BaseURL(s *gateway.Setting) string {
	if u := strings.TrimRight(s.Params["url"], "/"); u != "" {
		return strings.TrimSuffix(u, "/v1")
	}
	return v.base
}

// Authorize implements Vendor. The API takes a key in this header under all of its
// versions; which version is meant stays the caller's to say.
func (v anthropic) Authorize(h http.Header, c Credential) {
	if c.APIKey != "" {
		h.Set("X-Api-Key", c.APIKey)
	}
}

// anthropicRows are the endpoints of Anthropic's API. Not here on purpose: agents,
// skills and the organization's administration.
func anthropicRows() []Endpoint {
	table := []Endpoint{
		{Method: "POST", Pattern: "/v1/messages", Metering: Chat},
		{Method: "POST", Pattern: "/v1/messages/batches", Metering: Unbounded},
		{Method: "POST", Pattern: "/v1/complete", Metering: Completion},
		{Method: "POST", Pattern: "/v1/files", Form: true, File: true},
		{Method: "POST", Pattern: "/v1/messages/count_tokens"},
		{Method: "GET", Pattern: "/v1/messages/batches"},
		{Method: "GET", Pattern: "/v1/messages/batches/:batch_id"},
		{Method: "DELETE", Pattern: "/v1/messages/batches/:batch_id"},
		{Method: "GET", Pattern: "/v1/messages/batches/:batch_id/results"},
		{Method: "POST", Pattern: "/v1/messages/batches/:batch_id/cancel"},
		{Method: "GET", Pattern: "/v1/models"},
		{Method: "GET", Pattern: "/v1/models/:model"},
		{Method: "GET", Pattern: "/v1/files"},
		{Method: "GET", Pattern: "/v1/files/:file_id"},
		{Method: "DELETE", Pattern: "/v1/files/:file_id"},
		{Method: "GET", Pattern: "/v1/files/:file_id/content"},
	}
	for i := range table {
		table[i].Dialect = gateway.AnthropicDialect
	}
	return table
}

// anthropicWanted are the members of request bodies that the gateway reads.
var anthropicWanted = set("model", "stream", "metadata", "max_tokens", "max_tokens_to_sample",
	"messages", "system", "prompt", "tools", "mcp_servers", "thinking", "speed", "inference_geo",
	"output_config", "output_format", "context_management", "compaction", "container", "thread", "fallbacks")

// Parse implements Vendor.
func (v anthropic) Parse(e *Endpoint, contentType string, body []byte) (*Call, error) {
	c := &Call{Endpoint: e, Body: body}
	c.Bound.Copies = 1
	if e.Form {
		return c, parseForm(c, contentType)
	}
	if len(body) == 0 {
		if e.Method != http.MethodPost || strings.HasSuffix(e.Pattern, "/cancel") {
			return c, nil
		}
		return nil, invalid("invalid_json", "", "The body is empty; a JSON object is needed.")
	}
	m, err := members(body, anthropicWanted)
	if err != nil {
		return nil, err
	}
	if c.Model, err = text(m, "model"); err != nil {
		return nil, err
	}
	if c.User, err = userID(m["metadata"]); err != nil {
		return nil, err
	}
	if err := typed(m); err != nil {
		return nil, err
	}
	c.Stream = m["stream"].Bool()
	return c, boundAnthropic(c, m)
}

// userID is metadata.user_id. The user names who is limited: one that cannot be
// read, or is there twice, must not make it disappear.
func userID(metadata gjson.Result) (string, error) {
	m, ok := only(metadata, "user_id")
	if !ok {
		return "", invalid("invalid_json", "metadata", "The member \"metadata\" has \"user_id\" more than once.")
	}
	v := m["user_id"]
	if v.Exists() && v.Type != gjson.Null && v.Type != gjson.String {
		return "", invalid("invalid_type", "metadata.user_id", "The member \"metadata.user_id\" must be a string.")
	}
	return v.String(), nil
}

// only reads the named members of an object, none if it is no object. It reports
// false if one of them is there twice: readers differ in which one counts.
func only(v gjson.Result, names ...string) (m map[string]gjson.Result, ok bool) {
	m, ok = make(map[string]gjson.Result, len(names)), true
	if !v.IsObject() {
		return m, true
	}
	v.ForEach(func(k, e gjson.Result) bool {
		for _, name := range names {
			if k.String() == name {
				_, twice := m[name]
				m[name], ok = e, ok && !twice
			}
		}
		return true
	})
	return m, ok
}
