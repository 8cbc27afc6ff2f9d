package proxy_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/web"
)

// HD-01, HD-11 to HD-13, AU-20: what the provider sees of the caller's headers.
func testRequestHeaders(t *testing.T) {
	r := newRig(t)
	k := r.newKey()
	r.passed(r.chat(k, hello,
		"OpenAI-Beta: assistants=v2", "anthropic-beta: b", "OpenAI-Organization: org", "X-Stainless-Lang: go",
		"User-Agent: my-app/1.0", "Idempotency-Key: once-1", "Accept: */*",
		"Cookie: a=b", "Origin: http://app.example", "Referer: http://app.example/x", "X-Forwarded-For: 10.0.0.1", "Forwarded: for=10.0.0.1",
		"Via: 1.1 cdn", "X-Real-Ip: 10.0.0.1", "Cf-Connecting-Ip: 10.0.0.1", "X-Amzn-Trace-Id: Root=1", "Proxy-Authorization: Basic x", "X-Goog-Api-Key: g",
		"X-Custom-Event-Id: order-77", "X-Metadata: {\"team\":\"a\"}", "X-Request-Timeout: 5s",
		"Connection: keep-alive, X-Hop", "X-Hop: one", "Keep-Alive: timeout=5", "Te: trailers",
	))
	got := r.fake.Last().Header
	for name, want := range map[string]string{
		"Openai-Beta": "assistants=v2", "Anthropic-Beta": "b", "Openai-Organization": "org", "X-Stainless-Lang": "go",
		"User-Agent": "my-app/1.0", "Idempotency-Key": "once-1", "Accept": "*/*", "Content-Type": "application/json",
		"Content-Length": fmt.Sprint(len(hello)), "Accept-Encoding": "gzip", "Authorization": "Bearer " + upstreamKey,
	} {
		if strings.Join(got[name], "|") != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
		delete(got, name)
	}
	if len(got) != 0 {
		t.Errorf("the provider also saw %v", got)
	}
}

// HD-11: the user agent can be left out, and none is made up.
func testUserAgent(t *testing.T) {
	r := newRig(t, func(r *rig) { r.config.RemoveUserAgent = true })
	r.passed(r.chat(r.newKey(), hello, "User-Agent: my-app/1.0"))
	if got := r.fake.Last().Header["User-Agent"]; len(got) != 0 {
		t.Errorf("the provider saw %q", got)
	}
	r = newRig(t)
	req := r.request(r.newKey().secret, "POST", chat, hello)
	req.Header["User-Agent"] = []string{""}
	r.passed(r.do(req))
	if got := r.fake.Last().Header["User-Agent"]; len(got) != 0 {
		t.Errorf("the provider saw %q", got)
	}
}

