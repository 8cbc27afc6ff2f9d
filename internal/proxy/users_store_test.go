package proxy_test

import (
	"errors"
	"testing"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/record"
)

// What the store is asked for: a registered user is read once, and again when it has
// changed; an unknown one at each call that names it; nobody at other calls.
func TestStoreCallsOfUsersAndTags(t *testing.T) {
	r := newRig(t, standing)
	ours := func(u *gateway.User) { u.Tags = []string{"team", "none"} }
	bob := r.newUser("bob", ours)
	r.newTag("team")
	k := r.newKey(tagged("team", "none"))
	tags := record.OfTags(r.db)
	read := []string{"RecordsIn user"}
	for _, step := range []struct {
		name   string
		before func()
		body   string
		want   []string // beside Reserve and Settle
	}{
		{"cold", nil, hello, []string{"KeyByHash", "Settings", "RecordByID tag", "RecordByID tag"}},
		{"warm", nil, hello, nil},
		{"the user's first call", nil, by("bob"), read},
		{"and the next", nil, by("bob"), nil},
		{"nobody's", nil, by("ann"), read},
		{"and again", nil, by("ann"), read},
		{"registered meanwhile", func() { r.newUser("ann", ours) }, by("ann"), read},
		{"and from then on", nil, by("ann"), nil},
		{"the user has changed", func() { r.updateUser(bob, func(u *gateway.User) { u.Name = "Bob" }) }, by("bob"), append([]string{"Reserve"}, read...)},
		{"the tag has changed", func() {
			_, _, err := tags.Update(t.Context(), "team", func(v *gateway.Tag, _ int64) error { v.Limits = []gateway.Limit{perDay(99)}; return nil })
			r.must(err)
		}, by("bob"), []string{"Reserve", "RecordByID tag"}},
		{"and then", nil, by("bob"), nil},
		{"the user is gone", func() { r.must(record.OfUsers(r.db).Delete(t.Context(), bob.ID)) }, by("bob"), append([]string{"Reserve"}, read...)},
		{"the tag is gone", func() { r.must(tags.Delete(t.Context(), "team")) }, hello, []string{"Reserve", "RecordByID tag"}},
		{"and stays so", nil, hello, nil},
	} {
		if step.before != nil {
			step.before()
		}
		r.store.take()
		r.passed(r.chat(k, step.body))
		r.settled()
		got, want := map[string]int{}, map[string]int{"Reserve": 1, "Settle": 1}
		for _, call := range r.store.take() {
			got[call]++
		}
		for _, call := range step.want {
			want[call]++
		}
		for call := range want {
			if got[call] != want[call] || len(got) != len(want) {
				t.Errorf("%s: %v, want %v", step.name, got, want)
				break
			}
		}
	}
}

// Two users of one id, of different tenants: a change of the one that does not match
// yet is noticed, because what was read is not used again while one is not charged.
func TestUserThatComesToMatch(t *testing.T) {
	r := newRig(t, standing)
	r.newUser("bob", func(u *gateway.User) { u.Tags = []string{"a"} })
	other := r.newUser("bob", revoked, func(u *gateway.User) { u.Tags = []string{"b"} })
	k := r.newKey(tagged("a"))
	r.passed(r.chat(k, by("bob")))
	r.updateUser(other, func(u *gateway.User) { u.Tags = []string{"a", "b"} })
	r.refused(r.chat(k, by("bob")), 401, "user_revoked")
}

var errReading = errors.New("the disk does not answer")

// Without the store nobody knows whom a call concerns: it is not sent (T-08).
func TestUsersCannotBeRead(t *testing.T) {
	r := newRig(t, standing)
	k := r.newKey()
	r.passed(r.chat(k, hello))
	r.store.in = func() error { return errReading }
	e := r.refused(r.chat(k, by("bob")), 503, "storage_unavailable")
	r.passed(r.chat(k, hello))
	if e.Error.Message == "" || r.fake.Calls() != 2 {
		t.Errorf("%+v, %d calls", e.Error, r.fake.Calls())
	}
}

