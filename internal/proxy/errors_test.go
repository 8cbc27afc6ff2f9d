package proxy_test

import (
	"net/http"
	"testing"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
)

// ER-01, ER-02, ER-09: every refusal of the gateway's own has the one form, the one
// content type and an id, which is that of its event if the key is known.
func TestErrorForm(t *testing.T) {
	r := newRig(t, standing)
	r.fake.Override = func(_ http.ResponseWriter, req *http.Request, _ []byte) bool {
		<-req.Context().Done() // no call that is meant to be refused is answered
		return true
	}
	fine := func(*gateway.Key) {}
	unpriced := func(k *gateway.Key) { k.UnknownModel = gateway.UnknownModelDeny }
	for _, test := range []struct {
		name         string
		key          func(*gateway.Key) // nil: none
		method, path string
		body, header string
		status       int
		code         string
		seen         bool // there is an event
	}{
		{"ER-01 ER-09 body", fine, "POST", chat, "{", "", 400, "invalid_json", true},
		{"ER-01 ER-02 time", fine, "POST", chat, hello, "x-request-timeout: no", 400, "invalid_timeout", false},
		{"ER-01 ER-02 no key", nil, "POST", chat, hello, "", 401, "invalid_api_key", false},
		{"ER-01 ER-09 no setting", func(k *gateway.Key) { k.SettingIDs = nil }, "POST", chat, hello, "", 401, "provider_not_configured", true},
		{"ER-01 ER-09 model", unpriced, "POST", chat, `{"model":"made-up","messages":[]}`, "", 403, "model_price_unknown", true},
		{"ER-01 ER-02 path", fine, "POST", "/nope", hello, "", 404, "unknown_url", false},
		{"ER-01 ER-02 route", fine, "POST", "/api/routes/fast", hello, "", 404, "routes_not_served", false},
		{"ER-01 ER-09 limit", limited(perMinute(0)), "POST", chat, hello, "", 429, "rate_limit_exceeded", true},
		{"ER-01 ER-09 money", budget(1), "POST", chat, hello, "", 429, "insufficient_quota", true},
		{"ER-01 ER-09 too slow", fine, "POST", chat, hello, "x-request-timeout: 50ms", 504, "upstream_timeout", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			secret, id := "", ""
			if test.key != nil {
				k := r.newKey(test.key)
				secret, id = k.secret, k.ID
			}
			var header []string
			if test.header != "" {
				header = []string{test.header}
			}
			a := r.call(secret, test.method, test.path, test.body, header...)
			r.refused(a, test.status, test.code)
			r.settled()
			list, err := r.db.Events(t.Context(), gateway.EventFilter{KeyIDs: []string{id}})
			r.must(err)
			if test.seen && (len(list) != 1 || list[0].ID != a.header.Get("X-Request-Id")) {
				t.Errorf("id %q, events %+v", a.header.Get("X-Request-Id"), list)
			}
		})
	}
	r.store.reserve = func(func() (limit.Standing, error)) (limit.Standing, error) { return limit.Standing{}, errDisk }
	t.Run("ER-01 ER-02 store", func(t *testing.T) { r.refused(r.chat(r.newKey(), hello), 503, "storage_unavailable") })
}

// ER-09: an answer that is the provider's has the gateway's id as well.
func TestEveryAnswerHasAnID(t *testing.T) {
	for name, body := range map[string]string{"plain": hello, "stream": stream} {
		t.Run("ER-09 "+name, func(t *testing.T) {
			r := newRig(t)
			k := r.newKey()
			a := r.passed(r.chat(k, body))
			if e := r.event(k); e.ID == "" || a.header.Get("X-Request-Id") != e.ID {
				t.Errorf("id %q, event %q", a.header.Get("X-Request-Id"), e.ID)
			}
		})
	}
	r := newRig(t)
	r.fake.Delay.Store(int64(time.Millisecond))
	seen := map[string]bool{}
	for range 20 {
		seen[r.passed(r.chat(r.newKey(), hello)).header.Get("X-Request-Id")] = true
	}
	if len(seen) != 20 {
		t.Errorf("%d ids for 20 calls", len(seen))
	}
}
