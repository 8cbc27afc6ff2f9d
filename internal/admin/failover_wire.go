package admin

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"tollgate/internal/gateway"
)

// routeBody is a route as a caller sends it. A nil member was not sent, or null.
type routeBody struct {
	ID        ignored `json:"id"`
	CreatedAt ignored `json:"createdAt"`
	UpdatedAt ignored `json:"updatedAt"`

	Name          *string     `json:"name"`
	Path          *string     `json:"path"` // create only
	KeyIDs        []string    `json:"keyIds"`
	Steps         []*stepWire `json:"steps"`
	RetryStrategy *string     `json:"retryStrategy"`
	RequestFormat *string     `json:"requestFormat"`
	Cache         *cacheWire  `json:"cacheConfig"`
}

type cacheWire struct {
	Enabled bool   `json:"enabled"`
	TTL     string `json:"ttl"`
}

// stepWire is one step, in the peer's order.
type stepWire struct {
	Retries       int                        `json:"retries"`
	RetryInterval string                     `json:"retryInterval"`
	Provider      string                     `json:"provider"`
	RequestParams map[string]json.RawMessage `json:"requestParams"`
	Params        map[string]string          `json:"params"`
	Model         string                     `json:"model"`
	Timeout       string                     `json:"timeout"`
}

// routeAnswer is a route as callers see it, in the peer's order.
type routeAnswer struct {
	ID            string     `json:"id"`
	RetryStrategy string     `json:"retryStrategy"`
	RequestFormat string     `json:"requestFormat"`
	CreatedAt     int64      `json:"createdAt"` // unix seconds
	UpdatedAt     int64      `json:"updatedAt"`
	Name          string     `json:"name"`
	Path          string     `json:"path"`
	KeyIDs        []string   `json:"keyIds"`
	Steps         []stepWire `json:"steps"`
	Cache         cacheWire  `json:"cacheConfig"`
}

func showRoute(r *gateway.Route) routeAnswer {
	answer := routeAnswer{
		ID: r.ID, RetryStrategy: r.RetryStrategy, RequestFormat: r.RequestFormat,
		CreatedAt: r.CreatedAt.Unix(), UpdatedAt: r.UpdatedAt.Unix(), Name: r.Name, Path: r.Path,
		KeyIDs: orEmpty(r.KeyIDs), Steps: make([]stepWire, len(r.Steps)), Cache: cacheWire{r.CacheEnabled, r.CacheTTL},
	}
	for i, s := range r.Steps {
		w := stepWire{Retries: s.Retries, RetryInterval: s.RetryInterval, Provider: s.Provider,
			Params: s.Params, Model: s.Model, Timeout: s.Timeout}
		if len(s.RequestParams) > 0 {
			_ = json.Unmarshal(s.RequestParams, &w.RequestParams) // it was made by step
		}
		answer.Steps[i] = w
	}
	return answer
}

func (w *stepWire) step() (gateway.RouteStep, error) {
	s := gateway.RouteStep{Provider: w.Provider, Model: w.Model, Params: w.Params,
		Retries: w.Retries, RetryInterval: w.RetryInterval, Timeout: w.Timeout}
	if s.Timeout == "" {
		s.Timeout = "5m"
	}
	if w.RequestParams == nil {
		return s, nil
	}
	var err error
	s.RequestParams, err = json.Marshal(w.RequestParams)
	return s, err
}

// apply writes what was sent into the route, for create and change alike.
func (b *routeBody) apply(r *gateway.Route) error {
	set(&r.Name, b.Name)
	set(&r.Path, b.Path)
	set(&r.RetryStrategy, b.RetryStrategy)
	set(&r.RequestFormat, b.RequestFormat)
	if b.KeyIDs != nil {
		r.KeyIDs = distinct(b.KeyIDs)
	}
	if b.Cache != nil {
		r.CacheEnabled, r.CacheTTL = b.Cache.Enabled, b.Cache.TTL
		if r.CacheEnabled && r.CacheTTL == "" {
			r.CacheTTL = "168h"
		}
	}
	if b.Steps == nil {
		return nil
	}
	r.Steps = make([]gateway.RouteStep, len(b.Steps))
	for i, w := range b.Steps {
		if w == nil {
			return invalid("steps.[%d] can not be null", i)
		}
		var err error
		if r.Steps[i], err = w.step(); err != nil {
			return invalid("steps.[%d].requestParams is not an object", i)
		}
	}
	return nil
}

const (
	maxSteps    = 20
	maxRetries  = 100
	maxCacheTTL = 30 * 24 * time.Hour
)

// routeProviders are those that a step can name: what the caller sends is in
// OpenAI's form.
var routeProviders = []string{"openai", "azure"}

