package proxy_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/record"
)

// newUser stores an end user.
func (r *rig) newUser(userID string, change ...func(*gateway.User)) gateway.User {
	r.Helper()
	u := gateway.User{ID: uuid.NewString(), UserID: userID, CreatedAt: r.now()}
	for _, f := range change {
		f(&u)
	}
	r.must(record.OfUsers(r.db).Create(r.Context(), &u, nil))
	return u
}

func (r *rig) updateUser(u gateway.User, change func(*gateway.User)) {
	r.Helper()
	_, _, err := record.OfUsers(r.db).Update(r.Context(), u.ID, func(u *gateway.User, _ int64) error { change(u); return nil })
	r.must(err)
}

// newTag stores the limits of a tag.
func (r *rig) newTag(name string, limits ...gateway.Limit) {
	r.Helper()
	r.must(record.OfTags(r.db).Create(r.Context(), &gateway.Tag{Name: name, CreatedAt: r.now(), Limits: limits}, nil))
}

// spent is what a counter item says, with nothing left open.
func (r *rig) spent(subject string) gateway.NanoUSD {
	r.Helper()
	r.settled()
	c, err := r.db.Counters(context.Background(), subject)
	r.must(err)
	if len(c.Open) != 0 || c.Values[limit.InFlight] != 0 {
		r.Errorf("%s: still open: %v", subject, c.Open)
	}
	return gateway.NanoUSD(c.Values[limit.Spend])
}

func tagged(tags ...string) func(*gateway.Key) { return func(k *gateway.Key) { k.Tags = tags } }

func userLimits(limits ...gateway.Limit) func(*gateway.User) {
	return func(u *gateway.User) { u.Limits = limits }
}

func revoked(u *gateway.User) { u.Revoked = true }

// by is the body of a chat call that names its user.
func by(user string) string {
	return fmt.Sprintf(`{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":20,"user":%q}`, user)
}

// CK-07 to CK-10: every endpoint that can name a user is held to the user's rules.
func TestUserIsFound(t *testing.T) {
	r := newRig(t, standing)
	r.newUser("bob", revoked)
	k := r.newKey()
	form := "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\nbob\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.png\"\r\n\r\npng\r\n--b--\r\n"
	for _, test := range []struct{ name, path, body, contentType string }{
		{"CK-07 chat", "/chat/completions", by("bob"), ""},
		{"CK-07 completions", "/completions", `{"model":"m","prompt":"hi","user":"bob"}`, ""},
		{"CK-07 embeddings", "/embeddings", `{"model":"m","input":"hi","user":"bob"}`, ""},
		{"responses", "/responses", `{"model":"m","input":"hi","user":"bob"}`, ""},
		{"responses, by the newer name", "/responses", `{"model":"m","input":"hi","safety_identifier":"bob"}`, ""},
		{"the older name first", "/responses", `{"model":"m","input":"hi","user":"bob","safety_identifier":"ann"}`, ""},
		{"CK-09 image edits", "/images/edits", form, "multipart/form-data; boundary=b"},
		{"CK-09 image variations", "/images/variations", form, "multipart/form-data; boundary=b"},
		{"CK-10 image generations", "/images/generations", `{"model":"m","prompt":"cat","user":"bob"}`, ""},
		{"CK-10 speech", "/audio/speech", `{"model":"m","input":"hi","voice":"v","user":"bob"}`, ""},
		{"CK-10 transcriptions", "/audio/transcriptions", strings.Replace(form, `"image"`, `"file"`, 1), "multipart/form-data; boundary=b"},
		{"CK-10 translations", "/audio/translations", strings.Replace(form, `"image"`, `"file"`, 1), "multipart/form-data; boundary=b"},
		{"CK-10 runs", "/threads/t/runs", `{"assistant_id":"a","model":"m","user":"bob"}`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			req := r.request(k.secret, "POST", openai+test.path, test.body)
			if test.contentType != "" {
				req.Header.Set("Content-Type", test.contentType)
			}
			e := r.refused(r.do(req), 401, "user_revoked")
			if e.Error.Message != `[Tollgate] The user "bob" has been revoked.` {
				t.Errorf("message %q", e.Error.Message)
			}
		})
	}
	if n := r.fake.Calls(); n != 0 {
		t.Errorf("the provider was called %d times", n)
	}
}

// CK-08: metadata.user_id in Anthropic's words and dialect.
func testUserOfAnthropic(t *testing.T) {
	r := newRig(t, standing)
	r.newUser("bob", revoked)
	k := r.claudeKey()
	a := r.call(k.secret, "POST", messages, `{"model":"claude-sonnet-4-5","max_tokens":5,"messages":[],"metadata":{"user_id":"bob"}}`)
	if a.status != 401 || !strings.Contains(a.body, `The user \"bob\" has been revoked.`) {
		t.Errorf("got %d %s", a.status, a.body)
	}
	if e := r.event(k); e.UserID != "bob" || e.Scope[:5] != "user:" || e.Refused != "user_revoked" {
		t.Errorf("event %+v", e)
	}
}

