package admin

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"tollgate/internal/gateway"
)

// customBody is a custom provider as a caller sends it. A nil member was not sent,
// or was null. Names are in snake case here only.
type customBody struct {
	ID        ignored `json:"id"`
	CreatedAt ignored `json:"created_at"`
	UpdatedAt ignored `json:"updated_at"`

	Provider     string             `json:"provider"` // create only
	Routes       []*routeConfigWire `json:"route_configs"`
	AuthParam    *string            `json:"authentication_param"`
	RemovedPaths []string           `json:"removed_paths"` // change only
}

// customAnswer is a custom provider as callers see it, in the peer's order.
type customAnswer struct {
	ID        string            `json:"id"`
	CreatedAt int64             `json:"created_at"` // unix seconds
	UpdatedAt int64             `json:"updated_at"`
	Provider  string            `json:"provider"`
	Routes    []routeConfigWire `json:"route_configs"`
	AuthParam string            `json:"authentication_param"`
}

// routeConfigWire is one endpoint of a custom provider, in the peer's order.
type routeConfigWire struct {
	Path             string `json:"path"`
	TargetURL        string `json:"target_url"`
	Stream           string `json:"stream_location"`
	Model            string `json:"model_location"`
	Prompt           string `json:"request_prompt_location"`
	Completion       string `json:"response_completion_location"`
	StreamEnd        string `json:"stream_end_word"`
	StreamCompletion string `json:"stream_response_completion_location"`
	StreamMaxEmpty   int64  `json:"stream_max_empty_messages"`
}

func showCustom(p *gateway.CustomProvider) customAnswer {
	answer := customAnswer{
		ID: p.ID, CreatedAt: p.CreatedAt.Unix(), UpdatedAt: p.UpdatedAt.Unix(),
		Provider: p.Provider, Routes: make([]routeConfigWire, len(p.Routes)), AuthParam: p.AuthParam,
	}
	for i, c := range p.Routes {
		answer.Routes[i] = routeConfigWire{
			Path: c.Path, TargetURL: c.TargetURL, Model: c.Model, Prompt: c.Prompt, Completion: c.Completion,
			Stream: c.Stream, StreamEnd: c.StreamEnd, StreamCompletion: c.StreamCompletion, StreamMaxEmpty: c.StreamMaxEmpty,
		}
	}
	return answer
}

func (w *routeConfigWire) config() gateway.RouteConfig {
	return gateway.RouteConfig{
		Path: w.Path, TargetURL: w.TargetURL, Model: w.Model, Prompt: w.Prompt, Completion: w.Completion,
		Stream: w.Stream, StreamEnd: w.StreamEnd, StreamCompletion: w.StreamCompletion, StreamMaxEmpty: w.StreamMaxEmpty,
	}
}

// merge puts what is not empty over a config of the same path.
func (w *routeConfigWire) merge(c *gateway.RouteConfig) {
	for _, member := range []struct{ to, from *string }{
		{&c.TargetURL, &w.TargetURL}, {&c.Model, &w.Model}, {&c.Prompt, &w.Prompt}, {&c.Completion, &w.Completion},
		{&c.Stream, &w.Stream}, {&c.StreamEnd, &w.StreamEnd}, {&c.StreamCompletion, &w.StreamCompletion},
	} {
		if *member.from != "" {
			*member.to = *member.from
		}
	}
	if w.StreamMaxEmpty != 0 {
		c.StreamMaxEmpty = w.StreamMaxEmpty
	}
}

// lacks names the members of a config that are empty and must not be, those for
// streams first.
func (w *routeConfigWire) lacks() (names []string) {
	for _, m := range []struct {
		name, value string
		needed      bool
	}{
		{"stream_end_word", w.StreamEnd, w.Stream != ""},
		{"stream_response_completion_location", w.StreamCompletion, w.Stream != ""},
		{"path", w.Path, true},
		{"target_url", w.TargetURL, true},
		{"model_location", w.Model, true},
		{"request_prompt_location", w.Prompt, true},
		{"response_completion_location", w.Completion, true},
	} {
		if m.needed && m.value == "" {
			names = append(names, m.name)
		}
	}
	return names
}

