package e2e

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// bothStores runs a test against `tollgate local` on each store: admin API and proxy
// in one process, as one product.
func bothStores(t *testing.T, test func(*testing.T, *running)) {
	t.Helper()
	const private = "ALLOW_PRIVATE_TARGETS=true" // upstreams are on loopback here
	t.Run("bolt", func(t *testing.T) {
		t.Parallel()
		g := &running{log: &output{}}
		g.local(t, private)
		test(t, g)
	})
	t.Run("dynamo", func(t *testing.T) {
		t.Parallel()
		g := &running{log: &output{}}
		env := append(g.startAWS(t), private, "TOLLGATE_DYNAMODB=true",
			"AWS_REGION=eu-central-1", "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local")
		g.local(t, env...)
		test(t, g)
	})
}

// vendor is an upstream that answers every chat and notes the credential it came with.
type vendor struct {
	url   string
	calls atomic.Int64
	last  atomic.Value // string: the Authorization header
}

// seenHeader of an answer repeats the credential that the vendor was given.
const seenHeader = "X-Seen"

func newVendor(t testing.TB) *vendor {
	v := &vendor{}
	v.url = serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		v.last.Store(r.Header.Get("Authorization"))
		v.calls.Add(1)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set(seenHeader, r.Header.Get("Authorization")) // tells calls that overlap apart
		json.NewEncoder(w).Encode(map[string]any{
			"id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4o-mini",
			"choices": []any{map[string]any{"index": 0, "finish_reason": "stop",
				"message": map[string]string{"role": "assistant", "content": greeting}}},
			"usage": map[string]int{"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17},
		})
	})) + "/v1"
	return v
}

// request sends a request of any outcome.
func request(t testing.TB, method, url string, body any, header ...string) (int, []byte) {
	t.Helper()
	status, text, _ := exchange(t, method, url, body, header...)
	return status, text
}

// exchange is request with the answer's headers; header is names and values in turn.
func exchange(t testing.TB, method, url string, body any, header ...string) (int, []byte, http.Header) {
	t.Helper()
	var payload io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		payload = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, payload)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return 0, nil, nil
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return res.StatusCode, text, res.Header
}

// chat makes a call of the proxy, in the name of a user unless that is empty, and
// returns "200", or the status and the code of the refusal: "401 api_key_revoked".
func (g *running) chat(t testing.TB, k key, user string) string {
	t.Helper()
	return g.post(t, "/api/providers/openai/v1/chat/completions", k, user)
}

func (g *running) post(t testing.TB, path string, k key, user string) string {
	t.Helper()
	body := map[string]any{"model": "gpt-4o-mini", "max_completion_tokens": 10,
		"messages": []any{map[string]string{"role": "user", "content": "hi"}}}
	if user != "" {
		body["user"] = user
	}
	status, text := request(t, "POST", g.proxy+path, body, "Authorization", "Bearer "+k.Secret)
	if status == http.StatusOK {
		return "200"
	}
	var refusal struct{ Error struct{ Code string } }
	if err := json.Unmarshal(text, &refusal); err != nil {
		t.Errorf("%s: status %d with %s", path, status, text)
	}
	return strings.TrimSpace(fmt.Sprint(status, " ", refusal.Error.Code))
}

// put creates or changes a record and returns its id, under whatever name.
func (a *adminAPI) put(t testing.TB, method, path string, body any) (id string) {
	t.Helper()
	var made struct{ ID, KeyID string }
	a.call(t, method, path, body, &made)
	return cmp.Or(made.KeyID, made.ID)
}

// gone deletes a record and wants that to succeed.
func (a *adminAPI) gone(t testing.TB, path string) {
	t.Helper()
	if status, text := request(t, "DELETE", a.base+path, nil); status != http.StatusOK || len(text) != 0 {
		t.Fatalf("DELETE %s: %d %s", path, status, text)
	}
}

type object = map[string]any

const (
	usersAPI    = "/api/users"
	keysAPI     = "/api/key-management/keys"
	settingsAPI = "/api/provider-settings"
)

// expect compares outcomes of calls in a row.
func expect(t *testing.T, row, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %q, want %q", row, got, want)
	}
}

