package storetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
)

// fullKey has every field set, so that one that a store loses is missed.
func fullKey(id, hash string) gateway.Key {
	return gateway.Key{
		ID: id, Hash: hash, Name: "Ärger & Söhne", CreatedAt: epoch, UpdatedAt: epoch.Add(time.Second),
		Tags: []string{"a", "b c"}, Revoked: true, RevokedReason: "lost",
		TTL: "720h", ExpiresAt: epoch.Add(720 * time.Hour),
		CostLimit: 5, CostLimitOver: 3, CostLimitUnit: gateway.Day,
		RateLimitOver: 7, RateLimitUnit: gateway.Minute,
		Limits:    []gateway.Limit{{Measure: gateway.Tokens, Per: gateway.Hour, Max: 9}},
		SettingID: "s1", SettingIDs: []string{"s1", "s2"}, RotationEnabled: true,
		AllowedPaths: []gateway.AllowedPath{{Method: "POST", Path: "/api/:x"}},
		UnknownModel: gateway.UnknownModelDeny, LogRequest: true, LogResponse: true,
		PolicyID: "p1", NotHashed: true, Hint: "sk-…9",
		Secrets: []gateway.KeySecret{{Hash: hash, Until: epoch.Add(time.Hour)}, {Hash: hash + " 2"}},
	}
}

func testKeyCRUD(s *suite) {
	_, err := s.Key(s.ctx, "k1")
	s.is("Key of nothing", err, gateway.ErrNotFound)
	_, err = s.KeyByHash(s.ctx, "h1")
	s.is("KeyByHash of nothing", err, gateway.ErrNotFound)
	list, err := s.Keys(s.ctx)
	s.must(err)
	s.same("no keys", list, []gateway.Key{})

	k := fullKey("k1", "h1")
	s.must(s.CreateKey(s.ctx, k))
	got, err := s.Key(s.ctx, "k1")
	s.must(err)
	if got.Version == 0 {
		s.Error("no version")
	}
	k.Version = got.Version
	s.same("Key", got, k)
	got, err = s.KeyByHash(s.ctx, "h1")
	s.must(err)
	s.same("KeyByHash", got, k)
	c, err := s.Counters(s.ctx, "h1")
	s.must(err)
	s.same("counters", c, limit.Counters{Version: k.Version})

	s.clock.advance(time.Second)
	later := gateway.Key{ID: "k0", Hash: "h0", CreatedAt: s.clock.Now()}
	same := gateway.Key{ID: "k2", Hash: "h2", CreatedAt: epoch}
	s.must(s.CreateKey(s.ctx, same))
	s.must(s.CreateKey(s.ctx, later))
	s.same("Keys", s.keyIDs(), []string{"k0", "k1", "k2"})

	s.must(s.DeleteKey(s.ctx, "k1"))
	s.must(s.DeleteKey(s.ctx, "k1"))
	s.must(s.DeleteKey(s.ctx, "never was"))
	_, err = s.Key(s.ctx, "k1")
	s.is("Key after deletion", err, gateway.ErrNotFound)
	_, err = s.KeyByHash(s.ctx, "h1")
	s.is("KeyByHash after deletion", err, gateway.ErrNotFound)
	s.same("Keys after deletion", s.keyIDs(), []string{"k0", "k2"})
}

func (s *suite) keyIDs() []string {
	s.Helper()
	list, err := s.Keys(s.ctx)
	s.must(err)
	ids := make([]string, len(list))
	for i, k := range list {
		ids[i] = k.ID
	}
	return ids
}

func testKeyExists(s *suite) {
	k := s.key()
	sameHash := gateway.Key{ID: "other", Hash: k.Hash, CreatedAt: epoch}
	s.is("same hash", s.CreateKey(s.ctx, sameHash), gateway.ErrExists)
	sameID := gateway.Key{ID: k.ID, Hash: "other", CreatedAt: epoch}
	s.is("same id", s.CreateKey(s.ctx, sameID), gateway.ErrExists)
	s.is("the same", s.CreateKey(s.ctx, k), gateway.ErrExists)
	_, err := s.Key(s.ctx, "other")
	s.is("nothing left of the first", err, gateway.ErrNotFound)
	_, err = s.KeyByHash(s.ctx, "other")
	s.is("nothing left of the second", err, gateway.ErrNotFound)
	_, err = s.Counters(s.ctx, "other")
	s.is("no counters of the second", err, gateway.ErrNotFound)
	got, err := s.Key(s.ctx, k.ID)
	s.must(err)
	s.same("the key there was", got, k)
}

