package proxy_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tollgate/internal/gateway"
)

// Bodies that cannot be what they should are refused before they cost anything,
// and are never forwarded (ER-07).
func TestBadBodies(t *testing.T) {
	deep := strings.Repeat("[", 100_000)
	for _, test := range []struct {
		name, path, body, contentType string
		status                        int
		code                          string
	}{
		{"ER-07 no JSON", "/chat/completions", `not json`, "application/json", 400, "invalid_json"},
		{"empty", "/chat/completions", ``, "application/json", 400, "invalid_json"},
		{"cut", "/chat/completions", `{"model":"m","messages":[`, "application/json", 400, "invalid_json"},
		{"two values", "/chat/completions", hello + hello, "application/json", 400, "invalid_json"},
		{"an array", "/chat/completions", `[` + hello + `]`, "application/json", 400, "invalid_json"},
		{"a string", "/chat/completions", `"hi"`, "application/json", 400, "invalid_json"},
		{"NaN", "/chat/completions", `{"model":"m","max_tokens":NaN}`, "application/json", 400, "invalid_json"},
		{"a byte order mark", "/chat/completions", "\ufeff" + hello, "application/json", 400, "invalid_json"},
		{"brackets only", "/chat/completions", deep, "application/json", 400, "invalid_json"},
		{"nested deep", "/chat/completions", `{"model":"m","messages":` + deep + strings.Repeat("]", 100_000) + `}`, "application/json", 400, "invalid_json"},
		{"nested deep in objects", "/chat/completions", strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000), "application/json", 400, "invalid_json"},
		{"model twice", "/chat/completions", `{"model":"m","model":"gpt-4","messages":[]}`, "application/json", 400, "invalid_json"},
		{"model twice, once escaped", "/chat/completions", `{"model":"m","mod\u0065l":"gpt-4","messages":[]}`, "application/json", 400, "invalid_json"},
		{"max_tokens twice", "/chat/completions", `{"model":"m","max_tokens":1,"max_tokens":99}`, "application/json", 400, "invalid_json"},
		{"model of a wrong type", "/chat/completions", `{"model":["m"]}`, "application/json", 400, "invalid_type"},
		{"user of a wrong type", "/chat/completions", `{"model":"m","user":7}`, "application/json", 400, "invalid_type"},
		{"max_tokens of a wrong type", "/chat/completions", `{"model":"m","max_tokens":"20"}`, "application/json", 400, "invalid_type"},
		{"stream of a wrong type", "/chat/completions", `{"model":"m","stream":"yes"}`, "application/json", 400, "invalid_type"},
		{"on a free endpoint", "/moderations", `{"input":`, "application/json", 400, "invalid_json"},
		{"a form without a boundary", "/files", "x", "multipart/form-data", 400, "invalid_content_type"},
		{"JSON for a form", "/audio/transcriptions", `{}`, "application/json", 400, "invalid_content_type"},
		{"a cut form", "/files", "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nxx", "multipart/form-data; boundary=b", 400, "invalid_form"},
		{"ER-10 a form without its file", "/files", "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b--\r\n", "multipart/form-data; boundary=b", 400, "missing_file"},
		{"HD-18 too large", "/chat/completions", `{"model":"m","x":"` + strings.Repeat("x", 1<<20) + `"}`, "application/json", 413, "request_too_large"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			k := r.newKey(limited(perMinute(1)), budget(gateway.OneUSD))
			req := r.request(k.secret, "POST", openai+test.path, test.body)
			req.Header.Set("Content-Type", test.contentType)
			a := r.do(req)
			r.refused(a, test.status, test.code)
			if e := r.event(k); e.Status != test.status || e.Refused != test.code || e.Cost != 0 || r.fake.Calls() != 0 {
				t.Errorf("event %+v, %d calls to the provider", e, r.fake.Calls())
			}
			r.passed(r.chat(k, hello)) // it did not count
		})
	}
}

// Two content types could name two boundaries: the gateway would read one form and
// the provider another.
func TestContentTypeTwice(t *testing.T) {
	r := newRig(t)
	req := r.request(r.newKey().secret, "POST", chat, hello)
	req.Header["Content-Type"] = []string{"application/json", "text/plain"}
	r.refused(r.do(req), 400, "invalid_header")
	if r.fake.Calls() != 0 {
		t.Error("it was forwarded")
	}
}

// HD-18: a body at the limit passes, also one of unknown length; one byte more does not.
func TestBodyLimit(t *testing.T) {
	r := newRig(t)
	k := r.newKey()
	for _, extra := range []int{0, 1} {
		body := hello + strings.Repeat(" ", 1<<20-len(hello)+extra)
		for _, chunked := range []bool{false, true} {
			req := r.request(k.secret, "POST", chat, body)
			if chunked {
				req.Body, req.ContentLength = io.NopCloser(strings.NewReader(body)), -1
			}
			a := r.do(req)
			if extra == 0 {
				if r.passed(a); string(r.fake.Last().Body) != body {
					t.Errorf("chunked %v: the provider saw %d bytes", chunked, len(r.fake.Last().Body))
				}
				continue
			}
			if r.refused(a, 413, "request_too_large"); a.header.Get("X-Should-Retry") != "false" {
				t.Errorf("headers %v", a.header)
			}
		}
	}
}

