package admin

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/secret"
)

func (a *api) createKey(r *http.Request) (any, error) {
	var b keyBody
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	if err := b.checkCreate(); err != nil {
		return nil, err
	}
	if err := a.checkReferences(r.Context(), &b); err != nil {
		return nil, err
	}
	text, generated := secretOrNew(b.Key)
	k := newKey(&b, newID(r.Context()), text, a.now().UTC())
	if err := checkSize(&k); err != nil {
		return nil, err
	}
	if err := a.store.CreateKey(r.Context(), k); err != nil {
		return nil, stored(err, "a key with this secret")
	}
	return reply{body: showNewSecret(&k, text, generated), change: &change{kind: "key", id: k.ID, after: showKey(&k)}}, nil
}

// secretOrNew is the secret that was sent, or a new one of 256 random bits.
func secretOrNew(sent *string) (text string, generated bool) {
	if sent != nil && *sent != "" {
		return *sent, false
	}
	return newSecret("tg-"), true
}

// showNewSecret is the key as it is shown where it gets a secret.
func showNewSecret(k *gateway.Key, text string, generated bool) keyAnswer {
	answer := showKey(k)
	if k.NotHashed {
		answer.Key = text
	}
	if generated {
		answer.Secret = text
	}
	return answer
}

// newSecret is 256 random bits after a prefix that tells what it is for.
func newSecret(prefix string) string {
	var random [32]byte
	rand.Read(random[:]) // never fails
	return prefix + base64.RawURLEncoding.EncodeToString(random[:])
}

func newKey(b *keyBody, id, text string, now time.Time) gateway.Key {
	k := gateway.Key{ID: id, Hash: secret.HashKey(text), CreatedAt: now, Tags: b.Tags}
	b.apply(&k, now)
	if b.IsKeyNotHashed != nil && *b.IsKeyNotHashed {
		k.NotHashed, k.Hint = true, hint(text)
	}
	return k
}

// checkReferences makes sure that the settings and the policy are there. One of
// them may still be deleted before the key is written: a call with such a key is
// refused, so nothing worse than a message comes of it.
func (a *api) checkReferences(ctx context.Context, b *keyBody) error {
	ids := distinct(b.SettingIDs)
	if b.hasSettingID() {
		ids = append(ids, *b.SettingID)
	}
	if len(ids) > 0 {
		found, err := a.findSettings(ctx, ids)
		if err != nil {
			return err
		}
		if len(found) != len(ids) {
			return invalid("not all settings are found")
		}
	}
	if b.PolicyID != nil && *b.PolicyID != "" {
		return a.checkPolicy(ctx, *b.PolicyID)
	}
	return nil
}

func (a *api) patchKey(r *http.Request) (any, error) {
	ctx, id := r.Context(), r.PathValue("id")
	var b keyBody
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	if err := b.checkChange(); err != nil {
		return nil, err
	}
	if err := a.checkReferences(ctx, &b); err != nil {
		return nil, err
	}
	var spent gateway.NanoUSD
	if b.restores() {
		var err error
		if spent, err = a.spent(ctx, id); err != nil {
			return nil, err
		}
	}
	var before gateway.Key
	k, err := a.store.UpdateKey(ctx, id, func(k *gateway.Key) error {
		if err := unchanged(r, k.Version); err != nil {
			return err
		}
		before = *k
		return b.change(k, a.now().UTC(), spent)
	})
	if err != nil {
		return nil, stored(err, "key")
	}
	return reply{body: showKey(&k), version: k.Version,
		change: &change{kind: "key", id: id, before: showKey(&before), after: showKey(&k)}}, nil
}

// change applies a PATCH to the current record. It may run several times.
func (b *keyBody) change(k *gateway.Key, now time.Time, spent gateway.NanoUSD) error {
	wasRevoked := k.Revoked
	b.apply(k, now)
	b.applyState(k)
	if wasRevoked && !k.Revoked {
		if err := checkUsable("key", k, now, spent); err != nil {
			return err
		}
	}
	return checkSize(k)
}

