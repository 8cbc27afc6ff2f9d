package gateway

import (
	"encoding/json"
	"time"
)

// Policy says what may be in the texts of a call.
type Policy struct {
	ID        string    `json:"id"` // uuid
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
	Tags      []string  `json:"tags,omitzero"`

	Entities map[string]string `json:"entities,omitzero"` // PII entity to action
	Regex    []PolicyRule      `json:"regex,omitzero"`
	Custom   []PolicyRule      `json:"custom,omitzero"` // definitions in natural language
}

// PolicyRule is what to look for and what to do about it.
type PolicyRule struct {
	Definition string `json:"definition"`
	Action     string `json:"action"`
}

// The actions of policy rules.
const (
	ActionBlock  = "block"
	ActionWarn   = "allow_but_warn"
	ActionRedact = "allow_but_redact"
	ActionAllow  = "allow"
)

// Route is a path of its own that tries several providers one after the other.
type Route struct {
	ID            string      `json:"id"` // uuid
	Name          string      `json:"name"`
	Path          string      `json:"path"` // after /api/routes; begins with a slash
	CreatedAt     time.Time   `json:"createdAt"`
	UpdatedAt     time.Time   `json:"updatedAt"`
	KeyIDs        []string    `json:"keyIds"`
	RetryStrategy string      `json:"retryStrategy,omitempty"` // "", "exponential" or "constant"
	RequestFormat string      `json:"requestFormat,omitempty"`
	Steps         []RouteStep `json:"steps"`
	CacheEnabled  bool        `json:"cacheEnabled,omitempty"`
	CacheTTL      string      `json:"cacheTtl,omitempty"` // a Go duration
}

// RouteStep is one provider and model of a route.
type RouteStep struct {
	Provider      string            `json:"provider"`
	Model         string            `json:"model"`
	Params        map[string]string `json:"params,omitzero"`        // Azure: apiVersion, deploymentId
	RequestParams json.RawMessage   `json:"requestParams,omitzero"` // an object, written over the caller's members
	Retries       int               `json:"retries,omitempty"`
	RetryInterval string            `json:"retryInterval,omitempty"` // a Go duration
	Timeout       string            `json:"timeout,omitempty"`       // a Go duration, of each try
}
