package storetest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/secret"
)

var errFull = errors.New("no secret has ended")

// rotate gives the key a new secret, as the control plane does.
func (s *suite) rotate(id, hash string, overlap time.Duration) (gateway.Key, error) {
	return s.UpdateKey(s.ctx, id, func(k *gateway.Key) error {
		if !k.Rotate(hash, s.clock.Now(), overlap) {
			return errFull
		}
		return nil
	})
}

// leads checks which key has the secret, "" for none.
func (s *suite) leads(what, hash, id string) {
	s.Helper()
	k, err := s.KeyByHash(s.ctx, hash)
	if id == "" {
		s.is(what, err, gateway.ErrNotFound)
		return
	}
	s.must(err)
	s.same(what, k.ID, id)
	same, err := s.Key(s.ctx, id)
	s.must(err)
	s.same(what+": the key by its id", same, k)
}

// testSecretRotated follows a key through twelve secrets: it is found by the first
// and by the ten last ones, and its id and its counters stay.
func testSecretRotated(s *suite) {
	k := s.key(gateway.Limit{Measure: gateway.Requests, Per: gateway.Day, Max: 3})
	s.call(k, 0, cent)
	after, err := s.rotate(k.ID, "h1", time.Hour)
	s.must(err)
	s.same("secrets", after.Secrets, []gateway.KeySecret{{Hash: k.Hash, Until: epoch.Add(time.Hour)}, {Hash: "h1"}})
	if after.Version <= k.Version {
		s.Errorf("version %d after %d", after.Version, k.Version)
	}
	_, err = s.reserve(s.claim(k, 0, cent))
	s.is("old configuration", err, limit.ErrStale)
	for _, hash := range []string{k.Hash, "h1"} {
		s.leads("both secrets", hash, k.ID)
		got, err := s.KeyByHash(s.ctx, hash)
		s.must(err)
		s.same("what is found", got, after)
		s.call(got, 0, cent)
	}
	s.same("one set of counters", s.values(after), map[string]int64{
		s.counter(gateway.Requests, gateway.Day): 3, limit.Spend: int64(3 * cent)})
	_, err = s.reserve(s.claim(after, 0, cent))
	s.denied(err, gateway.Requests)
	_, err = s.Counters(s.ctx, "h1")
	s.is("no counters of the second secret", err, gateway.ErrNotFound)

	s.clock.advance(time.Hour)
	for i := 2; i <= 11; i++ {
		_, err := s.rotate(k.ID, fmt.Sprint("h", i), 0)
		s.must(err)
	}
	s.leads("the first names the counters", k.Hash, k.ID)
	s.leads("eleventh last", "h1", "")
	for i := 2; i <= 11; i++ {
		s.leads("one of the ten last", fmt.Sprint("h", i), k.ID)
	}
	s.same("in lists once", s.keyIDs(), []string{k.ID})
	_, err = s.rotate(s.key().ID, "h1", 0)
	s.must(err) // what was forgotten is free
}

// testSecretTaken sees that no secret gets two keys, whatever it is to the first.
func testSecretTaken(s *suite) {
	k, other := s.key(), s.key()
	_, err := s.rotate(k.ID, "newest", 0)
	s.must(err)
	before, err := s.Key(s.ctx, other.ID)
	s.must(err)
	for what, hash := range map[string]string{"ended": k.Hash, "newest": "newest"} {
		_, err := s.rotate(other.ID, hash, 0)
		s.is("rotate to another key's "+what, err, gateway.ErrExists)
		s.is("create with a "+what, s.CreateKey(s.ctx, gateway.Key{ID: "third", Hash: hash, CreatedAt: epoch}), gateway.ErrExists)
		s.leads(what, hash, k.ID)
	}
	s.leads("the other", other.Hash, other.ID)
	after, err := s.Key(s.ctx, other.ID)
	s.must(err)
	s.same("nothing changed", after, before)
	_, err = s.Key(s.ctx, "third")
	s.is("nothing made", err, gateway.ErrNotFound)
}