// TestUsersAct: what the admin API says of users holds from the next call on.
func TestUsersAct(t *testing.T) {
	t.Parallel()
	bothStores(t, func(t *testing.T, g *running) {
		up := newVendor(t)
		setting := g.admin.setting(t, up.url)
		k := g.admin.key(t, setting)

		ann := g.admin.put(t, "POST", usersAPI, object{"name": "Ann", "userId": "ann", "tags": []string{"e2e"},
			"limits": []keyLimit{{"requests", "lifetime", 1}}})
		expect(t, "AUs-21 first", g.chat(t, k, "ann"), "200")
		expect(t, "AUs-21 second", g.chat(t, k, "ann"), "429 rate_limit_exceeded")
		g.admin.put(t, "PATCH", usersAPI+"/"+ann, object{"limits": []keyLimit{{"requests", "lifetime", 2}}})
		expect(t, "AUs-21 raised", g.chat(t, k, "ann"), "200")
		expect(t, "AUs-21 spent again", g.chat(t, k, "ann"), "429 rate_limit_exceeded")

		bob := g.admin.put(t, "POST", usersAPI, object{"name": "Bob", "userId": "bob", "tags": []string{"e2e"}})
		expect(t, "AUs-22 before", g.chat(t, k, "bob"), "200")
		g.admin.put(t, "PATCH", usersAPI+"/"+bob, object{"revoked": true, "revokedReason": "left"})
		expect(t, "AUs-22 revoked", g.chat(t, k, "bob"), "401 user_revoked")
		g.admin.put(t, "PATCH", usersAPI+"/"+bob, object{"revoked": false})
		expect(t, "AUs-22 restored", g.chat(t, k, "bob"), "200")

		other := g.admin.key(t, setting)
		eve := g.admin.put(t, "POST", usersAPI, object{"name": "Eve", "userId": "eve",
			"tags": []string{"e2e"}, "keyIds": []string{k.ID}})
		g.admin.put(t, "PATCH", usersAPI+"/"+eve, object{"revoked": true})
		expect(t, "AUs-23 key named", g.chat(t, k, "eve"), "401 user_revoked")
		expect(t, "AUs-23 another key", g.chat(t, other, "eve"), "200")
	})
}

// TestSecondUser: one more user of an id that the proxy knows already holds for the
// next call.
func TestSecondUser(t *testing.T) {
	t.Parallel()
	bothStores(t, func(t *testing.T, g *running) {
		k := g.admin.key(t, g.admin.setting(t, newVendor(t).url))
		g.admin.put(t, "PATCH", keysAPI+"/"+k.ID, object{"tags": []string{"e2e", "b"}})
		g.admin.put(t, "POST", usersAPI, object{"name": "first", "userId": "ann", "tags": []string{"e2e", "b", "c"}})
		expect(t, "one user, of more tags", g.chat(t, k, "ann"), "200")
		second := g.admin.put(t, "POST", usersAPI, object{"name": "second", "userId": "ann",
			"tags": []string{"e2e", "b", "d"}, "limits": []keyLimit{{"requests", "lifetime", 1}}})
		expect(t, "two users", g.chat(t, k, "ann"), "200")
		expect(t, "the second one's limit", g.chat(t, k, "ann"), "429 rate_limit_exceeded")
		g.admin.gone(t, usersAPI+"/"+second)
		expect(t, "the second one deleted", g.chat(t, k, "ann"), "200")
	})
}

// TestTagLimits: a tag's limits hold for all its keys together, from the next call.
func TestTagLimits(t *testing.T) {
	t.Parallel()
	bothStores(t, func(t *testing.T, g *running) {
		setting := g.admin.setting(t, newVendor(t).url)
		one, two := g.admin.key(t, setting), g.admin.key(t, setting)
		expect(t, "no limits", g.chat(t, one, "")+" "+g.chat(t, two, ""), "200 200")
		limit := func(n float64) {
			g.admin.put(t, "PUT", "/api/tags/e2e", object{"limits": []keyLimit{{"requests", "lifetime", n}}})
		}
		limit(1)
		expect(t, "the first of both", g.chat(t, one, ""), "200")
		expect(t, "then the other", g.chat(t, two, ""), "429 rate_limit_exceeded")
		limit(2)
		expect(t, "raised", g.chat(t, two, ""), "200")
		expect(t, "spent by both", g.chat(t, one, ""), "429 rate_limit_exceeded")
		g.admin.gone(t, "/api/tags/e2e")
		expect(t, "deleted", g.chat(t, one, ""), "200")
	})
}

