package proxy_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/internal/gateway"
)

// AU-01 to AU-04: where a key may stand, and which one counts.
func TestWhereTheKeyStands(t *testing.T) {
	r := newRig(t)
	k := r.newKey()
	shown := r.newKey(func(k *gateway.Key) { k.NotHashed = true })
	for _, test := range []struct {
		name   string
		header []string
		status int
	}{
		{"AU-01 bearer", []string{"Authorization: Bearer " + k.secret}, 200},
		{"AU-01 any scheme", []string{"Authorization: Token  " + k.secret + " "}, 200},
		{"AU-02 x-api-key", []string{"x-api-key: " + k.secret}, 200},
		{"AU-03 api-key", []string{"api-key: " + k.secret}, 200},
		{"AU-04 first of three", []string{"x-api-key: " + k.secret, "api-key: no", "Authorization: Bearer no"}, 200},
		{"AU-04 second of three", []string{"x-api-key: no", "api-key: " + k.secret, "Authorization: Bearer no"}, 401},
		{"AU-04 last of three", []string{"x-api-key: no", "api-key: no", "Authorization: Bearer " + k.secret}, 401},
		{"no scheme", []string{"Authorization: " + k.secret}, 401},
		{"AU-08 one that the admin API shows", []string{"Authorization: Bearer " + shown.secret}, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := r.call("", "POST", chat, hello, test.header...)
			if a.status != test.status {
				t.Errorf("got %d %s, want %d", a.status, a.body, test.status)
			}
		})
	}
	// AU-01: the provider gets the setting's key, and AU-20: it gets ours nowhere.
	for _, req := range r.fake.Requests() {
		if got := req.Header["Authorization"]; len(got) != 1 || got[0] != "Bearer "+upstreamKey {
			t.Errorf("the provider saw Authorization %q", got)
		}
		for name, values := range req.Header {
			if seen := strings.Join(values, " "); strings.Contains(seen, k.secret) || strings.Contains(seen, shown.secret) {
				t.Errorf("the provider saw the caller's key in %s", name)
			}
		}
	}
	if n := len(r.fake.Requests()); n != 6 {
		t.Errorf("the provider was called %d times, want 6", n)
	}
}

// What is refused before the limits, and with which words.
func TestRefusedKeys(t *testing.T) {
	r := newRig(t, standing)
	vllm := r.newSetting("x", func(s *gateway.Setting) { s.Provider = "vllm" })
	deepinfra := r.newSetting("x", func(s *gateway.Setting) { s.Provider = "deepinfra" })
	with := func(f func(*gateway.Key)) string { return r.newKey(f).secret }
	good := r.newKey()
	hash := sha256.Sum256([]byte(good.secret))
	for _, test := range []struct {
		name, key, code string
	}{
		{"AU-05 no key", "", "invalid_api_key"},
		{"AU-06 AU-10 unknown key", "wrong-key-123456", "invalid_api_key"},
		{"AU-07 revoked", with(func(k *gateway.Key) { k.Revoked = true }), "api_key_revoked"},
		{"AU-09 the stored hash is no key", hex.EncodeToString(hash[:]), "invalid_api_key"},
		{"AU-11 AU-10 setting of another provider", with(func(k *gateway.Key) { k.SettingIDs = []string{vllm.ID} }), "provider_not_configured"},
		{"AU-12 deepinfra key", with(func(k *gateway.Key) { k.SettingIDs = []string{deepinfra.ID} }), "provider_not_configured"},
		{"no setting", with(func(k *gateway.Key) { k.SettingIDs = nil }), "provider_not_configured"},
		{"setting that was deleted", with(func(k *gateway.Key) { k.SettingIDs = []string{"gone"} }), "provider_not_configured"},
		{"LM-12 expired", with(func(k *gateway.Key) { k.ExpiresAt = noon.Add(-time.Second) }), "api_key_expired"},
		{"LM-13 expires now", with(func(k *gateway.Key) { k.ExpiresAt = noon }), "api_key_expired"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := r.call(test.key, "POST", chat, hello)
			r.refused(a, 401, test.code)
			// AU-10: no part of a key, not even a masked one.
			if test.key != "" && strings.Contains(a.body, test.key[:5]) {
				t.Errorf("key material in %s", a.body)
			}
		})
	}
	if n := r.fake.Calls(); n != 0 {
		t.Errorf("the provider was called %d times", n)
	}
}

// LM-13: a key that expires while it is known is refused at its very first call
// after that, also one that the admin API shows.
func testExpiry(t *testing.T) {
	r := newRig(t, standing)
	k := r.newKey(func(k *gateway.Key) { k.ExpiresAt, k.NotHashed = noon.Add(2*time.Second), true })
	r.passed(r.chat(k, hello))
	r.clock.Add(2*time.Second - time.Millisecond)
	r.passed(r.chat(k, hello))
	r.clock.Add(time.Millisecond)
	r.refused(r.chat(k, hello), 401, "api_key_expired")
	if n := r.fake.Calls(); n != 2 {
		t.Errorf("the provider was called %d times, want 2", n)
	}
}

