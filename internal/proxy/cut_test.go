package proxy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"tollgate/internal/gateway"
)

// broken is events whose connection breaks after the last piece.
func broken(pieces ...string) func(http.ResponseWriter, *http.Request, []byte) bool {
	return func(w http.ResponseWriter, r *http.Request, b []byte) bool {
		events(pieces...)(w, r, b)
		panic(http.ErrAbortHandler)
	}
}

// ST-13: a stream that the provider breaks off ends with exactly one error event
// and the end mark; what came before is there and was charged.
func TestBrokenStream(t *testing.T) {
	const chunk = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"one two three\"}}]}\n\n"
	for _, test := range []struct {
		name, body string
		pieces     []string
		whole      string // what comes before the error event
	}{
		{"ST-13 between events", stream, []string{chunk, chunk}, chunk + chunk},
		{"ST-13 inside of an event", stream, []string{chunk, chunk[:40]}, chunk},
		{"ST-13 inside of a name", stream, []string{chunk, "da"}, chunk},
		{"ST-13 usage asked for", streamUsage, []string{chunk, chunk}, chunk + chunk},
		{"before the first event", stream, []string{": wait\n\n"}, ": wait\n\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.fake.Override = broken(test.pieces...)
			k := r.newKey()
			a := r.passed(r.chat(k, test.body))
			rest, ok := strings.CutPrefix(a.body, test.whole)
			list := payloads(rest)
			if !ok || len(list) != 2 || list[1] != "[DONE]" {
				t.Fatalf("got %q", a.body)
			}
			var e wireError
			if err := json.Unmarshal([]byte(list[0]), &e); err != nil || e.Error.Type != "server_error" || e.Error.Code != "upstream_interrupted" ||
				e.Error.Message != "[Tollgate] The provider's answer broke off." {
				t.Errorf("error event %s (%v)", list[0], err)
			}
			event := r.event(k)
			// "one two three" is three tokens.
			if tokens := int64(3 * strings.Count(test.whole, "three")); !event.Truncated || event.Refused != "upstream_interrupted" || event.Status != 200 ||
				event.Basis != gateway.BasisEstimated || event.Usage["output"] != tokens || event.Cost != gateway.NanoUSD(tokens*50_000) {
				t.Errorf("event %+v", event)
			}
			r.books(k)
		})
	}
}

// ST-13 with the other vendors: one error event, the end of their protocol, and no more.
func TestBrokenStreamOfVendors(t *testing.T) {
	const chunk = "data: {\"choices\":[{\"index\":0,\"text\":\"one\",\"delta\":{\"content\":\"one\"}}]}\n\n"
	for _, test := range []struct{ name, vendor, path string }{
		{"ST-13 azure chat", "azure", deployment + "/chat/completions"},
		{"ST-13 azure completions", "azure", deployment + "/completions"},
		{"ST-13 vllm chat", "vllm", at("vllm", "/chat/completions")},
		{"ST-13 vllm completions", "vllm", at("vllm", "/completions")},
		{"ST-13 deepinfra chat", "deepinfra", at("deepinfra", "/chat/completions")},
		{"ST-13 deepinfra completions", "deepinfra", at("deepinfra", "/completions")},
		{"ST-13 anthropic", "anthropic", messages},
		{"ST-13 custom", "acme", acme + "/generate"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			body, chunk, end := stream, chunk, "data: [DONE]\n\n"
			var k apiKey
			switch test.vendor {
			case "acme":
				r.newAcme()
				k, _ = r.keyForAcme()
				body, chunk = acmeStream, "data: {\"piece\":\"one\"}\n\n" // and it ends as OpenAI's do
			case "anthropic":
				k = r.claudeKey()
				body, chunk, end = greetStream, typed(t, messageStart)[0], ""
			default:
				k = r.keyFor(test.vendor)
			}
			r.fake.Override = broken(chunk, chunk[:20])
			a := r.passed(r.call(k.secret, "POST", test.path, body))
			if n := strings.Count(a.body, "upstream_interrupted"); n != 1 || !strings.HasPrefix(a.body, chunk) {
				t.Errorf("%d error events in %q", n, a.body)
			}
			_, after, _ := strings.Cut(a.body, "upstream_interrupted")
			if _, after, _ = strings.Cut(after, "\n\n"); after != end {
				t.Errorf("then %q, want %q", after, end)
			}
			if e := r.event(k); !e.Truncated || e.Refused != "upstream_interrupted" {
				t.Errorf("event %+v", e)
			}
		})
	}
}