func testKeyUpdate(s *suite) {
	_, err := s.UpdateKey(s.ctx, "nobody", func(*gateway.Key) error { return nil })
	s.is("no such key", err, gateway.ErrNotFound)

	k := s.key()
	refuse := errors.New("refused")
	_, err = s.UpdateKey(s.ctx, k.ID, func(k *gateway.Key) error {
		k.Name = "not this"
		return refuse
	})
	s.is("error of change", err, refuse)
	got, err := s.Key(s.ctx, k.ID)
	s.must(err)
	s.same("after the refusal", got, k)

	updated, err := s.UpdateKey(s.ctx, k.ID, func(k *gateway.Key) error {
		k.Name, k.UpdatedAt = "renamed", epoch.Add(time.Hour)
		k.ID, k.Hash, k.CreatedAt, k.Version = "x", "y", epoch.Add(time.Hour), 3
		return nil
	})
	s.must(err)
	want := k
	want.Name, want.UpdatedAt, want.Version = "renamed", epoch.Add(time.Hour), updated.Version
	s.same("UpdateKey's answer", updated, want)
	got, err = s.Key(s.ctx, k.ID)
	s.must(err)
	s.same("Key", got, want)
	got, err = s.KeyByHash(s.ctx, k.Hash)
	s.must(err)
	s.same("KeyByHash", got, want)
	if want.Version <= k.Version {
		s.Errorf("version %d after %d, although the clock stood still", want.Version, k.Version)
	}
	c, err := s.Counters(s.ctx, k.Hash)
	s.must(err)
	if c.Version != want.Version {
		s.Errorf("counters have version %d, the key %d", c.Version, want.Version)
	}
	s.clock.advance(time.Second)
	again, err := s.UpdateKey(s.ctx, k.ID, func(*gateway.Key) error { return nil })
	s.must(err)
	if again.Version < s.clock.Now().UnixMicro() {
		s.Errorf("version %d is not the time", again.Version)
	}
}

func testKeyUpdateParallel(s *suite) {
	k := s.key()
	var want []string
	for i := range 50 {
		want = append(want, fmt.Sprintf("tag%02d", i))
	}
	parallel(50, func(i int) {
		_, err := s.UpdateKey(s.ctx, k.ID, func(k *gateway.Key) error {
			k.Tags = append(k.Tags, want[i])
			return nil
		})
		if err != nil {
			s.Error(err)
		}
	})
	got, err := s.Key(s.ctx, k.ID)
	s.must(err)
	slices.Sort(got.Tags)
	s.same("tags", got.Tags, want)
	if got.Version < k.Version+50 {
		s.Errorf("version %d after 50 changes of %d", got.Version, k.Version)
	}
	c, err := s.Counters(s.ctx, k.Hash)
	s.must(err)
	if c.Version != got.Version {
		s.Errorf("counters have version %d, the key %d", c.Version, got.Version)
	}
}

// testKeyRecreated makes sure that a configuration cached before the deletion is
// not taken for the new one's.
func testKeyRecreated(s *suite) {
	k := s.key()
	s.call(k, 0, cent)
	s.must(s.DeleteKey(s.ctx, k.ID))
	s.clock.advance(time.Millisecond)
	s.must(s.CreateKey(s.ctx, k))
	again, err := s.Key(s.ctx, k.ID)
	s.must(err)
	if again.Version <= k.Version {
		s.Errorf("version %d after %d", again.Version, k.Version)
	}
	_, err = s.reserve(s.claim(k, 0, cent))
	s.is("old configuration", err, limit.ErrStale)
	s.call(again, 0, cent)
	s.same("counters begin anew", s.values(again), map[string]int64{limit.Spend: int64(cent)})
}

func testKeyOddCharacters(s *suite) {
	odd := []string{"#", "K#1", "a/b", "a b", "ключ", "a\x00b", "a\x00", "%00", `"quoted"`, "🔑", "k\n"}
	for i, name := range odd {
		k := fullKey(name, fmt.Sprint("hash ", name))
		k.Name, k.Tags, k.SettingID, k.SettingIDs = name, odd, name, odd
		s.must(s.CreateKey(s.ctx, k))
		got, err := s.Key(s.ctx, name)
		s.must(err)
		k.Version = got.Version
		s.same(fmt.Sprintf("key %d", i), got, k)
	}
	if n := len(s.keyIDs()); n != len(odd) {
		s.Errorf("%d keys, want %d", n, len(odd))
	}
}
