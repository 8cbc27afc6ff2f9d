package record

import "tollgate/internal/gateway"

// OfUsers are the end users of a store.
func OfUsers(s Store) Of[gateway.User] {
	return Of[gateway.User]{s, Users, func(u *gateway.User) Record {
		return Record{ID: u.ID, Group: u.UserID, CreatedAt: u.CreatedAt, Subject: UserSubject(u.ID)}
	}}
}

// OfTags are the tags of a store that have limits.
func OfTags(s Store) Of[gateway.Tag] {
	return Of[gateway.Tag]{s, Tags, func(t *gateway.Tag) Record {
		return Record{ID: t.Name, CreatedAt: t.CreatedAt, Subject: TagSubject(t.Name)}
	}}
}

// OfCustomProviders are the custom providers of a store.
func OfCustomProviders(s Store) Of[gateway.CustomProvider] {
	return Of[gateway.CustomProvider]{s, CustomProviders, func(p *gateway.CustomProvider) Record {
		return Record{ID: p.ID, Group: p.Provider, CreatedAt: p.CreatedAt}
	}}
}

// OfPolicies are the policies of a store.
func OfPolicies(s Store) Of[gateway.Policy] {
	return Of[gateway.Policy]{s, Policies, func(p *gateway.Policy) Record {
		return Record{ID: p.ID, CreatedAt: p.CreatedAt}
	}}
}

// OfRoutes are the routes of a store.
func OfRoutes(s Store) Of[gateway.Route] {
	return Of[gateway.Route]{s, Routes, func(r *gateway.Route) Record {
		return Record{ID: r.ID, Group: r.Path, CreatedAt: r.CreatedAt}
	}}
}