// CK-11 to CK-14 and the users' expiry.
func TestUserRules(t *testing.T) {
	r := newRig(t, standing)
	r.newUser("models", func(u *gateway.User) { u.AllowedModels = []string{"m"} })
	r.newUser("paths", func(u *gateway.User) {
		u.AllowedPaths = []gateway.AllowedPath{{Method: "POST", Path: openai + "/embeddings"}}
	})
	r.newUser("old", func(u *gateway.User) { u.ExpiresAt = noon })
	r.newUser("young", func(u *gateway.User) { u.ExpiresAt = noon.Add(time.Millisecond) })
	r.newUser("tagged", revoked, func(u *gateway.User) { u.Tags = []string{"a", "b"} })
	other := r.newKey()
	r.newUser("bound", revoked, func(u *gateway.User) { u.KeyIDs = []string{other.ID} })
	plain, a, ab, c := r.newKey(), r.newKey(tagged("a")), r.newKey(tagged("b", "a")), r.newKey(tagged("a", "c"))
	other2 := strings.Replace(by("models"), `"m"`, `"gpt-4o"`, 1)
	for _, test := range []struct {
		name    string
		key     apiKey
		body    string
		status  int
		code    string
		message string
	}{
		{"CK-11 allowed", plain, by("models"), 200, "", ""},
		{"CK-11 other", plain, other2, 403, "model_not_allowed", `The user "models" may not use the model "gpt-4o".`},
		{"CK-11 none named", plain, strings.Replace(by("models"), `"model":"m",`, "", 1), 403, "model_not_allowed", `The user "models" may not use the model "".`},
		{"CK-12", plain, by("paths"), 403, "path_not_allowed", `The user "paths" may not call the path ` + chat + "."},
		{"CK-13 unknown", plain, by("nobody"), 200, "", ""},
		{"CK-13 too long to be known", plain, by(strings.Repeat("x", 5000)), 200, "", ""},
		{"CK-13 almost", plain, by("Tagged"), 200, "", ""},
		{"CK-14 a key without tags", plain, by("tagged"), 401, "user_revoked", ""},
		{"CK-14 one of the tags", a, by("tagged"), 401, "user_revoked", ""},
		{"CK-14 all of them", ab, by("tagged"), 401, "user_revoked", ""},
		{"CK-14 another tag", c, by("tagged"), 200, "", ""},
		{"of another key", plain, by("bound"), 200, "", ""},
		{"of this key", other, by("bound"), 401, "user_revoked", ""},
		{"LM-16 expired", plain, by("old"), 401, "user_expired", `The user "old" has expired.`},
		{"LM-16 expired, by another key", other, by("old"), 401, "user_expired", `The user "old" has expired.`},
		{"not yet", plain, by("young"), 200, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			answer := r.chat(test.key, test.body)
			if test.status == 200 {
				r.passed(answer)
				return
			}
			e := r.refused(answer, test.status, test.code)
			if test.message != "" && e.Error.Message != "[Tollgate] "+test.message {
				t.Errorf("message %q", e.Error.Message)
			}
			if answer.header.Get("X-Tollgate-Limit-Scope") != "user" {
				t.Errorf("scope %q", answer.header.Get("X-Tollgate-Limit-Scope"))
			}
		})
	}
	r.clock.Add(time.Millisecond)
	r.refused(r.chat(plain, by("young")), 401, "user_expired")
}