// TestKeysAct: what the admin API says of keys holds from the next call on.
func TestKeysAct(t *testing.T) {
	t.Parallel()
	bothStores(t, func(t *testing.T, g *running) {
		setting := g.admin.setting(t, newVendor(t).url)
		k := g.admin.key(t, setting, keyLimit{"requests", "lifetime", 5})
		patch := func(body object) { g.admin.put(t, "PATCH", keysAPI+"/"+k.ID, body) }

		expect(t, "AK-40 before", g.chat(t, k, ""), "200")
		patch(object{"revoked": true, "revokedReason": "leaked"})
		expect(t, "AK-40 revoked", g.chat(t, k, ""), "401 api_key_revoked")
		var shown struct {
			Revoked       bool
			RevokedReason string
		}
		g.admin.call(t, "PATCH", keysAPI+"/"+k.ID, object{"revoked": false}, &shown)
		if shown.Revoked || shown.RevokedReason != "" {
			t.Errorf("AK-40: restored as %+v", shown)
		}
		expect(t, "AK-40 restored", g.chat(t, k, ""), "200")

		patch(object{"limits": []keyLimit{{"requests", "lifetime", 3}}})
		expect(t, "AK-50 the third of three", g.chat(t, k, ""), "200")
		expect(t, "AK-50 the fourth", g.chat(t, k, ""), "429 rate_limit_exceeded")
		patch(object{"limits": []keyLimit{{"requests", "lifetime", 10}}})
		expect(t, "AK-50 AK-51 raised", g.chat(t, k, ""), "200")
		patch(object{"limits": []keyLimit{{"requests", "lifetime", 4}}})
		expect(t, "AK-50 AK-51 lowered below what was counted under the other limits", g.chat(t, k, ""), "429 rate_limit_exceeded")

		g.admin.gone(t, keysAPI+"/"+k.ID)
		expect(t, "AK-68 deleted", g.chat(t, k, ""), "401 invalid_api_key")

		again := key{Secret: k.Secret}
		again.ID = g.admin.put(t, "PUT", keysAPI, object{"name": "again", "key": k.Secret,
			"settingIds": []string{setting}, "limits": []keyLimit{{"requests", "lifetime", 1}}})
		expect(t, "AK-69 created again", g.chat(t, again, ""), "200")
		expect(t, "AK-69 its own limit", g.chat(t, again, ""), "429 rate_limit_exceeded")
		if events := g.admin.awaitEvents(t, again, 2); again.ID == k.ID || statuses(events) != "200 429" {
			t.Errorf("AK-69: key %s after %s with events %s", again.ID, k.ID, statuses(events))
		}
	})
}

// TestTTLActs: AK-26, the very first call is refused if it comes too late.
func TestTTLActs(t *testing.T) {
	t.Parallel()
	bothStores(t, func(t *testing.T, g *running) {
		up := newVendor(t)
		k := key{Secret: keyPrefix + "late"}
		k.ID = g.admin.put(t, "PUT", keysAPI, object{"name": "late", "key": k.Secret, "ttl": "2s",
			"settingIds": []string{g.admin.setting(t, up.url)}})
		made := time.Now() // not before the key's own beginning
		<-time.After(time.Until(made.Add(2 * time.Second)))
		expect(t, "AK-26", g.chat(t, k, ""), "401 api_key_expired")
		if n := up.calls.Load(); n != 0 {
			t.Errorf("AK-26: %d calls reached the vendor", n)
		}
	})
}

// TestVendorKeyRotation: AS-23 and AS-24, after the answer to a PATCH no call goes out
// with the old credential, however many are under way.
func TestVendorKeyRotation(t *testing.T) {
	t.Parallel()
	bothStores(t, func(t *testing.T, g *running) {
		up := newVendor(t)
		setting := g.admin.setting(t, up.url)
		k := g.admin.key(t, setting)
		expect(t, "AS-23 before", g.chat(t, k, ""), "200")
		expect(t, "AS-23 before", up.last.Load().(string), "Bearer "+upstreamKey)

		stop := make(chan struct{})
		var load sync.WaitGroup
		defer load.Wait()
		defer close(stop)
		for range 2 {
			load.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						g.seen(t, k)
					}
				}
			})
		}
		for n := range 200 {
			next := "sk-rotated-" + strings.Repeat("x", n%7) + time.Now().Format("150405.000000000")
			g.admin.put(t, "PATCH", settingsAPI+"/"+setting, object{"setting": map[string]string{"apikey": next}})
			if expect(t, "AS-24 change "+fmt.Sprint(n), g.seen(t, k), "Bearer "+next); t.Failed() {
				return
			}
		}
	})
}

