package e2e

import (
	"fmt"
	"testing"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/record"
	"tollgate/internal/secret"
)

// teamKeys makes keys that carry a tag, which has the limits.
func (r *loadRig) teamKeys(t *testing.T, tag string, n int, limits ...gateway.Limit) []string {
	t.Helper()
	err := record.OfTags(r.store).Create(t.Context(), &gateway.Tag{Name: tag, CreatedAt: time.Now(), Limits: limits}, nil)
	if err != nil {
		t.Fatal(err)
	}
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprint("load-key-", r.keys.Add(1))
		err := r.store.CreateKey(t.Context(), gateway.Key{ID: "id of " + keys[i], Hash: secret.HashKey(keys[i]),
			Name: "load", CreatedAt: time.Now(), SettingIDs: []string{"s"}, Tags: []string{tag}})
		if err != nil {
			t.Fatal(err)
		}
	}
	return keys
}

// balanced checks that a counter item has spent as much, with nothing in flight.
func (r *loadRig) balanced(t *testing.T, subject string, spent int64) {
	t.Helper()
	c, err := r.store.Counters(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	if c.Values[limit.Spend] != spent || c.Values[limit.InFlight] != 0 || len(c.Open) != 0 {
		t.Errorf("%s: %+v; want %d spent and nothing in flight", subject, c, spent)
	}
}

// booked is what the events of the keys say was spent. The counters of each key have
// to agree.
func (r *loadRig) booked(t *testing.T, keys []string) (spent int64) {
	t.Helper()
	for _, key := range keys {
		events, err := r.store.Events(t.Context(), gateway.EventFilter{KeyIDs: []string{"id of " + key}})
		if err != nil {
			t.Fatal(err)
		}
		var own int64
		for _, e := range events {
			own += int64(e.Cost)
		}
		r.balanced(t, secret.HashKey(key), own)
		spent += own
	}
	return spent
}

func (r *loadRig) userCost(t *testing.T) {
	keys := r.teamKeys(t, "two keys", 2)
	err := record.OfUsers(r.store).Create(t.Context(), &gateway.User{ID: "u", UserID: "bob", CreatedAt: time.Now(),
		Tags: []string{"two keys"}, CostLimit: 10_000_000}, nil)
	if err != nil {
		t.Fatal(err)
	}
	before := r.ai.Calls()
	got := r.stormBy(t, 256, upTo(1000), func(client int) (int, string, error) {
		return r.send(t.Context(), keys[client%2], `{"model":"m","max_tokens":20,"messages":[],"user":"bob"}`)
	})
	if got["200"] != 10 || r.ai.Calls()-before != 10 || got["429 cost_limit_exceeded"]+got["429 insufficient_quota"] != 990 {
		t.Errorf("%v, upstream saw %d; want exactly 10", got, r.ai.Calls()-before)
	}
	r.balanced(t, record.UserSubject("u"), 10_000_000)
	r.balanced(t, record.TagSubject("two keys"), 10_000_000)
	if spent := r.booked(t, keys); spent != 10_000_000 {
		t.Errorf("events of %d, want $0.010", spent)
	}
	for _, key := range keys { // others may call
		if status, code, err := r.call(t.Context(), key); status != 200 {
			t.Errorf("another user: %d %s, %v", status, code, err)
		}
	}
}

func (r *loadRig) tagRequests(t *testing.T) {
	keys := r.teamKeys(t, "three keys", 3, gateway.Limit{Measure: gateway.Requests, Per: gateway.Lifetime, Max: 100})
	before := r.ai.Calls()
	got := r.stormBy(t, 256, upTo(1500), func(client int) (int, string, error) { return r.call(t.Context(), keys[client%3]) })
	if got["200"] != 100 || got["429 rate_limit_exceeded"] != 1400 || r.ai.Calls()-before != 100 {
		t.Errorf("%v, upstream saw %d; want exactly 100", got, r.ai.Calls()-before)
	}
	r.balanced(t, record.TagSubject("three keys"), 100_000_000)
	if spent := r.booked(t, keys); spent != 100_000_000 {
		t.Errorf("events of %d, want $0.100", spent)
	}
}
