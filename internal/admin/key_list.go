package admin

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/record"
)

// keyFilter selects keys; empty conditions do not count, the others are ANDed.
type keyFilter struct {
	ids     []string // any of
	byID    bool     // ids counts, even if empty
	tags    []string // all of
	name    string   // part of it, in any case
	revoked *bool
	uses    func(*gateway.Key) bool
}

func (f *keyFilter) matches(k *gateway.Key) bool {
	for _, t := range f.tags {
		if !slices.Contains(k.Tags, t) {
			return false
		}
	}
	return containsFold(k.Name, f.name) &&
		(f.revoked == nil || *f.revoked == k.Revoked) &&
		(f.uses == nil || f.uses(k))
}

// containsFold reports whether part is in s, whatever the case. Every character
// of part stands for itself.
func containsFold(s, part string) bool {
	return part == "" || strings.Contains(strings.ToLower(s), strings.ToLower(part))
}

// listKeys is the peer's first list: filters in the query, one is required.
func (a *api) listKeys(r *http.Request) (any, error) {
	q := r.URL.Query()
	if q.Has("cursor") {
		return a.listKeysPage(r)
	}
	f := keyFilter{ids: q["keyIds"], byID: q.Has("keyIds"), tags: nonEmpty(append(q["tags"], q.Get("tag")))}
	provider := q.Get("provider")
	// Empty values select nothing. Without another filter they would list the
	// keys of everybody.
	if !f.byID && len(f.tags) == 0 && provider == "" {
		return nil, &gateway.Error{Kind: gateway.Invalid, Code: noKeyFilter,
			Message: "filters are missing from the request url. it is required for retrieving keys."}
	}
	if provider != "" {
		var err error
		if f.uses, err = a.usesProvider(r.Context(), provider); err != nil {
			return nil, err
		}
	}
	keys, err := a.findKeys(r.Context(), f)
	if err != nil {
		return nil, err
	}
	return showKeys(keys), nil
}

// listKeysPage is the list with a cursor, which is empty for the first page: no
// filter is required, and at most a page of keys is held in memory. The filters
// select from the page, so that it can be short, even empty, before the last.
func (a *api) listKeysPage(r *http.Request) (any, error) {
	q := r.URL.Query()
	f := keyFilter{tags: nonEmpty(append(q["tags"], q.Get("tag"))), name: q.Get("name")}
	if q.Has("keyIds") {
		return nil, invalid("keyIds can not be sent with a cursor")
	}
	limit, err := pageLimit(q, recordPage)
	if err != nil {
		return nil, err
	}
	if provider := q.Get("provider"); provider != "" {
		if f.uses, err = a.usesProvider(r.Context(), provider); err != nil {
			return nil, err
		}
	}
	keys, next, err := a.store.KeysPage(r.Context(), record.Page{Cursor: q.Get("cursor"), Limit: limit})
	if err != nil {
		return nil, stored(err, "keys")
	}
	return reply{body: shown(keys, showKey, f.matches), cursor: next}, nil
}

// usesProvider tests keys for having a setting of the provider.
func (a *api) usesProvider(ctx context.Context, provider string) (func(*gateway.Key) bool, error) {
	settings, err := a.store.AllSettings(ctx)
	if err != nil {
		return nil, stored(err, "settings")
	}
	of := make(map[string]bool)
	for i := range settings {
		of[settings[i].ID] = settings[i].Provider == provider
	}
	return func(k *gateway.Key) bool {
		return slices.ContainsFunc(k.AllSettingIDs(), func(id string) bool { return of[id] })
	}, nil
}

type searchBody struct {
	KeyIDs      []string `json:"keyIds"`
	Tags        []string `json:"tags"`
	Name        string   `json:"name"`
	Revoked     *bool    `json:"revoked"`
	Limit       int64    `json:"limit"`
	Offset      int64    `json:"offset"` // without limit: not used
	Order       string   `json:"order"`  // "asc", "desc"; by createdAt
	ReturnCount bool     `json:"returnCount"`
}

type searchAnswer struct {
	Keys  []keyAnswer `json:"keys"`
	Count int         `json:"count"` // before paging; 0 unless asked for
}

// searchKeys is the peer's second list: filters in the body, none is required.
func (a *api) searchKeys(r *http.Request) (any, error) {
	var b searchBody
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	order := strings.ToLower(b.Order)
	switch {
	case order != "" && order != "asc" && order != "desc":
		return nil, invalid("get keys request order can only be desc or asc")
	case b.Limit < 0 || b.Offset < 0:
		return nil, invalid("get keys request limit and offset can not be negative")
	}
	keys, err := a.findKeys(r.Context(), keyFilter{
		ids: b.KeyIDs, byID: len(b.KeyIDs) > 0, tags: b.Tags, name: b.Name, revoked: b.Revoked})
	if err != nil {
		return nil, err
	}
	if order == "asc" {
		slices.Reverse(keys)
	}
	answer := searchAnswer{Keys: showKeys(page(keys, b.Limit, b.Offset))}
	if b.ReturnCount {
		answer.Count = len(keys)
	}
	return answer, nil
}

// page is one page of a list. limit 0 is the whole list, whatever the offset.
func page[T any](list []T, limit, offset int64) []T {
	if limit == 0 {
		return list
	}
	list = list[min(offset, int64(len(list))):]
	return list[:min(limit, int64(len(list)))]
}

// findKeys is the keys that match, newest first. Equal times are told apart by
// the id, so that pages neither repeat nor skip.
func (a *api) findKeys(ctx context.Context, f keyFilter) ([]gateway.Key, error) {
	keys, err := a.candidates(ctx, f)
	if err != nil {
		return nil, err
	}
	keys = slices.DeleteFunc(keys, func(k gateway.Key) bool { return !f.matches(&k) })
	slices.SortFunc(keys, func(x, y gateway.Key) int {
		return newestFirst(x.CreatedAt, y.CreatedAt, x.ID, y.ID)
	})
	return keys, nil
}

// newestFirst compares two records by time, then by id.
func newestFirst(x, y time.Time, xID, yID string) int {
	return cmp.Or(y.Compare(x), cmp.Compare(xID, yID))
}

// fewIDs is how many keys are read one by one rather than by listing all.
const fewIDs = 50

// candidates narrows by id, where that saves reading all keys.
func (a *api) candidates(ctx context.Context, f keyFilter) ([]gateway.Key, error) {
	if f.byID && len(f.ids) <= fewIDs {
		return a.keysByID(ctx, distinct(f.ids))
	}
	keys, err := a.store.Keys(ctx)
	if err != nil {
		return nil, stored(err, "keys")
	}
	if f.byID {
		wanted := make(map[string]bool, len(f.ids))
		for _, id := range f.ids {
			wanted[id] = true
		}
		keys = slices.DeleteFunc(keys, func(k gateway.Key) bool { return !wanted[k.ID] })
	}
	return keys, nil
}

// keysByID skips ids that are not there.
func (a *api) keysByID(ctx context.Context, ids []string) ([]gateway.Key, error) {
	var keys []gateway.Key
	for _, id := range ids {
		if !possibleID(id) {
			continue
		}
		k, err := a.store.Key(ctx, id)
		if errors.Is(err, gateway.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, stored(err, "key")
		}
		keys = append(keys, k)
	}
	return keys, nil
}

func nonEmpty(list []string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return s == "" })
}