// seen makes a call and returns the credential that the vendor says it was given.
func (g *running) seen(t testing.TB, k key) string {
	status, text, header := exchange(t, "POST", g.openAI()+"/chat/completions",
		object{"model": "gpt-4o-mini", "messages": []any{object{"role": "user", "content": "hi"}}},
		"Authorization", "Bearer "+k.Secret)
	if status != http.StatusOK {
		t.Errorf("call under load: %d %s", status, text)
	}
	return header.Get(seenHeader)
}

// TestCustomProviderActs: a custom provider can be called as soon as it is made, and
// no more once it is deleted.
func TestCustomProviderActs(t *testing.T) {
	t.Parallel()
	bothStores(t, func(t *testing.T, g *running) {
		up := newVendor(t)
		provider := g.admin.put(t, "POST", "/api/custom/providers", object{"provider": "bot", "route_configs": []any{object{
			"path": "/chat", "target_url": up.url + "/chat/completions", "model_location": "model",
			"request_prompt_location":      "messages.#.content",
			"response_completion_location": "choices.0.message.content"}}})
		setting := g.admin.settingFor(t, "bot", up.url)
		k := g.admin.key(t, setting)
		const path = "/api/custom/providers/bot/chat"
		expect(t, "AC-19", g.post(t, path, k, ""), "200")
		expect(t, "AC-19 credential", up.last.Load().(string), "Bearer "+upstreamKey)
		expect(t, "AC-19 other path", g.post(t, path+"s", k, ""), "404 unknown_route")

		g.admin.put(t, "PATCH", "/api/custom/providers/"+provider, object{"route_configs": []any{object{
			"path": "/chats", "target_url": up.url + "/chat/completions", "model_location": "model",
			"request_prompt_location": "messages.#.content", "response_completion_location": "choices.0.message.content"}}})
		expect(t, "AC-19 path added", g.post(t, path+"s", k, ""), "200")

		status, text := request(t, "DELETE", g.admin.base+"/api/custom/providers/"+provider, nil)
		if status != http.StatusConflict || !strings.Contains(string(text), setting) {
			t.Errorf("AC-16: deletion while a setting uses it: %d %s", status, text)
		}
		g.admin.put(t, "PATCH", keysAPI+"/"+k.ID, object{"settingIds": []string{g.admin.setting(t, up.url)}})
		g.admin.gone(t, settingsAPI+"/"+setting)
		g.admin.gone(t, "/api/custom/providers/"+provider)
		expect(t, "AC-16 deleted", g.post(t, path, k, ""), "404 unknown_provider")
		expect(t, "AC-16 all else", g.chat(t, k, ""), "200")
	})
}

// TestRoutesAreNotServed: of B-1.6 the proxy serves nothing yet, and says so. A
// deleted route is gone at once.
func TestRoutesAreNotServed(t *testing.T) {
	t.Parallel()
	bothStores(t, func(t *testing.T, g *running) {
		up := newVendor(t)
		k := g.admin.key(t, g.admin.setting(t, up.url))
		route := g.admin.put(t, "POST", "/api/routes", object{"name": "chat", "path": "/chat", "keyIds": []string{k.ID},
			"steps":       []any{object{"provider": "openai", "model": "gpt-4o-mini"}},
			"cacheConfig": object{"enabled": false}})
		expect(t, "B-1.6", g.post(t, "/api/routes/chat", k, ""), "404 routes_not_served")
		if n := up.calls.Load(); n != 0 {
			t.Errorf("B-1.6: %d calls reached the vendor", n)
		}
		g.admin.gone(t, "/api/routes/"+route)
		if status, text := request(t, "GET", g.admin.base+"/api/routes/"+route, nil); status != http.StatusNotFound {
			t.Errorf("B-1.6: the deleted route answers %d %s", status, text)
		}
	})
}
