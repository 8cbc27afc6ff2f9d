package admin

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"tollgate/internal/gateway"
)

func (a *api) createSetting(r *http.Request) (any, error) {
	var b settingBody
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	if b.Provider == "" {
		return nil, invalid("provider field cannot be empty")
	}
	now := a.now().UTC()
	s := gateway.Setting{ID: newID(r.Context()), Provider: b.Provider, CreatedAt: now, UpdatedAt: now}
	// Parameters before the rest: a refusal names them first, as the peer's does.
	if err := a.mergeParams(r.Context(), &s, b.Setting); err != nil {
		return nil, err
	}
	if err := b.apply(&s); err != nil {
		return nil, err
	}
	if err := checkSize(&s); err != nil {
		return nil, err
	}
	if err := a.store.CreateSetting(r.Context(), s); err != nil {
		return nil, stored(err, "provider setting")
	}
	return reply{body: showSetting(&s), change: &change{
		kind: "setting", id: s.ID, after: showSetting(&s), secrets: secretNames(b.Setting)}}, nil
}

// secretNames is the parameters sent that are not shown.
func secretNames(sent map[string]string) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(sent)) {
		if !gateway.PublicParams[name] {
			names = append(names, clip(name))
		}
	}
	return names
}

// getSetting is ours: one setting by its id, with its version.
func (a *api) getSetting(r *http.Request) (any, error) {
	s, err := a.oneSetting(r)
	if err != nil {
		return nil, err
	}
	shown, err := a.revealed(r.Context(), []gateway.Setting{s})
	if err != nil {
		return nil, err
	}
	return reply{body: shown[0], version: s.Version}, nil
}

func (a *api) oneSetting(r *http.Request) (gateway.Setting, error) {
	found, err := a.findSettings(r.Context(), []string{r.PathValue("id")})
	if err == nil && len(found) == 0 {
		err = stored(gateway.ErrNotFound, "provider setting")
	}
	if err != nil {
		return gateway.Setting{}, err
	}
	return found[0], nil
}

// revealed is settings as a list shows them: with their secrets if the operator
// has switched that on, for clients that rely on the peer's showing them.
func (a *api) revealed(ctx context.Context, settings []gateway.Setting) ([]settingAnswer, error) {
	answers := showSettings(settings)
	if !a.showSecrets {
		return answers, nil
	}
	for i := range settings {
		params, err := a.openParams(ctx, &settings[i])
		if err != nil {
			return nil, err
		}
		maps.Copy(params, settings[i].Params)
		answers[i].Setting = params
	}
	return answers, nil
}

// patchSetting opens, merges and seals inside the change, so that two rotations
// at once cannot undo each other.
func (a *api) patchSetting(r *http.Request) (any, error) {
	ctx := r.Context()
	var b settingBody
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	var before settingAnswer
	s, err := a.store.UpdateSetting(ctx, r.PathValue("id"), func(s *gateway.Setting) error {
		if err := unchanged(r, s.Version); err != nil {
			return err
		}
		before = showSetting(s)
		if len(b.Setting) > 0 {
			if err := a.mergeParams(ctx, s, b.Setting); err != nil {
				return err
			}
		}
		if err := b.apply(s); err != nil {
			return err
		}
		s.UpdatedAt = a.now().UTC()
		return checkSize(s)
	})
	if err != nil && s.ID == "" {
		return nil, stored(err, "provider setting")
	}
	return reply{body: showSetting(&s), version: s.Version, change: &change{
		kind: "setting", id: s.ID, before: before, after: showSetting(&s), secrets: secretNames(b.Setting)}}, stored(err, "provider setting")
}

// listSettings answers ids in their order, or with all=true, provider or name
// all settings that match. Without any of them the list is empty.
func (a *api) listSettings(r *http.Request) (any, error) {
	q := r.URL.Query()
	if ids := q["ids"]; len(ids) > 0 {
		found, err := a.findSettings(r.Context(), ids)
		if err != nil {
			return nil, err
		}
		if len(found) != len(ids) {
			return nil, &gateway.Error{Kind: gateway.NotFound, Message: "provider setting is not found"}
		}
		return a.revealed(r.Context(), found)
	}
	if q.Get("all") != "true" && q.Get("provider") == "" && q.Get("name") == "" {
		return []settingAnswer{}, nil
	}
	limit, err := pageNumber(q, "limit")
	if err != nil {
		return nil, err
	}
	offset, err := pageNumber(q, "offset")
	if err != nil {
		return nil, err
	}
	found, err := a.searchSettings(r.Context(), q.Get("provider"), q.Get("name"))
	if err != nil {
		return nil, err
	}
	return a.revealed(r.Context(), page(found, limit, offset))
}

// findSettings reads settings by id, repeats included, and skips unknown ones.
func (a *api) findSettings(ctx context.Context, ids []string) ([]gateway.Setting, error) {
	possible := make([]string, 0, len(ids))
	for _, id := range ids {
		if possibleID(id) {
			possible = append(possible, id)
		}
	}
	if len(possible) == 0 {
		return nil, nil
	}
	found, err := a.store.Settings(ctx, possible)
	return found, stored(err, "provider setting")
}

// searchSettings is the settings that match, newest first.
func (a *api) searchSettings(ctx context.Context, provider, name string) ([]gateway.Setting, error) {
	all, err := a.store.AllSettings(ctx)
	if err != nil {
		return nil, stored(err, "settings")
	}
	all = slices.DeleteFunc(all, func(s gateway.Setting) bool {
		return provider != "" && s.Provider != provider || !containsFold(s.Name, name)
	})
	slices.SortFunc(all, func(x, y gateway.Setting) int {
		return newestFirst(x.CreatedAt, y.CreatedAt, x.ID, y.ID)
	})
	return all, nil
}

// pageNumber reads a number of the query that may be left out.
func pageNumber(q url.Values, name string) (int64, error) {
	text := q.Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, invalid("%s has to be a whole number, not negative", name)
	}
	return n, nil
}

// deleteSetting refuses while keys use the setting. A key created at this very
// moment can slip through; its calls are then refused for want of a setting.
func (a *api) deleteSetting(r *http.Request) (any, error) {
	ctx, id := r.Context(), r.PathValue("id")
	users, err := a.keysUsing(ctx, gateway.Reference{To: gateway.ToSetting, ID: id})
	if err != nil {
		return nil, err
	}
	if err := refer("setting", referrers{"keys", users}); err != nil {
		return nil, err
	}
	done := &change{kind: "setting", id: id}
	switch s, err := a.oneSetting(r); {
	case err == nil:
		if err := unchanged(r, s.Version); err != nil {
			return nil, err
		}
		done.before = showSetting(&s)
	case !errors.Is(err, gateway.ErrNotFound):
		return nil, err
	}
	if err := a.store.DeleteSetting(ctx, id); err != nil && !errors.Is(err, gateway.ErrNotFound) {
		return nil, stored(err, "provider setting")
	}
	return reply{change: done}, nil
}
