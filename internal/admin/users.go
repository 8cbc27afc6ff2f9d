package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/record"
)

func (a *api) users() record.Of[gateway.User] { return record.OfUsers(a.store) }

func (a *api) createUser(r *http.Request) (any, error) {
	var b userBody
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	if err := b.checkCreate(); err != nil {
		return nil, err
	}
	if err := a.checkKeyIDs(r.Context(), b.KeyIDs); err != nil {
		return nil, err
	}
	now := a.now().UTC()
	u := gateway.User{ID: newID(r.Context()), UserID: b.userID(), Tags: b.Tags, CreatedAt: now}
	b.apply(&u, now)
	if err := checkSize(&u); err != nil {
		return nil, err
	}
	err := a.users().Create(r.Context(), &u, func(same []gateway.User) error { return soleUser(&u, same) })
	if err != nil {
		return nil, stored(err, "the user")
	}
	answer := created(a.users(), u.ID, showUser(&u))
	if err := a.touchNamesakes(r.Context(), &u); err != nil {
		if a.takeBackUser(r.Context(), u.ID) {
			return nil, err
		}
		return answer, err
	}
	return answer, nil
}

// takeBackUser deletes a user of whom the proxy may not know: else the same request
// once more would be refused because the user exists. It reports whether the user is
// gone.
func (a *api) takeBackUser(ctx context.Context, id string) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return a.users().Delete(ctx, id) == nil
}

// touchNamesakes gives the other users of the same user id a new version. The
// proxy remembers the users that it found for an id by their versions: without this
// it would not look for one more.
func (a *api) touchNamesakes(ctx context.Context, u *gateway.User) error {
	same, err := a.users().In(ctx, u.UserID)
	if err != nil {
		return stored(err, "the user")
	}
	for i := range same {
		if same[i].ID == u.ID {
			continue
		}
		_, _, err := a.users().Update(ctx, same[i].ID, func(*gateway.User, int64) error { return nil })
		if err := present(err); err != nil {
			return stored(err, "the user")
		}
	}
	return nil
}

// soleUser refuses a user whom a call could mistake for another: of two with one
// user id, neither may have all the tags of the other.
func soleUser(u *gateway.User, same []gateway.User) error {
	for i := range same {
		if hasAll(same[i].Tags, u.Tags) || hasAll(u.Tags, same[i].Tags) {
			return invalid("user id exists for tags: %v", u.Tags)
		}
	}
	return nil
}

// hasAll reports whether every one of wanted is in list.
func hasAll(list, wanted []string) bool {
	for _, w := range wanted {
		if !slices.Contains(list, w) {
			return false
		}
	}
	return true
}

// checkKeyIDs makes sure that the keys are there.
func (a *api) checkKeyIDs(ctx context.Context, ids []string) error {
	for _, id := range ids {
		if !possibleID(id) {
			return invalid("key is not found for id: %s", clip(id))
		}
	}
	found, err := a.findKeys(ctx, keyFilter{ids: ids, byID: true})
	if err != nil || len(ids) == 0 {
		return err
	}
	for _, id := range ids {
		if !slices.ContainsFunc(found, func(k gateway.Key) bool { return k.ID == id }) {
			return invalid("key is not found for id: %s", clip(id))
		}
	}
	return nil
}

func (a *api) getUser(r *http.Request) (any, error) { return got(r, a.users(), "user", showUser) }

func (a *api) deleteUser(r *http.Request) (any, error) {
	return remove(r, a.users(), "user", showUser, nil)
}

// userFilter selects users; conditions that were not sent do not count.
type userFilter struct{ tags, keyIDs, userIDs []string }

func (f *userFilter) matches(u *gateway.User) bool {
	return hasAll(u.Tags, f.tags) &&
		(f.keyIDs == nil || slices.ContainsFunc(f.keyIDs, func(id string) bool { return slices.Contains(u.KeyIDs, id) })) &&
		(f.userIDs == nil || slices.Contains(f.userIDs, u.UserID))
}

