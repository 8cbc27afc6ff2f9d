package provider

import (
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/internal/gateway"
)

// compatible is a vendor that speaks OpenAI's API. Where such vendors differ from
// each other they differ in these fields.
type compatible struct {
	name string
	base string // empty: a setting must have a url
	// own says that people run the server themselves: the url of a setting names
	// a host, and "/v1" is added to it unless it is there.
	own  bool
	rows []Endpoint
	dialect
}

// dialect is how a vendor departs from OpenAI's API.
type dialect struct {
	// foreign: the tokenizers are not OpenAI's.
	foreign bool
	// usageUnasked: streams tell their usage without stream_options, which the
	// vendor refuses or does not know.
	usageUnasked bool
	caps         capRule
	// completionCap is the output cap of legacy completions that set none; 0 if
	// it is the model's own.
	completionCap int64
	// reasoningApart lists the beginnings of the names of models whose reasoning
	// is not counted among the completion tokens of a chat; "" stands for all.
	reasoningApart []string
	// totalHasMore: what the total has beyond prompt and completion was
	// reasoning, which is counted nowhere else.
	totalHasMore bool
	// shown: thinking is text of the answer, unless the request has a say in it.
	shown bool
	// charge is the member of usage that tells in dollars what the vendor charged.
	charge string
	// toolCaps: max_tool_calls of the responses API is obeyed.
	toolCaps bool
	// loose are members of a request which bring in costs that nothing bounds,
	// others those of them that name models which may answer instead, and fed those
	// that bring in input which the body does not show.
	loose, others, fed []string
}

// capRule says which member of a chat request caps its output.
type capRule uint8

const (
	newerFirst capRule = iota // max_completion_tokens, or max_tokens where only that is sent
	olderFirst                // both are known; max_tokens is written where the caller has neither
	olderOnly                 // only max_tokens is known to be obeyed
)

func (v compatible) Name() string { return v.name }

func (v compatible) Endpoints() []Endpoint { return v.rows }

func (v compatible) showsThinking() bool { return v.shown }

// BaseURL implements Vendor. A setting's url replaces the vendor's own and, as in
// the SDKs, includes the version: "https://api.openai.com/v1".
func (v compatible) BaseURL(s *gateway.Setting) string {
	u := strings.TrimRight(s.Params["url"], "/")
	switch {
	case u == "":
		return v.base
	case v.own:
		return strings.TrimSuffix(u, "/v1") + "/v1"
	}
	return u
}

// Authorize implements Vendor. Servers of one's own may need no key.
func (v compatible) Authorize(h http.Header, c Credential) {
	if c.APIKey != "" {
		h.Set("Authorization", "Bearer "+c.APIKey)
	}
}

// Parse implements Vendor.
func (v compatible) Parse(e *Endpoint, contentType string, body []byte) (*Call, error) {
	c := &Call{Endpoint: e, Body: body}
	c.Bound.Copies = 1
	if e.Form {
		return c, parseForm(c, contentType)
	}
	if len(body) == 0 {
		if e.Metering == Free || e.Method != http.MethodPost {
			return c, nil
		}
		return nil, invalid("invalid_json", "", "The body is empty; a JSON object is needed.")
	}
	m, err := members(body, wanted)
	if err != nil {
		return nil, err
	}
	if c.Model, err = text(m, "model"); err != nil {
		return nil, err
	}
	// The user names who is limited; a wrong type must not make it disappear.
	if c.User, err = text(m, "user"); err != nil {
		return nil, err
	}
	if c.User == "" { // what "user" is called since 2025; a prompt_cache_key names nobody
		if c.User, err = text(m, "safety_identifier"); err != nil {
			return nil, err
		}
	}
	if err := typed(m); err != nil {
		return nil, err
	}
	c.Stream = m["stream"].Bool()
	bound(c, m, &v.dialect)
	if c.Stream && (e.Metering == Chat || e.Metering == Completion) && !v.usageUnasked {
		return c, wantUsage(c, m["stream_options"])
	}
	return c, nil
}

// loosen takes in what the vendor may do beside answering with the model that
// the call names.
func (d *dialect) loosen(c *Call, m map[string]gjson.Result) {
	for _, name := range d.loose {
		if v := m[name]; v.Exists() && v.Type != gjson.Null {
			c.Bound.Unbounded = true
		}
	}
	for _, name := range d.fed {
		c.Bound.Opaque = c.Bound.Opaque || given(m[name])
	}
	for _, name := range d.others {
		for _, v := range m[name].Array() {
			c.Fallbacks = append(c.Fallbacks, v.String())
		}
	}
}

// rows are the endpoints under a prefix on the proxy and another upstream.
func rows(prefix, upstream string, table []Endpoint) []Endpoint {
	list := make([]Endpoint, len(table))
	for i, e := range table {
		list[i], list[i].Pattern, list[i].Upstream = e, prefix+e.Pattern, upstream+e.Pattern
	}
	return list
}