// HD-01 to HD-03: event id and metadata are kept with the event.
func TestEventHeaders(t *testing.T) {
	for _, test := range []struct{ name, metadata, want string }{
		{"HD-01 HD-03 object", `{"team":"a","n":[1,2]}`, `{"team":"a","n":[1,2]}`},
		{"HD-01 HD-02 text", `plain "text"`, `"plain \"text\""`},
		{"broken object", `{"team":`, `"{\"team\":"`},
		{"number", `5`, `"5"`},
		{"none", ``, ``},
		{"the longest", strings.Repeat("x", 4096), `"` + strings.Repeat("x", 4096) + `"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			k := r.newKey()
			header := []string{"X-CUSTOM-EVENT-ID: order-77"}
			if test.metadata != "" {
				header = append(header, "X-METADATA: "+test.metadata)
			}
			r.passed(r.chat(k, hello, header...))
			e := r.event(k)
			if e.CustomID != "order-77" || string(e.Metadata) != test.want {
				t.Errorf("custom id %q, metadata %s", e.CustomID, e.Metadata)
			}
			list, err := r.db.Events(t.Context(), gateway.EventFilter{CustomID: "order-77"})
			if err != nil || len(list) != 1 || list[0].ID != e.ID {
				t.Errorf("by custom id: %v, %v", list, err)
			}
		})
	}
}

// HD-08 to HD-10: browsers.
func TestCORS(t *testing.T) {
	origins := func(list ...string) option {
		return func(r *rig) { r.config.CORS = web.CORS{Origins: list} }
	}
	for _, test := range []struct {
		name, origin, allowed string
		option                option
	}{
		{"HD-08 HD-09 everybody", "http://app.example", "http://app.example", origins("*")},
		{"HD-09 HD-10 on the list", "http://app.example", "http://app.example", origins("http://app.example")},
		{"HD-10 not on the list", "http://evil.example", "", origins("http://app.example")},
		{"off", "http://app.example", "", origins()},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, test.option)
			r.fake.Override = func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
				w.Header().Set("Access-Control-Allow-Origin", "http://provider.example")
				w.Header().Set("Vary", "Accept-Encoding")
				return false
			}
			maxAge := ""
			if test.allowed != "" {
				maxAge = "3600"
			}
			a := r.call("", "OPTIONS", chat, "", "Origin: "+test.origin, "Access-Control-Request-Method: POST")
			if a.status != 204 || a.header.Get("Access-Control-Allow-Origin") != test.allowed || a.header.Get("Access-Control-Max-Age") != maxAge {
				t.Errorf("preflight: %d %v", a.status, a.header)
			}
			// HD-09: the answer, too; what the provider thinks of origins does not matter.
			a = r.passed(r.chat(r.newKey(), hello, "Origin: "+test.origin))
			if got := strings.Join(a.header["Access-Control-Allow-Origin"], "|"); got != test.allowed {
				t.Errorf("Access-Control-Allow-Origin %q", got)
			}
			if vary := a.header["Vary"]; !slices.Contains(vary, "Accept-Encoding") || test.allowed != "" && !slices.Contains(vary, "Origin") {
				t.Errorf("Vary %q", vary)
			}
		})
	}
}

// HD-14, HD-15: the provider's headers come back, repeated ones repeated; those of
// its connection do not.
func testAnswerHeaders(t *testing.T) {
	r := newRig(t)
	r.fake.Override = func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		h := w.Header()
		h.Set("Openai-Processing-Ms", "12")
		h.Set("X-Ratelimit-Limit-Requests", "60")
		h["X-Twice"] = []string{"a", "b"}
		h.Set("Set-Cookie", "__cf=1")
		h.Set("Alt-Svc", "h3")
		h.Set("Strict-Transport-Security", "max-age=1")
		h.Set("Connection", "X-Hop")
		h.Set("X-Hop", "1")
		return false
	}
	h := r.passed(r.chat(r.newKey(), hello)).header
	if h.Get("Openai-Processing-Ms") != "12" || h.Get("X-Ratelimit-Limit-Requests") != "60" || !slices.Equal(h["X-Twice"], []string{"a", "b"}) {
		t.Errorf("headers %v", h)
	}
	for _, name := range []string{"Set-Cookie", "Alt-Svc", "Strict-Transport-Security", "X-Hop", "Connection"} {
		if h.Get(name) != "" {
			t.Errorf("%s: %q", name, h.Get(name))
		}
	}
	if h.Get("X-Upstream-Request-Id") != "req_fake" || h.Get("X-Request-Id") == "req_fake" {
		t.Errorf("request ids %v", h)
	}
}

// HD-04 to HD-06, ER-06: the time a call may take.
func TestRequestTimeout(t *testing.T) {
	for _, name := range []string{"HD-05 abc", "HD-05 5", "HD-05 soon", "HD-05 1e999h", "HD-06 -1s", "HD-06 0"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			e := r.refused(r.chat(r.newKey(), hello, "x-request-timeout: "+name[len("HD-05 "):]), 400, "invalid_timeout")
			if e.Error.Param == nil || *e.Error.Param != "x-request-timeout" || r.fake.Calls() != 0 {
				t.Errorf("%+v", e)
			}
		})
	}
	r := newRig(t, func(r *rig) { r.config.Timeout = 300 * time.Millisecond })
	r.passed(r.chat(r.newKey(), hello, "x-request-timeout: 99999h"))
	r.fake.Delay.Store(int64(10 * time.Second))
	for _, test := range []struct {
		name, ask string
		limit     time.Duration
	}{
		{"HD-04 ER-06 the caller's time", "100ms", 100 * time.Millisecond},
		{"HD-06 no longer than the server's", "99999h", 300 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			k, start := r.newKey(), time.Now()
			a := r.chat(k, hello, "x-request-timeout: "+test.ask)
			r.refused(a, 504, "upstream_timeout")
			if took := time.Since(start); took < test.limit-5*time.Millisecond || took > test.limit+500*time.Millisecond {
				t.Errorf("took %v", took)
			}
			// It may have been billed: not to be repeated, and charged at its worst case.
			if e := r.event(k); a.header.Get("X-Should-Retry") != "false" || e.Cost != 1_000_000 || e.Basis != gateway.BasisReserved || e.Status != 504 {
				t.Errorf("event %+v, headers %v", e, a.header)
			}
		})
	}
}
