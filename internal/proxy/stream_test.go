package proxy_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
)

// stream asks for a stream, without its usage.
var stream = strings.Replace(hello, "{", `{"stream":true,`, 1)

// streamUsage asks for its usage, too.
var streamUsage = strings.Replace(hello, "{", `{"stream":true,"stream_options":{"include_usage":true},`, 1)

// events has the fake provider stream the pieces, each flushed by itself.
func events(pieces ...string) func(http.ResponseWriter, *http.Request, []byte) bool {
	return func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		for _, p := range pieces {
			io.WriteString(w, p)
			w.(http.Flusher).Flush()
		}
		return true
	}
}

// payloads are the data of the events in a stream.
func payloads(body string) []string {
	var list []string
	for event := range strings.SplitSeq(body, "\n\n") {
		if data, ok := strings.CutPrefix(event, "data: "); ok {
			list = append(list, data)
		}
	}
	return list
}

// ST-01, ST-16: the chunks arrive in order and one by one, the usage that the
// gateway asked for is taken out, and what the caller asked for stays.
func TestChatStream(t *testing.T) {
	for _, test := range []struct {
		name, body string
		events     int // with [DONE]
	}{
		{"ST-01 ST-16 usage hidden", stream, 22},
		{"ST-01 ST-16 usage asked for", streamUsage, 23},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			k := r.newKey()
			a := r.passed(r.chat(k, test.body))
			list := payloads(a.body)
			if len(list) != test.events || list[len(list)-1] != "[DONE]" {
				t.Errorf("%d events: %q", len(list), list)
			}
			if has := strings.Contains(a.body, `"usage"`); has != (test.events == 23) {
				t.Errorf("usage in the stream: %v", has)
			}
			if h := a.header; h.Get("Content-Type") != "text/event-stream" || h.Get("X-Accel-Buffering") != "no" || h.Get("Cache-Control") != "no-cache" || h.Get("Content-Length") != "" {
				t.Errorf("headers %v", h)
			}
			e := r.event(k)
			if !e.Stream || e.Truncated || e.Basis != gateway.BasisReported || e.Usage["input"] != 10 || e.Usage["output"] != 20 || e.Cost != 1_000_000 {
				t.Errorf("event %+v", e)
			}
			var sent struct {
				Options struct {
					Usage bool `json:"include_usage"`
				} `json:"stream_options"`
			}
			if err := json.Unmarshal(r.fake.Last().Body, &sent); err != nil || !sent.Options.Usage {
				t.Errorf("the provider saw %s", r.fake.Last().Body)
			}
		})
	}
}

// ST-01, ST-12: each piece is there before the next one was sent, whatever it is of.
func TestStreamIsIncremental(t *testing.T) {
	for _, test := range []struct{ name, method, path, body, contentType, piece string }{
		{"ST-01 chat", "POST", "/chat/completions", stream, "text/event-stream", "data: %d\n\n"},
		{"ST-12 run", "POST", "/threads/t/runs", `{"assistant_id":"a","model":"m","stream":true}`, "text/event-stream", "event: thread.run.created\ndata: {\"n\":%d}\n\n"},
		{"ST-12 run with its thread", "POST", "/threads/runs", `{"assistant_id":"a","model":"m","stream":true}`, "text/event-stream", "event: x\ndata: %d\n\n"},
		{"ST-12 speech", "POST", "/audio/speech", `{"model":"tts-1","input":"hi","voice":"alloy"}`, "audio/mpeg", "\xff\xfb%d\x00"},
		{"ST-12 speech events", "POST", "/audio/speech", `{"model":"gpt-4o-mini-tts","input":"hi","voice":"alloy","stream_format":"sse"}`, "text/event-stream", "data: {\"type\":\"speech.audio.delta\",\"n\":%d}\n\n"},
		{"ST-12 file", "GET", "/files/f/content", "", "application/octet-stream", "\x00%d\xff"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			next := make(chan bool)
			r.fake.Override = func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
				w.Header().Set("Content-Type", test.contentType)
				for i := range 5 {
					fmt.Fprintf(w, test.piece, i)
					w.(http.Flusher).Flush()
					r.wait(next)
				}
				return true
			}
			res, err := r.client.Do(r.request(r.newKey().secret, test.method, openai+test.path, test.body))
			r.must(err)
			defer res.Body.Close()
			for i := range 5 {
				want := fmt.Sprintf(test.piece, i)
				got := make([]byte, len(want))
				if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != want {
					t.Fatalf("piece %d: %q, %v", i, got, err)
				}
				next <- true
			}
			if rest, err := io.ReadAll(res.Body); len(rest) != 0 || err != nil {
				t.Errorf("then %q, %v", rest, err)
			}
		})
	}
}

