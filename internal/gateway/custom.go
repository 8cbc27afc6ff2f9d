package gateway

import "time"

// CustomProvider is a provider that an operator defined: any HTTP API that takes a
// prompt and answers with a completion.
type CustomProvider struct {
	ID        string    `json:"id"`       // uuid
	Provider  string    `json:"provider"` // name in paths and settings; lower case
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`

	// AuthParam names the setting parameter that goes to the provider as its
	// bearer token; empty if it needs none.
	AuthParam string        `json:"authParam,omitempty"`
	Routes    []RouteConfig `json:"routes"`
}

// Route is the route for the rest of a path, nil if there is none.
func (p *CustomProvider) Route(path string) *RouteConfig {
	for i := range p.Routes {
		if p.Routes[i].Path == path {
			return &p.Routes[i]
		}
	}
	return nil
}

// RouteConfig is one endpoint of a custom provider. Locations are gjson paths.
type RouteConfig struct {
	Path      string `json:"path"`      // after the provider's name; begins with a slash
	TargetURL string `json:"targetUrl"` // whole upstream URL

	Model      string `json:"model"`      // where the request names the model
	Prompt     string `json:"prompt"`     // where the request has the prompt
	Completion string `json:"completion"` // where the answer has the completion

	Stream           string `json:"stream,omitempty"`           // where the request has the stream flag
	StreamEnd        string `json:"streamEnd,omitempty"`        // data of the event that ends a stream
	StreamCompletion string `json:"streamCompletion,omitempty"` // where an event has its piece of the completion
	StreamMaxEmpty   int64  `json:"streamMaxEmpty,omitempty"`   // kept for the peer's clients; it acts on nothing
}
