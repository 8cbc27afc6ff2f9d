package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

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
	if _, ok := a.providers[b.Provider]; !ok {
		return nil, invalid("provider %s is not supported", clip(b.Provider))
	}
	now := a.now().UTC()
	s := gateway.Setting{ID: uuid.NewString(), Provider: b.Provider, CreatedAt: now, UpdatedAt: now}
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
	return showSetting(&s), nil
}

// patchSetting opens, merges and seals inside the change, so that two rotations
// at once cannot undo each other.
func (a *api) patchSetting(r *http.Request) (any, error) {
	ctx := r.Context()
	var b settingBody
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	s, err := a.store.UpdateSetting(ctx, r.PathValue("id"), func(s *gateway.Setting) error {
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
	if err != nil {
		return nil, stored(err, "provider setting")
	}
	return showSetting(&s), nil
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
		return showSettings(found), nil
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
	return showSettings(page(found, limit, offset)), nil
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
		return cmp.Or(y.CreatedAt.Compare(x.CreatedAt), cmp.Compare(x.ID, y.ID))
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
	keys, err := a.store.Keys(ctx)
	if err != nil {
		return nil, stored(err, "keys")
	}
	var users []string
	for i := range keys {
		if keys[i].UsesSetting(id) {
			users = append(users, keys[i].ID)
		}
	}
	if len(users) > 0 {
		return nil, &gateway.Error{Kind: gateway.Conflict, Message: "the setting is used by the keys " + some(users)}
	}
	if err := a.store.DeleteSetting(ctx, id); !errors.Is(err, gateway.ErrNotFound) {
		return nil, stored(err, "provider setting")
	}
	return nil, nil
}

// some lists the first of many.
func some(ids []string) string {
	const most = 20
	if len(ids) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(ids[:most], ", "), len(ids)-most)
	}
	return strings.Join(ids, ", ")
}