// ST-02: whatever a stream is made of, its bytes are relayed as they are.
func TestStreamBytes(t *testing.T) {
	for name, pieces := range map[string][]string{
		"comments and ids":  {": hello\n\n", "id: 7\nevent: x\nretry: 10\ndata: {\"a\":1}\n\n", ":\n\n", "data: [DONE]\n\n"},
		"no space":          {"data:{\"choices\":[]}\n\n", "data:[DONE]\n\n"},
		"CRLF":              {"data: {\"a\":1}\r\n\r\ndata: ", "[DONE]\r\n\r\n"},
		"CR":                {"data: {\"a\":1}\r\r", "data: [DONE]\r\r"},
		"split in a rune":   {"data: {\"a\":\"\xc3", "\xa9\"}\n", "\ndata: [DONE]\n\n"},
		"many lines":        {"data: {\ndata: \"a\":1}\n\n", "data: [DONE]\n\n"},
		"no end":            {"data: {\"a\":1}\n\n", "data: [DONE]"},
		"no stream at all":  {"\x00\x01garbage\xff", "\n\n\n\n"},
		"an event of 200 K": {"data: {\"a\":\"" + strings.Repeat("x", 200_000), "\"}\n\n", "data: [DONE]\n\n"},
		"nothing":           {},
	} {
		for _, body := range []string{stream, streamUsage} {
			t.Run(fmt.Sprint("ST-02 ", name, " ", body == stream), func(t *testing.T) {
				r := newRig(t)
				r.fake.Override = events(pieces...)
				k := r.newKey()
				if a := r.passed(r.chat(k, body)); a.body != strings.Join(pieces, "") {
					t.Errorf("got %.300q", a.body)
				}
				// What ends without its protocol's end may have been cut.
				cut := !strings.Contains(strings.Join(pieces, ""), "[DONE]")
				if e := r.event(k); e.Truncated != cut || e.Status != 200 {
					t.Errorf("event %+v, want truncated %v", e, cut)
				}
			})
		}
	}
}

// ST-16 on CRLF and with comments: only the event with the usage goes.
func testHiddenUsageInAnyForm(t *testing.T) {
	r := newRig(t)
	const usage = "id: 3\r\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\r\n\r\n"
	r.fake.Override = events(": c\r\n\r\nid: 1\r\ndata: {\"choices\":[{}],\"usage\":null}\r\n\r\n"+usage[:30], usage[30:]+"data: [DONE]\r\n\r\n")
	k := r.newKey()
	a := r.passed(r.chat(k, stream))
	if want := ": c\r\n\r\nid: 1\r\ndata: {\"choices\":[{}],\"usage\":null}\r\n\r\ndata: [DONE]\r\n\r\n"; a.body != want {
		t.Errorf("got %q", a.body)
	}
	if e := r.event(k); e.Usage["output"] != 2 || e.Cost != 100_000 {
		t.Errorf("event %+v", e)
	}
}

// EV-03: a stream is kept as it was.
func testStreamIsKept(t *testing.T) {
	r := newRig(t)
	r.fake.Override = events("data: {\"choices\":[]}\n\n", "data: [DONE]\n\n")
	k := r.newKey(func(k *gateway.Key) { k.LogResponse = true })
	a := r.passed(r.chat(k, streamUsage))
	var kept struct{ Data []byte }
	if err := json.Unmarshal(r.event(k).Response, &kept); err != nil || string(kept.Data) != a.body {
		t.Errorf("kept %q (%v)", kept.Data, err)
	}
}

// ST-17: 64 callers have all of their streams, with the end, while none of the calls is
// settled: nobody waits for the books.
func testNoWaitAtTheEnd(t *testing.T) {
	r := newRig(t)
	k := r.newKey(budget(gateway.OneUSD))
	release := make(chan bool)
	r.store.settle = func(_ *limit.Settlement, next func() error) error {
		r.wait(release)
		return next()
	}
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			if a := r.chat(k, stream); a.err != nil || !strings.HasSuffix(a.body, "data: [DONE]\n\n") {
				t.Errorf("%q, %v", a.body, a.err)
			}
		})
	}
	wg.Wait()
	if slices.Contains(r.store.take(), "Settle") != true {
		t.Error("nothing was to be settled")
	}
	close(release)
	if spent := r.books(k); spent != 64*1_000_000 {
		t.Errorf("spent %v", spent)
	}
}

// A known key costs one call of the store before the provider is asked, and none
// before the caller has the last byte.
func TestWarmKeyStoreCalls(t *testing.T) {
	t.Run("plain", func(t *testing.T) { testWarmKeyStoreCalls(t, hello) })
	t.Run("ST-17 stream", func(t *testing.T) { testWarmKeyStoreCalls(t, stream) })
}

func testWarmKeyStoreCalls(t *testing.T, body string) {
	r := newRig(t)
	k := r.newKey(limited(perMinute(10)), budget(gateway.OneUSD))
	r.passed(r.chat(k, body))
	r.settled()
	if got := r.store.take(); !slices.Equal(got, []string{"KeyByHash", "Settings", "Reserve", "Settle"}) {
		t.Errorf("a new key: %v", got)
	}
	r.fake.Override = func(http.ResponseWriter, *http.Request, []byte) bool {
		if got := r.store.take(); !slices.Equal(got, []string{"Reserve"}) {
			t.Errorf("before the provider was called: %v", got)
		}
		return false
	}
	settling, release := make(chan []string, 1), make(chan bool)
	r.store.settle = func(_ *limit.Settlement, next func() error) error {
		settling <- r.store.take()
		r.wait(release)
		return next()
	}
	r.passed(r.chat(k, body)) // complete, and nothing is settled yet
	if got := <-settling; !slices.Equal(got, []string{"Settle"}) {
		t.Errorf("before the last byte: %v", got)
	}
	// ST-17: the connection is free for the next call, too.
	if a := r.call(k.secret, "GET", "/api/health", ""); a.status != 200 {
		t.Errorf("got %d", a.status)
	}
	close(release)
	r.books(k)
}