// AU-13 to AU-17: which setting a call uses.
func TestWhichSetting(t *testing.T) {
	r := newRig(t)
	second := r.newSetting("sk-2")
	only := func(models ...string) string {
		return r.newSetting("sk-"+models[0], func(s *gateway.Setting) { s.AllowedModels = models }).ID
	}
	first := r.setting.ID
	for _, test := range []struct {
		name  string
		key   func(*gateway.Key)
		model string
		calls int
		seen  map[string]int // how often the provider saw each credential; -1 for "some"
	}{
		{"AU-13 settingId", func(k *gateway.Key) { k.SettingID, k.SettingIDs = second.ID, nil }, "m", 1, map[string]int{"sk-2": 1}},
		{"AU-13 settingIds", func(k *gateway.Key) { k.SettingIDs = []string{second.ID} }, "m", 1, map[string]int{"sk-2": 1}},
		{"AU-14 the first that fits", func(k *gateway.Key) { k.SettingIDs = []string{first, second.ID} }, "m", 20, map[string]int{upstreamKey: 20}},
		{"AU-15 rotation", func(k *gateway.Key) { k.SettingIDs, k.RotationEnabled = []string{first, second.ID}, true }, "m", 200, map[string]int{upstreamKey: -1, "sk-2": -1}},
		{"AU-17 by model", func(k *gateway.Key) { k.SettingIDs = []string{only("m1"), only("m2")} }, "m2", 3, map[string]int{"sk-m2": 3}},
		{"AU-17 rotation by model", func(k *gateway.Key) {
			k.SettingIDs, k.RotationEnabled = []string{only("m1"), only("m2")}, true
		}, "m1", 20, map[string]int{"sk-m1": 20}},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := r.newKey(test.key)
			before := len(r.fake.Requests())
			for range test.calls {
				r.passed(r.chat(k, strings.Replace(hello, `"m"`, `"`+test.model+`"`, 1)))
			}
			seen := map[string]int{}
			for _, req := range r.fake.Requests()[before:] {
				seen[strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")]++
			}
			for credential, want := range test.seen {
				got := seen[credential]
				// Of 200 fair draws fewer than 60 or more than 140 fall to one
				// side once in a hundred million times.
				if want >= 0 && got != want || want < 0 && (got < 60 || got > 140) {
					t.Errorf("%s was used %d times of %d", credential, got, test.calls)
				}
			}
			if len(seen) != len(test.seen) {
				t.Errorf("used %v", seen)
			}
		})
	}
}

// AU-16: a setting's url and credential go together.
func testRotationKeepsSettingsWhole(t *testing.T) {
	r := newRig(t)
	var ids []string
	for _, name := range []string{"a", "b", "c"} {
		ids = append(ids, r.newSetting("sk-"+name, func(s *gateway.Setting) { s.Params["url"] = r.upstream.URL + "/" + name }).ID)
	}
	k := r.newKey(func(k *gateway.Key) { k.SettingIDs, k.RotationEnabled = ids, true })
	r.same("statuses", r.clients(8, 60, func(int) answer { return r.chat(k, hello) }), map[int]int{200: 60})
	for _, req := range r.fake.Requests() {
		path, credential := strings.Split(req.Path, "/")[1], strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer sk-")
		if path != credential {
			t.Errorf("credential %s went to %s", credential, path)
		}
	}
}

