package proxy

import (
	"context"
	"errors"
	"strings"

	"tollgate/internal/gateway"
	"tollgate/internal/provider"
	"tollgate/internal/record"
)

var (
	errUnknownProvider = &gateway.Error{Kind: gateway.NotFound, Code: "unknown_provider",
		Message: "No custom provider has this name."}
	errUnknownRoute = &gateway.Error{Kind: gateway.NotFound, Code: "unknown_route",
		Message: "The custom provider has no route for this path. Routes are compared letter by letter."}
)

// customPath is what the path of a call to an operator's own provider says; zero
// for all other calls.
type customPath struct {
	provider string
	route    string // begins with a slash
}

// customProviders are the operators' own providers that an entry has settings for,
// by name.
type customProviders map[string]*gateway.CustomProvider

// read adds the provider of a name, if there is one.
func (c *customProviders) read(ctx context.Context, store record.Store, name string) error {
	if (*c)[name] != nil {
		return nil
	}
	list, err := record.OfCustomProviders(store).In(ctx, name)
	if err != nil || len(list) == 0 {
		return err
	}
	if *c == nil {
		*c = make(customProviders)
	}
	(*c)[name] = &list[0]
	return nil
}

// matchCustom finds the endpoint of an operator's own provider as far as it can be
// found before the caller is known: any method, and whatever the path.
func (x *exchange) matchCustom(rest string) error {
	name, route, _ := strings.Cut(rest, "/")
	x.custom = customPath{name, "/" + route}
	x.endpoint = provider.CustomEndpoint(&gateway.CustomProvider{Provider: name}, nil, x.r.Method)
	return nil
}

// direct takes a call to an operator's own provider to its route, as the entry has
// it. If that has changed since the body was read, it is read anew.
func (x *exchange) direct() error {
	if x.custom == (customPath{}) {
		return nil
	}
	p := x.entry.custom[x.custom.provider]
	if p == nil {
		return errUnknownProvider
	}
	route := p.Route(x.custom.route)
	if route == nil {
		return errUnknownRoute
	}
	x.endpoint = provider.CustomEndpoint(p, route, x.r.Method)
	if x.call == nil || *x.call.Custom == *route {
		return nil
	}
	return x.read()
}

// undefined turns the refusal of a key without a setting for a provider into one of
// a provider that nobody has defined, where that is the reason.
func (x *exchange) undefined(ctx context.Context, err error) error {
	if !errors.Is(err, errNoSetting) || x.custom == (customPath{}) {
		return err
	}
	var found customProviders
	if err := found.read(ctx, x.server.Store, x.custom.provider); err != nil {
		return unavailable(err)
	}
	if len(found) == 0 {
		return errUnknownProvider
	}
	return err
}

// pattern is a path of allowedPaths in our spelling: the peer gives the rest of a
// custom provider's path a name.
func pattern(path string) string {
	if path == provider.CustomPattern+"wildcard" {
		return provider.CustomPattern
	}
	return path
}

// withQuery appends a query to an address, which may have one.
func withQuery(address, query string) string {
	switch {
	case query == "":
		return address
	case strings.Contains(address, "?"):
		return address + "&" + query
	}
	return address + "?" + query
}