// checkName refuses names that a path or a native provider stands in the way of.
func (a *api) checkName(name string) error {
	lower := strings.ToLower(name)
	switch _, native := a.providers[lower]; {
	case lower == "openai" || lower == "anthropic":
		return invalid("provider cannot be named openai or anthropic")
	case native:
		return invalid("provider cannot be named %s", lower)
	case strings.ContainsFunc(name, unicode.IsSpace):
		return invalid("provider cannot have white space")
	case strings.ContainsFunc(name, badInName) || name == "." || name == "..":
		return invalid("provider can not have control characters or any of / ? # %% \\ : *")
	case tooLong(name) || len(name) > maxText:
		return invalid("provider is longer than %d characters", maxText)
	}
	return nil
}

func badInName(r rune) bool { return unicode.IsControl(r) || strings.ContainsRune(`/?#%\:*`, r) }

// checkShape refuses what is wrong with a config whatever else there is.
func (b *customBody) checkShape() error {
	seen := make(map[string]bool)
	for i, c := range b.Routes {
		switch {
		case c == nil:
			return invalid("route_configs.[%d] can not be null", i)
		case strings.ContainsFunc(c.Path, unicode.IsSpace) || strings.ContainsFunc(c.Path, unicode.IsControl):
			return invalid("route_configs.[%d].path cannot have white space", i)
		case c.Path != "" && !strings.HasPrefix(c.Path, "/"):
			return invalid("route_configs.[%d].path has to begin with a slash", i)
		case seen[c.Path]:
			return invalid("route_configs.[%d].path is there twice: %s", i, clip(c.Path))
		}
		seen[c.Path] = true
	}
	if b.AuthParam != nil && strings.ContainsFunc(*b.AuthParam, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return invalid("authentication_param cannot have white space")
	}
	if b.AuthParam != nil && tooLong(*b.AuthParam) {
		return invalid("authentication_param is longer than %d characters", maxText)
	}
	return nil
}

// checkCreate finds what is wrong with a new provider, in the peer's order.
func (b *customBody) checkCreate(a *api) error {
	if err := a.checkName(b.Provider); err != nil {
		return err
	}
	if err := b.checkShape(); err != nil {
		return err
	}
	var f faults
	f.add("provider", b.Provider == "")
	f.add("route_configs", len(b.Routes) == 0)
	for i, c := range b.Routes {
		f.addConfig(i, c)
	}
	if err := f.empty(); err != nil {
		return err
	}
	return a.checkTargets(b.Routes)
}

func (f *faults) addConfig(i int, c *routeConfigWire) {
	for _, name := range c.lacks() {
		f.add(fmt.Sprintf("route_configs.[%d].%s", i, name), true)
	}
}

func (f faults) empty() error {
	if len(f) == 0 {
		return nil
	}
	if len(f) > maxFaults {
		f = append(f[:maxFaults:maxFaults], "…")
	}
	return invalid("empty fields in provider: %s", strings.Join(f, ","))
}

func (a *api) checkTargets(configs []*routeConfigWire) error {
	for i, c := range configs {
		if c.TargetURL == "" {
			continue
		}
		if err := checkTarget(c.TargetURL, a.allowPrivate); err != nil {
			return invalid("route_configs.[%d].target_url %v", i, err)
		}
	}
	return nil
}

// mergeInto applies a PATCH: configs are told by their path, keep their order, and
// new ones come last. It may run several times.
func (b *customBody) mergeInto(p *gateway.CustomProvider) error {
	var configs []gateway.RouteConfig
	for _, c := range p.Routes {
		if !slices.Contains(b.RemovedPaths, c.Path) {
			configs = append(configs, c)
		}
	}
	p.Routes = configs
	var f faults
	for i, w := range b.Routes {
		if c := p.Route(w.Path); c != nil {
			w.merge(c)
			if c.Stream != "" && (c.StreamEnd == "" || c.StreamCompletion == "") {
				merged := routeConfigWire{Stream: c.Stream, StreamEnd: c.StreamEnd, StreamCompletion: c.StreamCompletion,
					Path: "-", TargetURL: "-", Model: "-", Prompt: "-", Completion: "-"}
				f.addConfig(i, &merged)
			}
			continue
		}
		f.addConfig(i, w)
		p.Routes = append(p.Routes, w.config())
	}
	if err := f.empty(); err != nil {
		return err
	}
	if len(p.Routes) == 0 {
		return invalid("route_configs can not be left empty: delete the provider instead")
	}
	if b.AuthParam != nil {
		p.AuthParam = strings.ToLower(*b.AuthParam)
	}
	return nil
}