// AP-04: ids that would mean another path at the provider.
func TestBadPaths(t *testing.T) {
	r := newRig(t)
	k := r.newKey()
	for _, id := range []string{"..", ".", "%2e%2e", "%2E%2e", "a%2Fb", "a%2fb", "a%3Fb", "a%23b", "%00", "a%0d%0aHost:x", "a%20b", "%5c..%5c", "a%25b", "a;b", "a&b", strings.Repeat("x", 257)} {
		for _, path := range []string{"/files/" + id, "/files/" + id + "/content"} {
			t.Run("AP-04 "+path, func(t *testing.T) {
				e := r.refused(r.call(k.secret, "GET", openai+path, ""), 400, "invalid_path")
				if e.Error.Type != "invalid_request_error" {
					t.Errorf("%+v", e)
				}
			})
		}
	}
	if n := r.fake.Calls(); n != 0 {
		t.Errorf("the provider was called %d times", n)
	}
}

// Headers that the gateway stores, and headers beyond reason.
func TestBadHeaders(t *testing.T) {
	r := newRig(t)
	k := r.newKey()
	for _, test := range []struct{ header, code string }{
		{"X-Custom-Event-Id: a\tb", "invalid_header"},
		{"X-Custom-Event-Id: " + strings.Repeat("x", 256), "invalid_header"},
		{"Idempotency-Key: " + strings.Repeat("x", 256), "invalid_header"},
		{"X-Metadata: " + strings.Repeat("x", 4097), "invalid_header"},
	} {
		e := r.refused(r.chat(k, hello, test.header), 400, test.code)
		if name, _, _ := strings.Cut(strings.ToLower(test.header), ":"); e.Error.Param == nil || *e.Error.Param != name {
			t.Errorf("%.30s: %+v", test.header, e.Error)
		}
	}
	// A server lets no control bytes through; behind another one they might come.
	for _, name := range []string{"X-Custom-Event-Id", "Idempotency-Key"} {
		req := httptest.NewRequest("POST", chat, strings.NewReader(hello))
		req.Header = http.Header{"Authorization": {"Bearer " + k.secret}, name: {"a\x00\x1b\x7f"}}
		w := httptest.NewRecorder()
		r.proxy.ServeHTTP(w, req)
		r.refused(answer{status: w.Code, header: w.Header(), body: w.Body.String()}, 400, "invalid_header")
	}
	if a := r.chat(k, hello, "X-Large: "+strings.Repeat("x", 2<<20)); a.err == nil && a.status != 431 {
		t.Errorf("2 MB of headers: %d", a.status)
	}
	if n := r.fake.Calls(); n != 0 {
		t.Errorf("the provider was called %d times", n)
	}
}

// A caller that stops sending is answered and let go: with its key known, and
// refused before its body is read.
func TestCallerStopsSending(t *testing.T) {
	for _, test := range []struct {
		name, length string
		known        bool
		status       int
		code         string
	}{
		{"known key", "Content-Length: 1000", true, 400, "incomplete_body"},
		{"known key, in chunks", "Transfer-Encoding: chunked", true, 400, "incomplete_body"},
		{"unknown key", "Content-Length: 1000", false, 401, "invalid_api_key"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.proxy.SetPatience(50 * time.Millisecond)
			k := r.newKey()
			if !test.known {
				k.secret = "unknown"
			}
			conn, err := net.Dial("tcp", r.server.Listener.Addr().String())
			r.must(err)
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(5 * time.Second))
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%s\r\n\r\n", chat, k.secret, test.length)
			in := bufio.NewReader(conn)
			res, err := http.ReadResponse(in, nil)
			r.must(err)
			body, err := io.ReadAll(res.Body)
			r.must(err)
			r.refused(answer{status: res.StatusCode, header: res.Header, body: string(body)}, test.status, test.code)
			if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
				t.Errorf("the connection stays: %v", err)
			}
			r.settled()
		})
	}
}

// A caller that is gone before its body is whole leaves an event and no charge.
func TestCallerLeavesWhileSending(t *testing.T) {
	r := newRig(t)
	k := r.newKey()
	conn, err := net.Dial("tcp", r.server.Listener.Addr().String())
	r.must(err)
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 1000\r\n\r\n%s", chat, k.secret, hello)
	r.await("the key being read", func() bool { return r.store.saw("KeyByHash") })
	conn.Close()
	if e := r.event(k); e.Refused != "incomplete_body" || e.Cost != 0 || r.fake.Calls() != 0 {
		t.Errorf("event %+v", e)
	}
}

// What is no HTTP request gets no further than the server in front.
func TestMalformedRequests(t *testing.T) {
	r := newRig(t)
	k := r.newKey()
	for name, head := range map[string]string{
		"a line break in a header":       "POST " + chat + " HTTP/1.1\r\nHost: a\r\nX-Custom-Event-Id: a\rb\r\n",
		"a header folded over two lines": "POST " + chat + " HTTP/1.1\r\nHost: a\r\nX-Custom-Event-Id: a\r\n\x00b: c\r\n",
		"NUL in a header":                "POST " + chat + " HTTP/1.1\r\nHost: a\r\nX-Custom-Event-Id: a\x00b\r\n",
		"a path that does not decode":    "POST " + chat + "/%zz HTTP/1.1\r\nHost: a\r\n",
		"a method with a blank":          "PO ST " + chat + " HTTP/1.1\r\nHost: a\r\n",
		"two lengths":                    "POST " + chat + " HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", r.server.Listener.Addr().String())
			r.must(err)
			defer conn.Close()
			r.must(conn.SetDeadline(time.Now().Add(5 * time.Second)))
			_, err = fmt.Fprintf(conn, "%sAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", head, k.secret, len(hello), hello)
			r.must(err)
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			r.must(err)
			defer res.Body.Close()
			if res.StatusCode != 400 {
				t.Errorf("got %s, want 400", res.Status)
			}
		})
	}
	if n := r.fake.Calls(); n != 0 || len(r.events(k)) != 0 {
		t.Errorf("%d calls reached the provider", n)
	}
}