// CK-06: path, model, the key's limits, user.
func testOrderOfChecks(t *testing.T) {
	r := newRig(t, standing)
	r.updateSetting(r.setting.ID, func(s *gateway.Setting) { s.AllowedModels = []string{"m"} })
	u := r.newUser("bob", revoked, userLimits(perMinute(0)))
	k := r.newKey(limited(perMinute(0)), func(k *gateway.Key) {
		k.AllowedPaths = []gateway.AllowedPath{{Method: "POST", Path: openai + "/embeddings"}}
	})
	wrong := strings.Replace(by("bob"), `"m"`, `"gpt-4o"`, 1)
	step := func(body string, status int, code, message string) {
		t.Helper()
		r.clock.Add(time.Millisecond)
		e := r.refused(r.chat(k, body), status, code)
		if !strings.HasPrefix(e.Error.Message, "[Tollgate] "+message) {
			t.Errorf("message %q, want %q", e.Error.Message, message)
		}
	}
	step(wrong, 403, "path_not_allowed", "The API key may not call")
	r.updateKey(k, func(k *gateway.Key) { k.AllowedPaths = nil })
	step(wrong, 403, "model_not_allowed", "The API key may not use")
	step(by("bob"), 429, "rate_limit_exceeded", "The rate limit per minute of the API key is reached: 0 of 0")
	r.updateKey(k, func(k *gateway.Key) { k.Limits = nil })
	step(by("bob"), 401, "user_revoked", `The user "bob" has been revoked.`)
	r.updateUser(u, func(u *gateway.User) { u.Revoked = false })
	step(by("bob"), 429, "rate_limit_exceeded", `The rate limit per minute of the user "bob" is reached: 0 of 0`)
	r.updateUser(u, func(u *gateway.User) { u.Limits = nil })
	r.clock.Add(time.Millisecond)
	r.passed(r.chat(k, by("bob")))
	scopes := []string{}
	for _, e := range r.events(k) {
		scopes = append(scopes, e.Scope)
	}
	if want := []string{"", "", "key", "user:" + u.ID, "user:" + u.ID, ""}; !slices.Equal(scopes, want) {
		t.Errorf("scopes %q, want %q", scopes, want)
	}
}

// A user who may not call takes no room from those who may.
func TestRefusedUserChargesNothing(t *testing.T) {
	r := newRig(t, standing)
	u := r.newUser("bob", revoked)
	k := r.newKey(limited(perMinute(1)))
	r.same("statuses", r.clients(16, 100, func(int) answer { return r.chat(k, by("bob")) }), map[int]int{401: 100})
	r.passed(r.chat(k, hello))
	if spent := r.spent(record.UserSubject(u.ID)); spent != 0 {
		t.Errorf("spent %v", spent)
	}
}

// CK-15: of two users that match the strictest holds, whichever came first.
func testSeveralUsersMatch(t *testing.T) {
	r := newRig(t, standing)
	r.newUser("bob", userLimits(perMinute(3)))
	r.newUser("bob", userLimits(perMinute(2)), func(u *gateway.User) { u.AllowedModels = []string{"m"} })
	k := r.newKey()
	r.passed(r.chat(k, by("bob")))
	a := r.passed(r.chat(k, by("bob")))
	if left := a.header.Get("X-Ratelimit-Remaining-Requests"); left != "0" {
		t.Errorf("%s left, want 0", left)
	}
	r.refused(r.chat(k, by("bob")), 429, "rate_limit_exceeded")
	r.refused(r.chat(k, strings.Replace(by("bob"), `"m"`, `"gpt-4o"`, 1)), 403, "model_not_allowed")
}

// LM-16: the user's limits hold for all keys together, as those of a key do.
func TestUserLimits(t *testing.T) {
	for _, test := range []struct {
		name    string
		limit   gateway.Limit
		code    string
		message string
	}{
		{"LM-16 rate", perMinute(2), "rate_limit_exceeded", "The rate limit per minute of the user \"bob\" is reached: 2 of 2 requests used. It resets at 2026-03-14T12:01:00Z."},
		{"LM-16 window cost", costPer(gateway.Day, 2_000_000), "cost_limit_exceeded", "The cost limit per day of the user \"bob\" is reached: $0.002000000 of $0.002000000 used. It resets at 2026-03-15T00:00:00Z."},
		{"LM-16 lifetime cost", costPer(gateway.Lifetime, 2_000_000), "insufficient_quota", "The cost limit for its lifetime of the user \"bob\" is used up: $0.002000000 of $0.002000000. Only its operator can raise it."},
		{"tokens", tokensPer(gateway.Minute, 60), "token_limit_exceeded", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, standing)
			u := r.newUser("bob", userLimits(test.limit))
			keys := []apiKey{r.newKey(), r.newKey(limited(perMinute(100))), r.newKey()}
			for _, k := range keys[:2] {
				r.passed(r.chat(k, by("bob")))
				r.settled()
			}
			a := r.chat(keys[2], by("bob"))
			e := r.refused(a, 429, test.code)
			if test.message != "" && e.Error.Message != "[Tollgate] "+test.message {
				t.Errorf("message %q", e.Error.Message)
			}
			if got := a.header.Get("X-Tollgate-Limit-Scope"); got != "user" {
				t.Errorf("scope %q", got)
			}
			if e := r.event(keys[2]); e.Scope != "user:"+u.ID || e.UserID != "bob" {
				t.Errorf("event %+v", e)
			}
			r.passed(r.chat(keys[2], hello))
			r.passed(r.chat(keys[2], by("ann")))
			if spent := r.spent(record.UserSubject(u.ID)); spent != 2_000_000 {
				t.Errorf("the user spent %v, want $0.002", spent)
			}
			for _, k := range keys {
				r.books(k)
			}
		})
	}
}