// testSecretDeleted sees that all secrets of a deleted key are free, and lead
// nowhere until somebody takes them.
func testSecretDeleted(s *suite) {
	k := s.key()
	s.call(k, 0, cent)
	_, err := s.rotate(k.ID, "second", time.Hour)
	s.must(err)
	s.must(s.DeleteKey(s.ctx, k.ID))
	s.leads("first", k.Hash, "")
	s.leads("second", "second", "")
	_, err = s.Counters(s.ctx, k.Hash)
	s.is("counters", err, gateway.ErrNotFound)

	again := gateway.Key{ID: "again", Hash: "second", CreatedAt: epoch}
	s.must(s.CreateKey(s.ctx, again))
	s.leads("second as a first", "second", "again")
	_, err = s.rotate("again", k.Hash, time.Hour)
	s.must(err)
	s.leads("first as a second", k.Hash, "again")
	got, err := s.KeyByHash(s.ctx, k.Hash)
	s.must(err)
	s.call(got, 0, 2*cent)
	s.same("counters begin anew", s.values(got), map[string]int64{limit.Spend: int64(2 * cent)})
	_, err = s.UpdateKey(s.ctx, k.ID, func(*gateway.Key) error { return nil })
	s.is("the old id", err, gateway.ErrNotFound)
}

// testSecretsOfNewKey makes a key that comes with several secrets.
func testSecretsOfNewKey(s *suite) {
	k := fullKey("k1", "h1")
	s.must(s.CreateKey(s.ctx, k))
	s.leads("first", "h1", "k1")
	s.leads("second", "h1 2", "k1")
	s.is("taken", s.CreateKey(s.ctx, gateway.Key{ID: "k2", Hash: "h1 2", CreatedAt: epoch}), gateway.ErrExists)
	s.must(s.DeleteKey(s.ctx, "k1"))
	s.leads("second after deletion", "h1 2", "")
}

// testSecretRace has sixteen keys want one secret at once: one gets it.
func testSecretRace(s *suite) {
	var keys [16]gateway.Key
	for i := range keys {
		keys[i] = s.key()
	}
	var winner atomic.Value
	var won atomic.Int64
	parallel(len(keys), func(i int) {
		_, err := s.rotate(keys[i].ID, "wanted", time.Hour)
		switch {
		case err == nil:
			won.Add(1)
			winner.Store(keys[i].ID)
		case !errors.Is(err, gateway.ErrExists):
			s.Error(err)
		}
	})
	if won.Load() != 1 {
		s.Fatalf("%d keys got the secret, want 1", won.Load())
	}
	s.leads("the secret", "wanted", winner.Load().(string))
}

// testSecretFaults lets each storage call of a life with two secrets fail once. Who
// repeats a rotation that failed may find that the key has the secret.
func testSecretFaults(s *suite) {
	n := 0
	s.eachFault(s.faults.once, func() (round, check func()) {
		n++
		k, second := s.key(), fmt.Sprint("second ", n)
		gone := gateway.Key{ID: fmt.Sprint("gone ", n), Hash: secret.HashKey(fmt.Sprint("gone ", n)), CreatedAt: epoch,
			Secrets: []gateway.KeySecret{{Hash: fmt.Sprint("gone second ", n)}}}
		s.must(s.CreateKey(s.ctx, gone))
		round = func() {
			s.must(s.insistPlain(func() error {
				_, err := s.UpdateKey(s.ctx, k.ID, func(k *gateway.Key) error {
					if k.Newest() != second {
						k.Rotate(second, s.clock.Now(), time.Hour)
					}
					return nil
				})
				return err
			}))
			s.must(s.insistPlain(func() error { return s.DeleteKey(s.ctx, gone.ID) }))
		}
		check = func() {
			s.leads("first", k.Hash, k.ID)
			s.leads("second", second, k.ID)
			got, err := s.KeyByHash(s.ctx, second)
			s.must(err)
			s.same("secrets", got.Secrets, []gateway.KeySecret{{Hash: k.Hash, Until: epoch.Add(time.Hour)}, {Hash: second}})
			s.call(got, 0, cent)
			for _, hash := range gone.Hashes() {
				s.leads("deleted", hash, "")
			}
		}
		return round, check
	})
}