// checkRoute finds what is wrong with a route as a whole, in the peer's order.
// cache says whether a cacheConfig was ever sent.
func checkRoute(r *gateway.Route, cache bool) error {
	var f faults
	f.add("name", r.Name == "" || tooLong(r.Name))
	f.add("path", badRoutePath(r.Path))
	f.add("keyIds", len(r.KeyIDs) == 0)
	f.add("steps", len(r.Steps) == 0 || len(r.Steps) > maxSteps)
	f.add("retryStrategy", !slices.Contains([]string{"", "exponential", "constant"}, r.RetryStrategy))
	f.add("requestFormat", tooLong(r.RequestFormat))
	for i := range r.Steps {
		s := &r.Steps[i]
		if s.Provider != "" && !slices.Contains(routeProviders, s.Provider) {
			return invalid("steps.[%d].provider is not supported. Only azure and openai are supported", i)
		}
		f.addStep(i, s)
	}
	f.add("cacheConfig", !cache)
	f.add("cacheConfig.ttl", badCacheTTL(r.CacheTTL))
	if len(f) > 0 {
		return invalid("invalid fields in route: %s", strings.Join(f[:min(len(f), maxFaults)], ","))
	}
	return checkRouteModels(r)
}

// badRoutePath tells paths that no call could come by.
func badRoutePath(path string) bool {
	return !strings.HasPrefix(path, "/") || len(path) > maxText || strings.ContainsAny(path, `?#%\`) ||
		strings.ContainsFunc(path, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) ||
		slices.ContainsFunc(strings.Split(path, "/"), func(s string) bool { return s == "." || s == ".." }) ||
		strings.Contains(path, "//")
}

func badCacheTTL(ttl string) bool {
	if ttl == "" {
		return false
	}
	d, err := time.ParseDuration(ttl)
	return err != nil || d <= 0 || d > maxCacheTTL
}

func (f *faults) addStep(i int, s *gateway.RouteStep) {
	at := func(name string) string { return fmt.Sprintf("steps.[%d].%s", i, name) }
	interval, err := time.ParseDuration(s.RetryInterval)
	timeout, timeoutErr := time.ParseDuration(s.Timeout)
	f.add(at("provider"), s.Provider == "")
	f.add(at("retries"), s.Retries < 0 || s.Retries > maxRetries)
	f.add(at("retryInterval"), s.RetryInterval != "" && (err != nil || interval < 0 || !strings.HasSuffix(s.RetryInterval, "s")))
	f.add(at("params.apiVersion"), s.Provider == "azure" && checkLabel(s.Params["apiVersion"]) != nil)
	f.add(at("params.deploymentId"), s.Provider == "azure" && badPathPart(s.Params["deploymentId"]))
	f.add(at("model"), s.Model == "" || tooLong(s.Model))
	f.add(at("timeout"), timeoutErr != nil || timeout <= 0)
	var params map[string]any
	if len(s.RequestParams) > 0 {
		_ = json.Unmarshal(s.RequestParams, &params) // it was marshalled from an object
	}
	for _, p := range requestParams {
		v, sent := params[p.name]
		f.add(at("requestParams."+p.name), sent && !p.fits(v))
	}
}

// badPathPart tells texts that can not be one segment of a path.
func badPathPart(s string) bool {
	return s == "" || tooLong(s) || strings.ContainsAny(s, `/?#%\`) || s == "." || s == ".." ||
		strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}

// requestParams are the members that are checked, in the peer's order.
var requestParams = []struct {
	name string
	fits func(any) bool
}{
	{"frequency_penalty", isA[float64]}, {"max_tokens", isA[float64]}, {"temperature", isA[float64]},
	{"top_p", isA[float64]}, {"n", isA[float64]}, {"stop", isStops}, {"presence_penalty", isA[float64]},
	{"seed", isA[float64]}, {"logit_bias", isBias}, {"logprobs", isA[bool]}, {"top_logprobs", isA[float64]},
}

func isA[T any](v any) bool { _, ok := v.(T); return ok }

func isStops(v any) bool {
	list, ok := v.([]any)
	return ok && len(list) > 0 && !slices.ContainsFunc(list, func(v any) bool { return !isA[string](v) })
}

func isBias(v any) bool {
	m, ok := v.(map[string]any)
	for _, n := range m {
		ok = ok && isA[float64](n)
	}
	return ok && len(m) > 0
}

const embeddingsFormat = "openai_embeddings"

// checkRouteModels refuses steps that no one request could go through.
func checkRouteModels(r *gateway.Route) error {
	embeds := embedding(r.Steps[0].Model)
	for i := range r.Steps {
		if embedding(r.Steps[i].Model) != embeds {
			return invalid("steps.[%d].model: a route can not have both chat and embedding models", i)
		}
	}
	if r.RequestFormat != "" && (r.RequestFormat == embeddingsFormat) != embeds {
		return invalid("requestFormat does not fit the models of the steps")
	}
	return nil
}

// embedding tells embedding models by their names.
func embedding(model string) bool {
	return model == "ada" || strings.Contains(model, "embedding") || strings.Contains(model, "-ada-")
}