// listUsers is newest first, with limit and offset or without.
func (a *api) listUsers(r *http.Request) (any, error) {
	q := r.URL.Query()
	limit, err := userPage(q, "limit")
	if err != nil {
		return nil, err
	}
	offset, err := userPage(q, "offset")
	if err != nil {
		return nil, err
	}
	f := userFilter{tags: q["tags"], keyIDs: q["keyIds"], userIDs: q["userIds"]}
	if q.Has("cursor") {
		return listed(r, a.users(), showUser, f.matches)
	}
	if !q.Has("tags") && !q.Has("keyIds") && !q.Has("userIds") {
		return nil, worded{label{noKeyFilter, titles[noKeyFilter]},
			invalid("filters are missing from the request url. it is required for retrieving users.")}
	}
	found, err := a.findUsers(r.Context(), f)
	if err != nil {
		return nil, err
	}
	return shown(page(found, limit, offset), showUser, nil), nil
}

// findUsers is the users that match, newest first.
func (a *api) findUsers(ctx context.Context, f userFilter) ([]gateway.User, error) {
	if f.userIDs == nil || len(f.userIDs) > fewIDs {
		all, _, err := a.users().List(ctx, record.Page{})
		return slices.DeleteFunc(all, func(u gateway.User) bool { return !f.matches(&u) }), stored(err, "users")
	}
	var found []gateway.User
	for _, id := range distinct(nonEmpty(f.userIDs)) {
		if len(id) > maxGroup {
			continue
		}
		same, err := a.users().In(ctx, id)
		if err != nil {
			return nil, stored(err, "users")
		}
		found = append(found, same...)
	}
	found = slices.DeleteFunc(found, func(u gateway.User) bool { return !f.matches(&u) })
	slices.SortFunc(found, func(x, y gateway.User) int { return newestFirst(x.CreatedAt, y.CreatedAt, x.ID, y.ID) })
	return found, nil
}

// maxGroup is the longest group that a store takes, in bytes.
const maxGroup = 1024

// userPage reads limit or offset in the peer's words.
func userPage(q url.Values, name string) (int64, error) {
	if !q.Has(name) {
		return 0, nil
	}
	n, err := pageNumber(q, name)
	if err == nil && q.Get(name) == "" {
		err = invalid("%s has to be a whole number, not negative", name)
	}
	if err != nil {
		return 0, worded{label{"/errors/bad-filters", "bad " + name + " query param"}, err}
	}
	return n, nil
}

func (a *api) patchUser(r *http.Request) (any, error) {
	return a.changeUser(r, func() (string, error) { return r.PathValue("id"), nil })
}

// patchUserByName changes the one user with a user id, of those with some tags.
func (a *api) patchUserByName(r *http.Request) (any, error) {
	q := r.URL.Query()
	name := q.Get("userId")
	if name == "" {
		return nil, worded{label{"/errors/missing-user-id", "missing user id"}, invalid("query param userId is missing")}
	}
	return a.changeUser(r, func() (string, error) {
		found, err := a.findUsers(r.Context(), userFilter{userIDs: []string{name}, tags: nonEmpty(q["tags"])})
		switch {
		case err != nil:
			return "", err
		case len(found) == 0:
			return "", stored(gateway.ErrNotFound, "user")
		case len(found) > 1:
			return "", &gateway.Error{Kind: gateway.Conflict, Message: fmt.Sprintf(
				"%d users have that user id: send tags that only one of them has, or change it by its id", len(found))}
		}
		return found[0].ID, nil
	})
}

// changeUser checks the body before it looks for the user, as the peer does.
func (a *api) changeUser(r *http.Request, find func() (id string, err error)) (any, error) {
	ctx := r.Context()
	var b userBody
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	if err := b.checkChange(); err != nil {
		return nil, err
	}
	if err := a.checkKeyIDs(ctx, b.KeyIDs); err != nil {
		return nil, err
	}
	id, err := find()
	if err != nil {
		return nil, err
	}
	var spent gateway.NanoUSD
	if b.restores() {
		if spent, err = a.spentOf(ctx, record.UserSubject(id)); err != nil && !errors.Is(err, gateway.ErrNotFound) {
			return nil, err
		}
	}
	var changed gateway.User
	answer, err := patchedID(r, a.users(), id, "user", showUser, func(u *gateway.User) error {
		err := b.change(u, a.now().UTC(), spent)
		changed = *u
		return err
	})
	if err != nil {
		return nil, err
	}
	return answer, a.touchNamesakes(ctx, &changed)
}
