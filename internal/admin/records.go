package admin

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"tollgate/internal/gateway"
	"tollgate/internal/record"
)

// got answers one record.
func got[T, W any](r *http.Request, of record.Of[T], what string, show func(*T) W) (any, error) {
	v, version, err := of.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, stored(err, what)
	}
	return reply{body: show(&v), version: version}, nil
}

const recordPage = 100 // records of a page without a limit

// listed answers the records that keep selects, newest first; nil selects all.
// With a cursor in the query, which is empty for the first page, it answers a page
// of the records: those of them that are selected, and the next cursor in a header.
func listed[T, W any](r *http.Request, of record.Of[T], show func(*T) W, keep func(*T) bool) (any, error) {
	q, page := r.URL.Query(), record.Page{}
	if q.Has("cursor") {
		page.Cursor = q.Get("cursor")
		var err error
		if page.Limit, err = pageLimit(q, recordPage); err != nil {
			return nil, err
		}
	}
	list, next, err := of.List(r.Context(), page)
	if err != nil {
		return nil, stored(err, "the list")
	}
	return reply{body: shown(list, show, keep), cursor: next}, nil
}

// shown is never nil: an empty list is [].
func shown[T, W any](list []T, show func(*T) W, keep func(*T) bool) []W {
	answers := make([]W, 0, len(list))
	for i := range list {
		if keep == nil || keep(&list[i]) {
			answers = append(answers, show(&list[i]))
		}
	}
	return answers
}

// patched changes one record and answers it. change may run several times.
func patched[T, W any](r *http.Request, of record.Of[T], what string, show func(*T) W, edit func(*T) error) (any, error) {
	return patchedID(r, of, r.PathValue("id"), what, show, edit)
}

func patchedID[T, W any](r *http.Request, of record.Of[T], id, what string, show func(*T) W, edit func(*T) error) (any, error) {
	var before W
	v, version, err := of.Update(r.Context(), id, func(v *T, version int64) error {
		if err := unchanged(r, version); err != nil {
			return err
		}
		before = show(v)
		if err := edit(v); err != nil {
			return err
		}
		return checkSize(v)
	})
	if err != nil {
		return nil, stored(err, what)
	}
	after := show(&v)
	return reply{body: after, version: version,
		change: &change{kind: string(of.Kind), id: id, before: before, after: after}}, nil
}

// remove deletes one record, unless check, which may be nil, refuses. The version
// is compared before and not with the deletion: a change between the two is lost
// with the record.
func remove[T, W any](r *http.Request, of record.Of[T], what string, show func(*T) W, check func(*T) error) (any, error) {
	id := r.PathValue("id")
	v, version, err := of.Get(r.Context(), id)
	if err != nil {
		return nil, stored(err, what)
	}
	if err := unchanged(r, version); err != nil {
		return nil, err
	}
	if check != nil {
		if err := check(&v); err != nil {
			return nil, err
		}
	}
	if err := of.Delete(r.Context(), id); err != nil {
		return nil, stored(err, what)
	}
	return reply{change: &change{kind: string(of.Kind), id: id, before: show(&v)}}, nil
}

// created is the reply to a create.
func created[T any](of record.Of[T], id string, answer any) reply {
	return reply{body: answer, change: &change{kind: string(of.Kind), id: id, after: answer}}
}

// touchKeys gives the keys with a reference a new version, so that the next call with
// each reads anew what it refers to.
func (a *api) touchKeys(ctx context.Context, r gateway.Reference) error {
	ids, err := a.keysUsing(ctx, r)
	if err != nil {
		return err
	}
	return each(ids, func(id string) error {
		_, err := a.store.UpdateKey(ctx, id, func(*gateway.Key) error { return nil })
		return present(err)
	})
}

func (a *api) keysUsing(ctx context.Context, r gateway.Reference) ([]string, error) {
	ids, err := a.store.KeysUsing(ctx, r)
	return ids, stored(err, "keys")
}

// touchSettings does so for all keys that use a setting of the provider.
func (a *api) touchSettings(ctx context.Context, provider string) error {
	ids, err := a.settingsOf(ctx, provider)
	if err != nil {
		return err
	}
	return each(ids, func(id string) error {
		_, err := a.store.UpdateSetting(ctx, id, func(*gateway.Setting) error { return nil })
		return present(err)
	})
}

// settingsOf lists the settings of a provider.
func (a *api) settingsOf(ctx context.Context, provider string) (ids []string, err error) {
	all, err := a.searchSettings(ctx, provider, "")
	for i := range all {
		ids = append(ids, all[i].ID)
	}
	return ids, err
}

// present passes over what was deleted meanwhile.
func present(err error) error {
	if errors.Is(err, gateway.ErrNotFound) {
		return nil
	}
	return stored(err, "the record")
}

// atOnce is how many records are written side by side.
const atOnce = 16

// each calls f for every id, several at a time, and returns when all are done.
func each(ids []string, f func(id string) error) error {
	var (
		wg     sync.WaitGroup
		places = make(chan struct{}, atOnce)
		faults = make([]error, len(ids))
	)
	for i, id := range ids {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			faults[i] = f(id)
		})
	}
	wg.Wait()
	return errors.Join(faults...)
}
