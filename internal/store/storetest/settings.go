package storetest

import (
	"errors"
	"fmt"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
)

func fullSetting(id string) gateway.Setting {
	return gateway.Setting{
		ID: id, Provider: "openai", Name: "Ünïcode #1", CreatedAt: epoch, UpdatedAt: epoch.Add(time.Second),
		Params: map[string]string{"url": "https://example.com/v1?a=b"}, Sealed: []byte{0, 1, 255},
		AllowedModels: []string{"m1", "m2"},
		CostMap: &gateway.CostMap{
			Prompt: map[string]int64{"m1": 1}, Completion: map[string]int64{"m1": 2}, Embeddings: map[string]int64{"m2": 3},
		},
	}
}

func testSettingCRUD(s *suite) {
	_, err := s.Setting(s.ctx, "s1")
	s.is("nothing there", err, gateway.ErrNotFound)
	_, err = s.UpdateSetting(s.ctx, "s1", func(*gateway.Setting) error { return nil })
	s.is("update of nothing", err, gateway.ErrNotFound)
	all, err := s.AllSettings(s.ctx)
	s.must(err)
	s.same("no settings", all, []gateway.Setting{})

	one := fullSetting("s1")
	s.must(s.CreateSetting(s.ctx, one))
	s.is("again", s.CreateSetting(s.ctx, gateway.Setting{ID: "s1"}), gateway.ErrExists)
	got, err := s.Setting(s.ctx, "s1")
	s.must(err)
	if got.Version == 0 {
		s.Error("no version")
	}
	one.Version = got.Version
	s.same("Setting", got, one)

	for i, id := range []string{"s0", "s/2#"} {
		v := fullSetting(id)
		v.CreatedAt = epoch.Add(time.Duration(1-i) * time.Hour)
		s.must(s.CreateSetting(s.ctx, v))
	}
	all, err = s.AllSettings(s.ctx)
	s.must(err)
	s.same("AllSettings", settingIDs(all), []string{"s0", "s/2#", "s1"})
	some, err := s.Settings(s.ctx, []string{"s1", "gone", "s/2#", "s1"})
	s.must(err)
	s.same("Settings", settingIDs(some), []string{"s1", "s/2#", "s1"})
	none, err := s.Settings(s.ctx, nil)
	s.must(err)
	s.same("Settings of nothing", none, []gateway.Setting{})

	s.updateSetting(one)
	s.must(s.DeleteSetting(s.ctx, "s1"))
	s.must(s.DeleteSetting(s.ctx, "s1"))
	_, err = s.Setting(s.ctx, "s1")
	s.is("after deletion", err, gateway.ErrNotFound)
}

func (s *suite) updateSetting(one gateway.Setting) {
	refuse := errors.New("refused")
	_, err := s.UpdateSetting(s.ctx, one.ID, func(v *gateway.Setting) error {
		v.Params["url"] = "not this"
		return refuse
	})
	s.is("error of change", err, refuse)
	got, err := s.Setting(s.ctx, one.ID)
	s.must(err)
	s.same("after the refusal", got, one)

	updated, err := s.UpdateSetting(s.ctx, one.ID, func(v *gateway.Setting) error {
		v.Sealed = []byte("new")
		v.ID, v.CreatedAt, v.Version = "x", epoch.Add(time.Hour), 3
		return nil
	})
	s.must(err)
	if updated.Version <= one.Version {
		s.Errorf("version %d after %d", updated.Version, one.Version)
	}
	one.Sealed, one.Version = []byte("new"), updated.Version
	s.same("UpdateSetting's answer", updated, one)
	got, err = s.Setting(s.ctx, one.ID)
	s.must(err)
	s.same("Setting", got, one)
}

func settingIDs(list []gateway.Setting) []string {
	ids := make([]string, len(list))
	for i, v := range list {
		ids[i] = v.ID
	}
	return ids
}

// testSettingBumpsKeys rotates a credential: calls that were decided on the old
// one must not pass any more, and nobody else's.
func testSettingBumpsKeys(s *suite) {
	var keys []gateway.Key
	for i, k := range []gateway.Key{{SettingID: "s1"}, {SettingIDs: []string{"s2", "s1"}}, {SettingID: "s2"}, {}} {
		k.ID, k.Hash, k.CreatedAt = fmt.Sprint("k", i), fmt.Sprint("h", i), epoch
		s.must(s.CreateKey(s.ctx, k))
		k, err := s.Key(s.ctx, k.ID)
		s.must(err)
		keys = append(keys, k)
	}
	s.must(s.CreateSetting(s.ctx, gateway.Setting{ID: "s1", CreatedAt: epoch}))
	s.must(s.CreateSetting(s.ctx, gateway.Setting{ID: "s2", CreatedAt: epoch}))
	for i := range keys {
		s.call(keys[i], 0, cent) // a new setting is not one that changed
	}

	_, err := s.UpdateSetting(s.ctx, "s1", func(v *gateway.Setting) error { v.Name = "new"; return nil })
	s.must(err)
	s.stale("after the update", keys, []bool{true, true, false, false})
	s.must(s.DeleteSetting(s.ctx, "s2"))
	s.stale("after the deletion", keys, []bool{false, true, true, false})
}

// stale checks which keys' configurations are out of date, and reads them again.
func (s *suite) stale(when string, keys []gateway.Key, want []bool) {
	s.Helper()
	for i := range keys {
		c := s.claim(keys[i], 0, cent)
		_, err := s.reserve(c)
		if got := errors.Is(err, limit.ErrStale); got != want[i] {
			s.Errorf("%s: key %d stale %t, want %t", when, i, got, want[i])
		}
		fresh, err := s.Key(s.ctx, keys[i].ID)
		s.must(err)
		if (fresh.Version > keys[i].Version) != want[i] {
			s.Errorf("%s: key %d has version %d after %d", when, i, fresh.Version, keys[i].Version)
		}
		keys[i] = fresh
		s.call(fresh, 0, cent)
	}
}

func testSettingAndKeyParallel(s *suite) {
	s.must(s.CreateSetting(s.ctx, gateway.Setting{ID: "s1", CreatedAt: epoch}))
	k := s.key()
	k, err := s.UpdateKey(s.ctx, k.ID, func(k *gateway.Key) error { k.SettingID = "s1"; return nil })
	s.must(err)
	parallel(16, func(i int) {
		var err error
		if i%2 == 0 {
			_, err = s.UpdateSetting(s.ctx, "s1", func(v *gateway.Setting) error {
				v.AllowedModels = append(v.AllowedModels, fmt.Sprint(i))
				return nil
			})
		} else {
			_, err = s.UpdateKey(s.ctx, k.ID, func(k *gateway.Key) error {
				k.Tags = append(k.Tags, fmt.Sprint(i))
				return nil
			})
		}
		if err != nil {
			s.Error(err)
		}
	})
	v, err := s.Setting(s.ctx, "s1")
	s.must(err)
	got, err := s.Key(s.ctx, k.ID)
	s.must(err)
	if len(v.AllowedModels) != 8 || len(got.Tags) != 8 {
		s.Errorf("models %v, tags %v, want 8 of each", v.AllowedModels, got.Tags)
	}
	s.call(got, 0, cent)
}

func testPing(s *suite) { s.must(s.Ping(s.ctx)) }
