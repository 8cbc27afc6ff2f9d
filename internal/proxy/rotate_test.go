package proxy_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"tollgate/internal/gateway"
	"tollgate/internal/secret"
)

// rotate gives a key a new secret, as the control plane does, and returns the key as
// the callers of the new one have it.
func (r *rig) rotate(k apiKey, overlap time.Duration) apiKey {
	r.Helper()
	next := apiKey{Key: k.Key, secret: "tg-" + uuid.NewString()}
	r.updateKey(k, func(k *gateway.Key) {
		if !k.Rotate(secret.HashKey(next.secret), r.now(), overlap) {
			r.Error("not rotated")
		}
	})
	return next
}

// AK-46: both secrets work during the overlap, on one set of counters and under one
// id, and after it the new one alone, from the first call on.
func TestRotatedSecret(t *testing.T) {
	r := newRig(t, standing)
	first := r.newKey(limited(gateway.Limit{Measure: gateway.Requests, Per: gateway.Day, Max: 6}))
	r.passed(r.chat(first, hello)) // known, with the configuration of before
	second := r.rotate(first, time.Hour)
	r.passed(r.chat(second, hello))
	r.passed(r.chat(first, hello))
	r.clock.Add(time.Hour - time.Millisecond)
	r.passed(r.chat(first, hello))
	r.clock.Add(time.Millisecond)
	r.refused(r.chat(first, hello), 401, "api_key_expired")
	r.passed(r.chat(second, hello))
	r.passed(r.chat(second, hello))
	r.refused(r.chat(second, hello), 429, "rate_limit_exceeded") // the seventh of six
	if n := r.fake.Calls(); n != 6 {
		t.Errorf("the provider was called %d times, want 6", n)
	}
	if spent := r.books(first); spent != 6_000_000 {
		t.Errorf("spent %v, want six calls at $0.001", spent)
	}
	for _, e := range r.events(first) {
		if e.KeyID != first.ID {
			t.Errorf("event of key %s, want %s", e.KeyID, first.ID)
		}
	}
}

// An overlap of zero ends what is known and busy at once, and a second rotation ends
// the secrets before it with its own overlap at the latest.
func TestRotatedAtOnce(t *testing.T) {
	r := newRig(t, standing)
	first := r.newKey()
	r.passed(r.chat(first, hello))
	second := r.rotate(first, 0)
	r.refused(r.chat(first, hello), 401, "api_key_expired")
	r.passed(r.chat(second, hello))
	third := r.rotate(first, 2*time.Hour)
	r.clock.Add(time.Hour)
	r.passed(r.chat(second, hello))
	fourth := r.rotate(first, 10*time.Minute)
	r.clock.Add(10*time.Minute - 1)
	for _, k := range []apiKey{second, third, fourth} {
		r.passed(r.chat(k, hello))
	}
	r.clock.Add(1)
	r.refused(r.chat(second, hello), 401, "api_key_expired")
	r.refused(r.chat(third, hello), 401, "api_key_expired")
	r.passed(r.chat(fourth, hello))
}

// What an operator changes of a key acts on callers with each of its secrets, and a
// deleted key is known by none.
func TestRotatedKeyChanges(t *testing.T) {
	r := newRig(t)
	first := r.newKey()
	second := r.rotate(first, time.Hour)
	both := []apiKey{first, second}
	for _, k := range both {
		r.passed(r.chat(k, hello))
	}
	r.updateKey(first, func(k *gateway.Key) { k.Revoked = true })
	for _, k := range both {
		r.refused(r.chat(k, hello), 401, "api_key_revoked")
	}
	r.updateKey(first, func(k *gateway.Key) { k.Revoked = false })
	for _, k := range both {
		r.passed(r.chat(k, hello))
	}
	r.must(r.db.DeleteKey(t.Context(), first.ID))
	for _, k := range both {
		r.refused(r.chat(k, hello), 401, "invalid_api_key")
	}
	// AK-69: a new key with the second secret has its own limits, from the first call on.
	again := second
	again.Key = gateway.Key{ID: uuid.NewString(), Hash: secret.HashKey(second.secret), CreatedAt: r.now(),
		SettingIDs: first.SettingIDs, CostLimit: 1_000_000}
	r.must(r.db.CreateKey(t.Context(), again.Key))
	r.passed(r.chat(again, hello))
	r.settled()
	r.refused(r.chat(again, hello), 429, "insufficient_quota")
	r.refused(r.chat(first, hello), 401, "invalid_api_key")
	if spent := r.books(again); spent != 1_000_000 {
		t.Errorf("spent %v, want $0.001", spent)
	}
}