// Where the caller sees events as they come, the cut may fall into one of them: it
// is closed, so that the error event stands by itself.
func TestBrokenInsideAVisibleEvent(t *testing.T) {
	r := newRig(t)
	r.fake.Override = broken("data: {\"choices\":[]}\n\n", "data: {\"cho")
	a := r.passed(r.chat(r.newKey(), streamUsage))
	list := payloads(a.body)
	if n := len(list); n < 3 || list[n-1] != "[DONE]" || !strings.Contains(list[n-2], `"code":"upstream_interrupted"`) || !json.Valid([]byte(list[n-2])) {
		t.Errorf("got %q", a.body)
	}
	if n := strings.Count(a.body, "server_error"); n != 1 {
		t.Errorf("%d error events", n)
	}
}

// An estimate never exceeds what was reserved: 15 chunks count as 30 tokens, of a
// call that could have 20.
func TestEstimateStaysWithinTheReservation(t *testing.T) {
	r := newRig(t)
	r.fake.Override = broken(strings.Repeat("data: {\"choices\":[{\"delta\":{\"content\":\"token \"}}]}\n\n", 15))
	r.updateSetting(r.setting.ID, func(s *gateway.Setting) {
		s.CostMap = &gateway.CostMap{Prompt: map[string]int64{"gpt-4o": 0}, Completion: map[string]int64{"gpt-4o": 50 * int64(gateway.OneUSD)}}
	})
	k := r.newKey(budget(1_000_000))
	r.passed(r.chat(k, strings.Replace(stream, `"m"`, `"gpt-4o"`, 1)))
	if e := r.event(k); e.Usage["output"] != 20 || e.Cost != 1_000_000 || e.Basis != gateway.BasisEstimated {
		t.Errorf("event %+v", e)
	}
	if spent := r.books(k); spent != 1_000_000 {
		t.Errorf("spent %v", spent)
	}
}

// The responses API has error events of its own, and no end mark.
func TestBrokenResponsesStream(t *testing.T) {
	r := newRig(t)
	const created = "event: response.created\ndata: {\"type\":\"response.created\"}\n\n"
	r.fake.Override = broken(created)
	k := r.newKey()
	a := r.passed(r.call(k.secret, "POST", openai+"/responses", `{"model":"m","input":"hi","stream":true,"max_output_tokens":20}`))
	want := created + "event: error\ndata: " +
		`{"code":"upstream_interrupted","message":"[Tollgate] The provider's answer broke off.","param":null,"sequence_number":0,"type":"error"}` + "\n\n"
	if a.body != want {
		t.Errorf("got %q", a.body)
	}
	if e := r.event(k); !e.Truncated || e.Refused != "upstream_interrupted" {
		t.Errorf("event %+v", e)
	}
}

// ST-14: so does a stream that takes longer than it may.
func testStreamDeadline(t *testing.T) {
	r := newRig(t)
	r.fake.Gap.Store(int64(50 * time.Millisecond))
	k := r.newKey()
	start := time.Now()
	a := r.passed(r.chat(k, stream, "x-request-timeout: 200ms"))
	if took := time.Since(start); took > 700*time.Millisecond {
		t.Errorf("took %v", took)
	}
	list := payloads(a.body)
	if n := len(list); n < 3 || n > 7 || list[n-1] != "[DONE]" || !strings.Contains(list[n-2], `"code":"upstream_timeout"`) {
		t.Errorf("got %q", list)
	}
	e := r.event(k)
	// Each chunk is "token ": a word and a blank.
	if n := int64(len(list) - 2); !e.Truncated || e.Refused != "upstream_timeout" || e.Basis != gateway.BasisEstimated || e.Usage["output"] != 2*n || e.Cost != gateway.NanoUSD(2*n*50_000) {
		t.Errorf("%d chunks, event %+v", n, e)
	}
	r.books(k)
}

