package storetest

import (
	"fmt"
	"slices"

	"tollgate/internal/gateway"
)

// testKeysUsing follows the references of keys through all that can become of them.
func testKeysUsing(s *suite) {
	using := func(when string, want map[gateway.Reference][]string) {
		s.Helper()
		for r, ids := range want {
			got, err := s.KeysUsing(s.ctx, r)
			s.must(err)
			slices.Sort(got)
			s.same(fmt.Sprint(when, ": ", r), append([]string{}, got...), ids)
		}
	}
	var (
		setting = gateway.Reference{To: gateway.ToSetting, ID: "s1"}
		other   = gateway.Reference{To: gateway.ToSetting, ID: "s2"}
		tag     = gateway.Reference{To: gateway.ToTag, ID: "a#b/ c"}
		policy  = gateway.Reference{To: gateway.ToPolicy, ID: "p1"}
		named   = gateway.Reference{To: gateway.ToTag, ID: "p1"} // as the policy
	)
	for i, k := range []gateway.Key{
		{SettingID: "s1", SettingIDs: []string{"s1", "s2"}, Tags: []string{"a#b/ c", "a#b/ c"}, PolicyID: "p1"},
		{SettingIDs: []string{"s1"}, Tags: []string{"p1"}},
	} {
		k.ID, k.Hash, k.CreatedAt = fmt.Sprint("k", i), fmt.Sprint("h", i), epoch
		s.must(s.CreateKey(s.ctx, k))
	}
	using("created", map[gateway.Reference][]string{setting: {"k0", "k1"}, other: {"k0"}, tag: {"k0"}, policy: {"k0"}, named: {"k1"}})
	_, err := s.UpdateKey(s.ctx, "k0", func(k *gateway.Key) error {
		k.SettingIDs, k.Tags, k.PolicyID = []string{"s1"}, nil, ""
		return nil
	})
	s.must(err)
	_, err = s.UpdateKey(s.ctx, "k1", func(k *gateway.Key) error {
		k.Tags, k.PolicyID = append(k.Tags, "a#b/ c"), "p1"
		return nil
	})
	s.must(err)
	using("changed", map[gateway.Reference][]string{setting: {"k0", "k1"}, other: {}, tag: {"k1"}, policy: {"k1"}, named: {"k1"}})
	s.must(s.DeleteKey(s.ctx, "k1"))
	using("deleted", map[gateway.Reference][]string{setting: {"k0"}, other: {}, tag: {}, policy: {}, named: {}})
}