// What a refused claim may have left is taken back after the answer, as often as it
// takes; the claim itself is not tried again.
func TestRefusedClaimIsTakenBack(t *testing.T) {
	r := newRig(t, standing)
	r.newTag("team", perMinute(0))
	k := r.newKey(tagged("team"))
	r.store.reserve = func(next func() (limit.Standing, error)) (limit.Standing, error) {
		_, err := next()
		return limit.Standing{}, &limit.Unreleased{Refusal: err, Cause: errDisk}
	}
	var released []*limit.Claim
	r.store.release = func(c *limit.Claim) error {
		released = append(released, c)
		if len(released) == 1 {
			return errDisk
		}
		return nil
	}
	r.refused(r.chat(k, hello), 429, "rate_limit_exceeded")
	r.settled()
	calls := map[string]int{}
	for _, call := range r.store.take() {
		calls[call]++
	}
	if calls["Reserve"] != 1 || calls["Release"] != 2 || released[0] != released[1] || len(released[0].Also) != 1 || released[0].KeyID != k.ID {
		t.Errorf("calls %v, released %+v", calls, released)
	}
}

// A reservation that was never settled is closed by whoever sees it, be it with
// another key; its event tells whose it was.
func TestSharedReservationExpires(t *testing.T) {
	r := newRig(t, standing)
	slot := gateway.Limit{Measure: gateway.Concurrency, Max: 1}
	bob := r.newUser("bob", userLimits(slot))
	r.newTag("team", slot)
	dead, alive := r.newKey(tagged("team", "dead")), r.newKey(tagged("team"))
	r.updateUser(bob, func(u *gateway.User) { u.Tags = []string{"team", "dead"} })
	r.store.settle = func(*limit.Settlement, func() error) error { return nil } // the process is gone
	r.passed(r.chat(dead, by("bob")))
	r.settled()
	r.store.settle = nil
	a := r.chat(alive, by("bob"))
	if r.refused(a, 429, "concurrency_limit_exceeded"); a.header.Get("X-Tollgate-Limit-Scope") == "key" {
		t.Error("refused by the key")
	}
	r.clock.Add(time.Minute)
	r.passed(r.chat(alive, by("bob")))
	e := r.event(dead)
	if !e.Expired || e.Cost != 1_000_000 || e.UserID != "bob" || len(e.Tags) != 2 || e.Basis != gateway.BasisReserved {
		t.Errorf("event %+v", e)
	}
	for _, subject := range []string{record.UserSubject(bob.ID), record.TagSubject("team")} {
		if spent := r.spent(subject); spent != 2_000_000 {
			t.Errorf("%s spent %v, want $0.002", subject, spent)
		}
	}
	r.passed(r.chat(dead, hello))
	if spent := r.books(dead); spent != 2_000_000 {
		t.Errorf("the key spent %v, want $0.002", spent)
	}
	if n := len(r.events(dead)); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
}

// 64 callers with three keys spend a user's $0.01 at $0.001 a call, and a tag's 20
// calls: 10 of the user's pass, and then 10 of others.
func TestSharedLimitsUnderLoad(t *testing.T) {
	r := newRig(t, standing)
	bob := r.newUser("bob", func(u *gateway.User) { u.CostLimit, u.Tags = 10_000_000, []string{"team"} })
	r.newTag("team", perMinute(20))
	keys := []apiKey{r.newKey(tagged("team")), r.newKey(tagged("team"), budget(gateway.OneUSD)), r.newKey(tagged("team"))}
	r.same("bob's", r.clients(64, 600, func(i int) answer { return r.chat(keys[i%3], by("bob")) }), map[int]int{200: 10, 429: 590})
	r.same("others'", r.clients(64, 600, func(i int) answer { return r.chat(keys[i%3], hello) }), map[int]int{200: 10, 429: 590})
	if spent := r.spent(record.UserSubject(bob.ID)); spent != 10_000_000 {
		t.Errorf("the user spent %v, want $0.01", spent)
	}
	if spent := r.spent(record.TagSubject("team")); spent != 20_000_000 {
		t.Errorf("the tag spent %v, want $0.02", spent)
	}
	var sum gateway.NanoUSD
	for _, k := range keys {
		sum += r.books(k)
	}
	if sum != 20_000_000 || r.fake.Calls() != 20 {
		t.Errorf("the keys spent %v in %d calls, want $0.02 in 20", sum, r.fake.Calls())
	}
}