// ST-15: when the caller leaves a stream the provider is left, too, and what had
// passed is charged.
func testCallerLeavesStream(t *testing.T) {
	r := newRig(t)
	left := make(chan bool, 1)
	r.fake.Override = func(w http.ResponseWriter, req *http.Request, b []byte) bool {
		events("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"one two three\"}}]}\n\n")(w, req, b)
		<-req.Context().Done()
		left <- true
		return true
	}
	k := r.newKey()
	ctx, leave := context.WithCancel(t.Context())
	res, err := r.client.Do(r.request(k.secret, "POST", chat, stream).WithContext(ctx))
	r.must(err)
	if _, err := io.ReadFull(res.Body, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	leave()
	select {
	case <-left:
	case <-time.After(5 * time.Second):
		t.Fatal("the provider was not left")
	}
	e := r.event(k)
	if !e.Truncated || e.Refused != "client_closed_request" || e.Basis != gateway.BasisEstimated || e.Cost != 150_000 || e.Usage["output"] != 3 {
		t.Errorf("event %+v", e)
	}
	r.books(k)
}

// A plain call runs to its end without its caller: only then it is known what it
// cost, and the provider bills it in any case.
func TestCallerLeavesPlainCall(t *testing.T) {
	r := newRig(t)
	begun := make(chan bool, 1)
	r.fake.Override = func(_ http.ResponseWriter, req *http.Request, _ []byte) bool {
		begun <- true
		select {
		case <-req.Context().Done():
			t.Error("the provider was left")
		case <-time.After(300 * time.Millisecond): // the proxy has noticed by then
		}
		return false
	}
	k := r.newKey()
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := r.client.Do(r.request(k.secret, "POST", chat, hello).WithContext(ctx))
		gone <- err
	}()
	<-begun
	leave()
	if err := <-gone; err == nil {
		t.Fatal("the caller did not leave")
	}
	if e := r.event(k); e.Basis != gateway.BasisReported || e.Cost != 1_000_000 {
		t.Errorf("event %+v", e)
	}
	r.books(k)
}

// Of a plain answer that breaks off no part passes for the whole: it is an error, and
// where too much of it has gone out for that, cut. What it cost is not known, and not
// none, so clients are told not to repeat the call by themselves.
func TestBrokenPlainAnswer(t *testing.T) {
	broken := func(length string, pieces int) func(http.ResponseWriter, *http.Request, []byte) bool {
		return func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
			h := w.Header()
			h.Set("Content-Type", "application/json")
			h.Set("Content-Encoding", "identity")
			h.Set("X-Of-The-Provider", "1")
			if length != "" {
				h.Set("Content-Length", length)
			}
			w.(http.Flusher).Flush()
			for range pieces {
				io.WriteString(w, `{"choices":[{"message":{"content":"one two`)
				w.(http.Flusher).Flush()
			}
			panic(http.ErrAbortHandler)
		}
	}
	for _, test := range []struct {
		name     string
		override func(http.ResponseWriter, *http.Request, []byte) bool
		cut      bool
	}{
		{"with its length", broken("1000", 1), false},
		{"in chunks", broken("", 3), false},
		{"before its first byte", broken("1000", 0), false},
		{"long, with its length", broken("1000000", 2000), true},
		{"long, in chunks", broken("", 2000), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.fake.Override = test.override
			k := r.newKey()
			a := r.chat(k, hello)
			if test.cut {
				if a.err == nil || a.status != 200 {
					t.Errorf("got %d %q without an error", a.status, a.body)
				}
			} else {
				r.refused(a, 502, "upstream_interrupted")
				if a.header.Get("X-Should-Retry") != "false" || a.header.Get("X-Of-The-Provider") != "" || a.header.Get("Content-Encoding") != "" {
					t.Errorf("headers %v", a.header)
				}
			}
			e := r.event(k)
			if !e.Truncated || e.Refused != "upstream_interrupted" || e.Basis != gateway.BasisReserved || e.Cost != 1_000_000 {
				t.Errorf("event %+v", e)
			}
			r.books(k)
		})
	}
}

// A caller that does not read holds no call for ever.
func TestCallerDoesNotRead(t *testing.T) {
	r := newRig(t)
	r.proxy.SetPatience(100 * time.Millisecond)
	r.fake.Keep = false
	r.fake.Override = func(w http.ResponseWriter, req *http.Request, _ []byte) bool {
		w.Header().Set("Content-Type", "text/event-stream")
		piece := []byte("data: " + strings.Repeat("x", 64<<10) + "\n\n")
		for { // more than all buffers on the way
			if _, err := w.Write(piece); err != nil {
				return true
			}
		}
	}
	k := r.newKey()
	conn, err := net.Dial("tcp", r.server.Listener.Addr().String())
	r.must(err)
	defer conn.Close()
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", chat, k.secret, len(stream), stream)
	r.await("a call", func() bool { return r.fake.Calls() > 0 })
	if e := r.event(k); !e.Truncated || e.Refused != "client_closed_request" {
		t.Errorf("event %+v", e)
	}
	r.books(k)
}