// LM-17: a limit on requests holds for calls that have no price.
func testUserLimitOfUnpricedCalls(t *testing.T) {
	r := newRig(t, standing)
	r.newUser("bob", userLimits(perMinute(1)))
	k := r.newKey()
	body := strings.Replace(by("bob"), `"m"`, `"no-such-model"`, 1)
	r.passed(r.chat(k, body))
	r.refused(r.chat(k, body), 429, "rate_limit_exceeded")
}

// A cost limit of a user, or of a tag, refuses what has no price as one of the key.
func TestUnknownPriceUnderSharedCostLimit(t *testing.T) {
	r := newRig(t, standing)
	r.newUser("bob", userLimits(costPer(gateway.Day, 1_000_000_000)))
	r.newTag("team", costPer(gateway.Day, 1_000_000_000))
	unknown := func(user string) string { return strings.Replace(by(user), `"m"`, `"no-such-model"`, 1) }
	plain, team := r.newKey(), r.newKey(tagged("team"))
	lenient := r.newKey(tagged("team"), func(k *gateway.Key) { k.UnknownModel = gateway.UnknownModelAllow })
	r.passed(r.chat(plain, unknown("ann")))
	r.refused(r.chat(plain, unknown("bob")), 403, "model_price_unknown")
	r.refused(r.chat(team, unknown("ann")), 403, "model_price_unknown")
	r.passed(r.chat(lenient, unknown("bob")))
}

// The output cap is lowered to what the tightest of the budgets pays for: $0.0006 are
// 12 tokens.
func TestCapLoweredByUsersBudget(t *testing.T) {
	r := newRig(t, standing)
	r.newUser("bob", userLimits(costPer(gateway.Day, 600_000)))
	k := r.newKey(budget(gateway.OneUSD))
	a := r.passed(r.chat(k, by("bob")))
	got := [3]string{a.header.Get("X-Tollgate-Max-Output-Tokens"), a.header.Get("X-Tollgate-Cost-Limit-Usd"), a.header.Get("X-Tollgate-Cost-Remaining-Usd")}
	if want := [3]string{"12", "0.000600000", "0.000000000"}; got != want {
		t.Errorf("headers %q, want %q", got, want)
	}
	if body := r.fake.Last().Body; !strings.Contains(string(body), `"max_tokens":12`) {
		t.Errorf("the provider saw %s", body)
	}
}

// A tag's limits are shared by all keys that carry it, and act as soon as they change.
func TestTagLimits(t *testing.T) {
	r := newRig(t, standing)
	r.newTag("team", perMinute(3))
	r.newTag("loose", costPer(gateway.Day, gateway.OneUSD))
	keys := []apiKey{r.newKey(tagged("team")), r.newKey(tagged("loose", "team", "team", "unlimited")), r.newKey(tagged("loose"))}
	for _, i := range []int{0, 1, 0} {
		r.passed(r.chat(keys[i], hello))
	}
	a := r.chat(keys[1], hello)
	e := r.refused(a, 429, "rate_limit_exceeded")
	if want := `[Tollgate] The rate limit per minute of the tag "team" is reached: 3 of 3 requests used. It resets at 2026-03-14T12:01:00Z.`; e.Error.Message != want || a.header.Get("X-Tollgate-Limit-Scope") != "tag" {
		t.Errorf("message %q, scope %q", e.Error.Message, a.header.Get("X-Tollgate-Limit-Scope"))
	}
	r.passed(r.chat(keys[2], hello))
	for _, e := range r.events(keys[1]) {
		if want := map[int]string{200: "", 429: "tag:team"}[e.Status]; e.Scope != want {
			t.Errorf("scope %q of %d, want %q", e.Scope, e.Status, want)
		}
	}

	tags := record.OfTags(r.db)
	set := func(limits ...gateway.Limit) {
		_, _, err := tags.Update(t.Context(), "team", func(v *gateway.Tag, _ int64) error { v.Limits = limits; return nil })
		r.must(err)
	}
	set(perMinute(4))
	r.passed(r.chat(keys[0], hello))
	r.refused(r.chat(keys[0], hello), 429, "rate_limit_exceeded")
	set()
	r.passed(r.chat(keys[0], hello))
	set(perMinute(1))
	r.refused(r.chat(keys[0], hello), 429, "rate_limit_exceeded") // two have passed that are counted by it
	r.must(tags.Delete(t.Context(), "team"))
	r.passed(r.chat(keys[0], hello))
	r.passed(r.chat(keys[1], hello))
	if spent := r.spent(record.TagSubject("loose")); spent != 3_000_000 {
		t.Errorf("the tag spent %v, want $0.003", spent)
	}
}
