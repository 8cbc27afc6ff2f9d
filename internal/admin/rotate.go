package admin

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/secret"
)

// rotateBody is how a key's secret is replaced. overlap has to be sent: whether the
// callers of the present secret are cut off at once is not to be decided by what was
// forgotten.
type rotateBody struct {
	Overlap *string `json:"overlap"` // as a ttl; "0s": the secrets before end now
	Key     *string `json:"key"`     // the new secret; without it one is made
}

func (b *rotateBody) check() (overlap time.Duration, err error) {
	if b.Overlap == nil || *b.Overlap == "" {
		return 0, invalid(`overlap has to say how long the present secret goes on: "24h", "7d", or "0s" to end it now`)
	}
	var f faults
	overlap, err = parseTTL(*b.Overlap)
	f.add("overlap", err != nil)
	f.add("key", b.Key != nil && badSecret(*b.Key))
	if len(f) > 0 {
		return 0, f.err()
	}
	return overlap, nil
}

// rotateKey gives a key another secret. All else of it, counters included, stays; a
// revoked key stays revoked, so that a leaked one can be stopped first.
func (a *api) rotateKey(r *http.Request) (any, error) {
	var b rotateBody
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	overlap, err := b.check()
	if err != nil {
		return nil, err
	}
	text, generated := secretOrNew(b.Key)
	var before gateway.Key
	k, err := a.store.UpdateKey(r.Context(), r.PathValue("id"), func(k *gateway.Key) error {
		if err := unchanged(r, k.Version); err != nil {
			return err
		}
		before = *k
		return rotate(k, text, a.now().UTC(), overlap)
	})
	if errors.Is(err, gateway.ErrExists) {
		return nil, stored(err, "a key with this secret")
	}
	if err != nil {
		return nil, stored(err, "key")
	}
	return reply{body: showNewSecret(&k, text, generated), version: k.Version, change: &change{
		kind: "key", id: k.ID, before: showKey(&before), after: showKey(&k), secrets: []string{"key"}}}, nil
}

// rotate refuses a secret that the key has or had: nothing would be replaced.
func rotate(k *gateway.Key, text string, now time.Time, overlap time.Duration) error {
	hash := secret.HashKey(text)
	if slices.Contains(k.Hashes(), hash) {
		return gateway.ErrExists
	}
	if !k.Rotate(hash, now, overlap) {
		return &gateway.Error{Kind: gateway.Conflict, Message: fmt.Sprintf(
			`the key has %d secrets that still work: wait for one to end, or end all with the overlap "0s"`, gateway.MaxSecrets)}
	}
	if k.NotHashed {
		k.Hint = hint(text)
	}
	k.UpdatedAt = now
	return checkSize(k)
}
