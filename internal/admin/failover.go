package admin

import (
	"context"
	"net/http"
	"slices"

	"tollgate/internal/gateway"
	"tollgate/internal/record"
)

func (a *api) failoverRoutes() record.Of[gateway.Route] { return record.OfRoutes(a.store) }

func (a *api) createRoute(r *http.Request) (any, error) {
	var b routeBody
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	now := a.now().UTC()
	rt := gateway.Route{ID: newID(r.Context()), CreatedAt: now, UpdatedAt: now}
	if err := b.apply(&rt); err != nil {
		return nil, err
	}
	if err := checkRoute(&rt, b.Cache != nil); err != nil {
		return nil, err
	}
	if err := checkSize(&rt); err != nil {
		return nil, err
	}
	// A path that is taken comes before keys that are not there, as the peer has it.
	unique := func(same []gateway.Route) error {
		if len(same) > 0 {
			return invalid("path is not unique")
		}
		return nil
	}
	same, err := a.failoverRoutes().In(r.Context(), rt.Path)
	if err != nil {
		return nil, stored(err, "routes")
	}
	if err := unique(same); err != nil {
		return nil, err
	}
	if err := a.checkRouteKeys(r.Context(), &rt, true); err != nil {
		return nil, err
	}
	if err := a.failoverRoutes().Create(r.Context(), &rt, unique); err != nil {
		return nil, stored(err, "the route")
	}
	return created(a.failoverRoutes(), rt.ID, showRoute(&rt)), nil
}

// checkRouteKeys makes sure that each key has a setting of every provider of the
// steps, and if all of them have to be there, that they are.
func (a *api) checkRouteKeys(ctx context.Context, rt *gateway.Route, all bool) error {
	keys, err := a.findKeys(ctx, keyFilter{ids: rt.KeyIDs, byID: true})
	if err != nil {
		return err
	}
	if all && len(keys) != len(rt.KeyIDs) {
		return invalid("specified key ids are not found")
	}
	for i := range keys {
		settings, err := a.findSettings(ctx, keys[i].AllSettingIDs())
		if err != nil {
			return err
		}
		for _, s := range rt.Steps {
			of := func(have gateway.Setting) bool { return have.Provider == s.Provider }
			if !slices.ContainsFunc(settings, of) {
				return invalid("the key %s has no provider setting of %s", keys[i].ID, s.Provider)
			}
		}
	}
	return nil
}

func (a *api) listRoutes(r *http.Request) (any, error) {
	return listed(r, a.failoverRoutes(), showRoute, nil)
}

func (a *api) getRoute(r *http.Request) (any, error) {
	return got(r, a.failoverRoutes(), "custom provider", showRoute) // the peer's text
}

// patchRoute checks the route as it would be. Its path stays: it is what the route
// is found by. What it has of keys is looked up only for a change that is about them:
// it must not fail for what somebody else did to a key.
func (a *api) patchRoute(r *http.Request) (any, error) {
	ctx := r.Context()
	var b routeBody
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	return patched(r, a.failoverRoutes(), "route", showRoute, func(rt *gateway.Route) error {
		path := rt.Path
		if err := b.apply(rt); err != nil {
			return err
		}
		if rt.Path != path {
			return invalid("path can not be changed: make another route")
		}
		rt.UpdatedAt = a.now().UTC()
		if err := checkRoute(rt, true); err != nil {
			return err
		}
		if b.KeyIDs == nil && b.Steps == nil {
			return nil
		}
		return a.checkRouteKeys(ctx, rt, b.KeyIDs != nil)
	})
}

// deleteRoute is no failure if there is no such route, as the peer has it.
func (a *api) deleteRoute(r *http.Request) (any, error) {
	answer, err := remove(r, a.failoverRoutes(), "route", showRoute, nil)
	if gateway.KindOf(err) == gateway.NotFound {
		return reply{change: &change{kind: string(record.Routes), id: r.PathValue("id")}}, nil
	}
	return answer, err
}
