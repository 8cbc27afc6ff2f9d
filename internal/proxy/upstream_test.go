package proxy_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
)

// What a provider may do instead of answering.
func TestBadUpstream(t *testing.T) {
	hijack := func(raw string) func(http.ResponseWriter, *http.Request, []byte) bool {
		return func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				panic(err)
			}
			io.WriteString(conn, raw)
			conn.Close()
			return true
		}
	}
	const reserved = 1_000_000
	for _, test := range []struct {
		name     string
		upstream func(http.ResponseWriter, *http.Request, []byte) bool
		status   int
		code     string // of our refusal; none: the provider's answer passed
		cost     gateway.NanoUSD
		basis    gateway.Basis
	}{
		{"closes the connection", hijack(""), 502, "upstream_unreachable", reserved, gateway.BasisReserved},
		{"speaks no HTTP", hijack("220 mail.example ESMTP\r\n"), 502, "upstream_unreachable", reserved, gateway.BasisReserved},
		{"megabyte of headers", hijack("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n"), 502, "upstream_unreachable", reserved, gateway.BasisReserved},
		{"switches protocols", hijack("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"), 502, "upstream_unreachable", 0, gateway.BasisNone},
		{"redirects", func(w http.ResponseWriter, req *http.Request, _ []byte) bool {
			http.Redirect(w, req, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
			return true
		}, 502, "upstream_redirect", 0, gateway.BasisNone},
		{"has not changed", answers(304, "", ""), 304, "", 0, gateway.BasisNone},
		{"has no content", answers(204, "", ""), 204, "", reserved, gateway.BasisReserved},
		{"sends garbage", answers(200, "application/json", "\x00\xff}{"), 200, "", reserved, gateway.BasisReserved},
		{"sends nested garbage", answers(200, "application/json", `{"usage":`+strings.Repeat("[", 200_000)), 200, "", reserved, gateway.BasisReserved},
		{"sends usage of a wrong type", answers(200, "application/json", `{"usage":"lots","choices":[]}`), 200, "", 0, gateway.BasisEstimated},
		{"sends usage beyond belief", answers(200, "application/json", `{"usage":{"prompt_tokens":1e15,"completion_tokens":1e18},"choices":[]}`), 200, "", reserved, gateway.BasisReserved},
		{"sends more than was asked for", answers(200, "application/json", `{"usage":{"prompt_tokens":8,"completion_tokens":16000},"choices":[]}`), 200, "", 800_000_000, gateway.BasisReported},
		{"sends an early hint", func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
			w.WriteHeader(http.StatusEarlyHints)
			return false
		}, 200, "", reserved, gateway.BasisReported},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.fake.Override = test.upstream
			k := r.newKey(limited(perMinute(10)))
			a := r.chat(k, hello)
			if test.code == "" {
				if a.status != test.status {
					t.Errorf("got %d %q (%v)", a.status, a.body, a.err)
				}
			} else if r.refused(a, test.status, test.code); a.header.Get("X-Should-Retry") != "false" {
				t.Errorf("headers %v", a.header) // it may have been billed
			}
			e := r.event(k)
			if e.Status != test.status || e.Refused != test.code || e.Cost != test.cost || e.Basis != test.basis {
				t.Errorf("event %+v", e)
			}
			if n := r.counters(k).Values[limit.CounterName(gateway.Requests, gateway.Minute, e.At)]; n != 1 {
				t.Errorf("counted %d requests", n)
			}
			r.books(k)
		})
	}
}

// ER-06: nobody there. It was not sent, so it may be tried again and costs nothing.
func testUpstreamRefuses(t *testing.T) {
	r := newRig(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	r.must(err)
	l.Close()
	r.updateSetting(r.setting.ID, func(s *gateway.Setting) { s.Params = map[string]string{"url": "http://" + l.Addr().String()} })
	k := r.newKey()
	a := r.chat(k, hello)
	r.refused(a, 502, "upstream_unreachable")
	if strings.Contains(a.body, l.Addr().String()) || a.header.Get("X-Should-Retry") != "" {
		t.Errorf("%v %s", a.header, a.body)
	}
	if e := r.event(k); e.Status != 502 || e.Cost != 0 || e.Basis != gateway.BasisNone {
		t.Errorf("event %+v", e)
	}
	r.books(k)
	r.updateSetting(r.setting.ID, func(s *gateway.Setting) { s.Params = map[string]string{"url": "http://[::1"} })
	r.refused(r.chat(k, hello), 502, "bad_upstream_url")
}

// An answer without end takes no memory, and ends when the call's time does.
func TestEndlessAnswer(t *testing.T) {
	for _, contentType := range []string{"application/json", "text/event-stream"} {
		t.Run(contentType, func(t *testing.T) {
			r := newRig(t)
			r.fake.Keep = false
			piece := []byte(strings.Repeat(`{"a":"`, 4<<10))
			r.fake.Override = func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
				w.Header().Set("Content-Type", contentType)
				for {
					if _, err := w.Write(piece); err != nil {
						return true
					}
				}
			}
			k := r.newKey()
			start := time.Now()
			res, err := r.client.Do(r.request(k.secret, "POST", chat, stream, "x-request-timeout: 300ms"))
			r.must(err)
			n, err := io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if took := time.Since(start); n < 1<<20 || took > 3*time.Second || (err == nil) != (contentType != "application/json") {
				t.Errorf("%d bytes in %v: %v", n, took, err)
			}
			if e := r.event(k); !e.Truncated || e.Refused != "upstream_timeout" || e.Cost != 1_000_000 || e.Basis != gateway.BasisReserved {
				t.Errorf("event %+v", e)
			}
			r.books(k)
		})
	}
}
