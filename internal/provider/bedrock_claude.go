package provider

import (
	"net/http"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
)

// Bedrock's version of Anthropic's API, and the version of Anthropic's own that is
// the same and that its SDKs send without being asked.
const (
	claudeVersion    = "bedrock-2023-05-31"
	anthropicVersion = "2023-06-01"
)

// forClaude turns a call of Anthropic's API into the body that Bedrock wants: what
// its path and its headers say goes out of the body, and the other way round.
func (c *Call) forClaude(m map[string]gjson.Result, h http.Header) error {
	body := c.Body
	var err error
	for _, name := range []string{"model", "stream"} {
		if m[name].Exists() && err == nil {
			body, err = sjson.DeleteBytes(body, name)
		}
	}
	version := h.Get("Anthropic-Version")
	if version == anthropicVersion || version == "" {
		if version = claudeVersion; given(m["anthropic_version"]) {
			version = ""
		}
	}
	if version != "" && err == nil {
		body, err = sjson.SetBytes(body, "anthropic_version", version)
	}
	if betas := newBetas(m["anthropic_beta"], h); len(betas) > 0 && err == nil {
		body, err = sjson.SetBytes(body, "anthropic_beta", betas)
	}
	if err != nil {
		return invalid("invalid_json", "", "The body cannot be turned into what Bedrock takes.")
	}
	c.Body = body
	// For an answer that is JSON or, as it may be, frames; what callers ask for
	// are events, of which Bedrock has none.
	c.Header = http.Header{"Accept": {"application/json"}, "Anthropic-Version": nil, "Anthropic-Beta": nil}
	return nil
}

// newBetas is what anthropic_beta has to be, none if the headers ask for nothing
// that the body does not.
func newBetas(have gjson.Result, h http.Header) []string {
	var betas []string
	for _, v := range have.Array() {
		betas = append(betas, v.String())
	}
	known := len(betas)
	for _, line := range h.Values("Anthropic-Beta") {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.TrimSpace(name); name != "" && !slices.Contains(betas, name) {
				betas = append(betas, name)
			}
		}
	}
	if len(betas) == known {
		return nil
	}
	return betas
}