// AU-07, AU-23, AU-24, LM-11: what an operator changes holds from the next call on.
func TestChangesActAtOnce(t *testing.T) {
	r := newRig(t)
	k := r.newKey()
	revoke := func(on bool) func() { return func() { r.updateKey(k, func(k *gateway.Key) { k.Revoked = on }) } }
	r.passed(r.chat(k, hello))
	for _, step := range []struct {
		name   string
		change func()
		status int
		code   string
	}{
		{"AU-07 revoked", revoke(true), 401, "api_key_revoked"},
		{"un-revoked", revoke(false), 200, ""},
		{"budget below what is spent", func() { r.updateKey(k, func(k *gateway.Key) { k.CostLimit = 2_000_000 }) }, 429, "insufficient_quota"},
		{"LM-11 budget raised", func() { r.updateKey(k, func(k *gateway.Key) { k.CostLimit = 3_000_000 }) }, 200, ""},
		{"budget taken away", func() { r.updateKey(k, func(k *gateway.Key) { k.CostLimit = 0 }) }, 200, ""},
		{"model forbidden", func() {
			r.updateSetting(r.setting.ID, func(s *gateway.Setting) { s.AllowedModels = []string{"other"} })
		}, 403, "model_not_allowed"},
		{"model allowed", func() { r.updateSetting(r.setting.ID, func(s *gateway.Setting) { s.AllowedModels = nil }) }, 200, ""},
		{"path forbidden", func() {
			r.updateKey(k, func(k *gateway.Key) {
				k.AllowedPaths = []gateway.AllowedPath{{Method: "POST", Path: openai + "/embeddings"}}
			})
		}, 403, "path_not_allowed"},
		{"path allowed", func() { r.updateKey(k, func(k *gateway.Key) { k.AllowedPaths = nil }) }, 200, ""},
		{"AU-23 setting's key rotated", func() { r.updateSetting(r.setting.ID, func(s *gateway.Setting) { r.seal(s, "sk-rotated") }) }, 200, ""},
		{"setting deleted", func() { r.must(r.db.DeleteSetting(t.Context(), r.setting.ID)) }, 401, "provider_not_configured"},
		{"AU-24 key deleted", func() { r.must(r.db.DeleteKey(t.Context(), k.ID)) }, 401, "invalid_api_key"},
	} {
		t.Run(step.name, func(t *testing.T) {
			r.settled() // what is still held would be refused in other words
			step.change()
			if a := r.chat(k, hello); a.status != step.status || step.code != "" && !strings.Contains(a.body, `"code":"`+step.code+`"`) {
				t.Errorf("got %d %s, want %d %s", a.status, a.body, step.status, step.code)
			}
			if step.name == "budget below what is spent" && r.books(k) != 2_000_000 {
				t.Errorf("spent %v, want 2 calls at $0.001", r.books(k))
			}
		})
	}
	if got := r.fake.Last().Header.Get("Authorization"); got != "Bearer sk-rotated" {
		t.Errorf("the provider saw %q after the rotation", got)
	}
}

// Under load, too: 60 times a change is followed by a call that must obey it,
// while other calls keep the same key busy.
func TestChangesUnderLoad(t *testing.T) {
	r := newRig(t)
	r.fake.Keep = false
	var last atomic.Value // credential and path of the last call of model "probe"
	r.fake.Override = func(_ http.ResponseWriter, req *http.Request, body []byte) bool {
		if strings.Contains(string(body), `"probe"`) {
			last.Store(req.Header.Get("Authorization") + " " + req.URL.Path)
		}
		return false
	}
	k := r.newKey()
	var load sync.WaitGroup
	stop := make(chan struct{})
	defer load.Wait()
	defer close(stop)
	for range 8 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					r.chat(k, hello)
				}
			}
		})
	}
	probe := strings.Replace(hello, `"m"`, `"probe"`, 1)
	for i := range 20 {
		r.updateKey(k, func(k *gateway.Key) { k.Revoked = true })
		r.refused(r.chat(k, probe), 401, "api_key_revoked")
		r.updateKey(k, func(k *gateway.Key) { k.Revoked = false })
		r.passed(r.chat(k, probe))
		credential, path := "sk-"+strings.Repeat("x", i), "/"+strings.Repeat("y", i+1)
		r.updateSetting(r.setting.ID, func(s *gateway.Setting) {
			s.Params = map[string]string{"url": r.upstream.URL + path}
			r.seal(s, credential)
		})
		r.passed(r.chat(k, probe))
		if want := "Bearer " + credential + " " + path + "/chat/completions"; last.Load() != want {
			t.Fatalf("change %d: the provider saw %q, want %q", i, last.Load(), want)
		}
	}
}

// AU-25, EV-05: unknown keys leave nothing behind.
func testUnknownKeysAreCheap(t *testing.T) {
	r := newRig(t)
	r.same("statuses", r.clients(8, 1000, func(i int) answer {
		return r.call("bad-"+strings.Repeat("k", i%50), "POST", chat, hello)
	}), map[int]int{401: 1000})
	r.settled()
	for _, call := range r.store.take() {
		if call != "KeyByHash" {
			t.Fatalf("an unknown key led to %s", call)
		}
	}
}

// AU-26: the credential is sealed in the store, for its own setting.
func testSealedCredential(t *testing.T) {
	r := newRig(t)
	s, err := r.db.Setting(t.Context(), r.setting.ID)
	r.must(err)
	if len(s.Sealed) == 0 || strings.Contains(string(s.Sealed), upstreamKey) {
		t.Errorf("stored as %q", s.Sealed)
	}
	// Moved to another setting it does not open, and the call is not sent.
	other := r.newSetting("sk-other")
	r.updateSetting(other.ID, func(o *gateway.Setting) { o.Sealed = s.Sealed })
	k := r.newKey(func(k *gateway.Key) { k.SettingIDs = []string{other.ID} })
	r.refused(r.chat(k, hello), 503, "credential_unavailable")
	if n := r.fake.Calls(); n != 0 {
		t.Errorf("the provider was called %d times", n)
	}
	if spent := r.books(k); spent != 0 {
		t.Errorf("spent %v", spent)
	}
}