// restores reports whether a PATCH takes a revocation back.
func (b *keyBody) restores() bool { return b.Revoked != nil && !*b.Revoked }

// checkUsable refuses to restore a key that could make no call: the operator
// would believe that it works.
func checkUsable(what string, k *gateway.Key, now time.Time, spent gateway.NanoUSD) error {
	if k.Expired(now) {
		return &gateway.Error{Kind: gateway.Conflict,
			Message: "the " + what + "'s ttl is over: send a longer ttl with revoked:false"}
	}
	for _, l := range k.AllLimits() {
		if l.Measure == gateway.Cost && l.Per == gateway.Lifetime && int64(spent) >= l.Max {
			return &gateway.Error{Kind: gateway.Conflict, Message: fmt.Sprintf(
				"the %s has spent %v of its lifetime limit of %v: raise the limit with revoked:false",
				what, spent, gateway.NanoUSD(l.Max))}
		}
	}
	return nil
}

func (a *api) getKey(r *http.Request) (any, error) {
	k, err := a.store.Key(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, stored(err, "key")
	}
	return reply{body: showKey(&k), version: k.Version}, nil
}

// deleteKey is no failure if there is no such key, as the peer has it. It refuses
// while routes or users name the key: the peer leaves them with an id of nothing.
// The version is compared before and not with the deletion: a change between the two is lost
// with the key.
func (a *api) deleteKey(r *http.Request) (any, error) {
	ctx, id := r.Context(), r.PathValue("id")
	done := &change{kind: "key", id: id}
	k, err := a.store.Key(ctx, id)
	switch {
	case err == nil:
		if err := unchanged(r, k.Version); err != nil {
			return nil, err
		}
		if err := a.keyUnused(ctx, id); err != nil {
			return nil, err
		}
		done.before = showKey(&k)
	case !errors.Is(err, gateway.ErrNotFound):
		return nil, stored(err, "key")
	}
	if err := a.store.DeleteKey(ctx, id); err != nil && !errors.Is(err, gateway.ErrNotFound) {
		return nil, stored(err, "key")
	}
	return reply{change: done}, nil
}

// keyUnused refuses if a route or a user names the key.
func (a *api) keyUnused(ctx context.Context, id string) error {
	routes, err := recordsWith(ctx, a.failoverRoutes(), func(rt *gateway.Route) bool { return slices.Contains(rt.KeyIDs, id) })
	if err != nil {
		return err
	}
	users, err := recordsWith(ctx, a.users(), func(u *gateway.User) bool { return slices.Contains(u.KeyIDs, id) })
	if err != nil {
		return err
	}
	return refer("key", referrers{"routes", routes}, referrers{"users", users})
}

type spendAnswer struct {
	ID    string `json:"id"`
	Micro int64  `json:"costInMicroDollars"` // rounded down
}

func (a *api) keySpend(r *http.Request) (any, error) {
	id := r.PathValue("id")
	spent, err := a.spent(r.Context(), id)
	if err != nil {
		return nil, err
	}
	return spendAnswer{id, spent.Micro()}, nil
}

// spent is what the key's calls have cost so far. Calls that still run count
// nothing; calls whose end was never heard of count what was reserved for them.
func (a *api) spent(ctx context.Context, id string) (gateway.NanoUSD, error) {
	k, err := a.store.Key(ctx, id)
	if err != nil {
		return 0, stored(err, "api key")
	}
	return a.spentOf(ctx, k.Hash)
}

// spentOf is what was spent by whom the counters belong to.
func (a *api) spentOf(ctx context.Context, subject string) (gateway.NanoUSD, error) {
	c, err := a.store.Counters(ctx, subject)
	if errors.Is(err, gateway.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, stored(err, "counters")
	}
	spent := gateway.NanoUSD(c.Values[limit.Spend])
	for _, open := range c.Open {
		if a.now().Before(open.Expires) {
			spent -= open.Cost
		}
	}
	return max(spent, 0), nil
}
