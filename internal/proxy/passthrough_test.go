package proxy_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"tollgate/internal/gateway"
)

// multipartForm is a form with one file, and its Content-Type.
func multipartForm(t testing.TB, fields map[string]string, file, name, content string) (body, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for k, v := range fields {
		if err := w.WriteField(k, v); err != nil {
			t.Fatal(err)
		}
	}
	if file != "" {
		part, err := w.CreateFormFile(file, name)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(part, content)
	}
	w.Close()
	return b.String(), w.FormDataContentType()
}

// Every endpoint that there is, the peer's among them, reaches the provider as it came,
// with the setting's credential, and its answer comes back as it is.
func TestEveryEndpoint(t *testing.T) {
	r := newRig(t)
	endpoints := r.proxy.Endpoints()
	k := r.keyForAll()
	if len(endpoints) < 74 {
		t.Fatalf("%d endpoints", len(endpoints))
	}
	reply := "{\"id\" : \"x\",\n \"n\":1.0}"
	r.fake.Override = func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		w.Header().Set("Content-Type", "application/json; odd=1")
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, reply)
		return true
	}
	for _, e := range endpoints {
		if strings.HasPrefix(e.Pattern, onBedrock+"/anthropic/") {
			continue // it changes on its way: TestBedrockCompatible
		}
		t.Run(e.Method+" "+strings.TrimPrefix(e.Pattern, "/api/providers/"), func(t *testing.T) {
			segs := strings.Split(e.Pattern, "/")
			for i, s := range segs {
				if strings.HasPrefix(s, ":") {
					segs[i] = "id-" + s[1:]
				}
			}
			path := strings.Join(segs, "/")
			body, contentType := "", ""
			switch {
			case e.Form:
				body, contentType = multipartForm(t, map[string]string{"model": "whisper-1", "purpose": "assistants"}, "file", "a.bin", "\x00\x01bytes")
			case e.Method == "POST":
				body, contentType = `{"model":"gpt-4o-mini", "input" : "é", "x":[1.0]}`, "application/json"
			}
			req := r.request(k.secret, e.Method, path+"?limit=5&after=x%2Fy", body)
			if contentType != "" {
				req.Header.Set("Content-Type", contentType)
			}
			a := r.do(req)
			if a.status != http.StatusAccepted || a.body != reply || a.header.Get("Content-Type") != "application/json; odd=1" {
				t.Errorf("got %d %q %q", a.status, a.header.Get("Content-Type"), a.body)
			}
			got := r.fake.Last()
			query := "limit=5&after=x%2Fy"
			if e.Dialect == gateway.AWSDialect { // its operations have none
				query = ""
			}
			if want := strings.TrimPrefix(path, "/api/providers/"+e.Vendor.Name()); got.Method != e.Method || got.Path != want || got.Query != query {
				t.Errorf("the provider saw %s %s?%s", got.Method, got.Path, got.Query)
			}
			if string(got.Body) != body || got.Header.Get("Content-Type") != contentType {
				t.Errorf("the provider saw %q, %v", got.Body, got.Header)
			}
			name, want := credentialHeader(e.Vendor.Name())
			if e.Dialect == gateway.GoogleDialect {
				name, want = "X-Goog-Api-Key", upstreamKey
			}
			if got.Header.Get(name) != want {
				t.Errorf("the provider saw %q, %v", got.Body, got.Header)
			}
		})
	}
}

// AP-01, AP-02: the query goes on as it came, with no part of it read or written anew.
func TestQueries(t *testing.T) {
	r := newRig(t)
	k := r.newKey()
	for _, test := range []struct{ name, method, path string }{
		{"AP-01 assistants", "GET", "/assistants"},
		{"AP-01 files of an assistant", "GET", "/assistants/a/files"},
		{"AP-01 a thread", "GET", "/threads/t"},
		{"AP-01 messages", "GET", "/threads/t/messages"},
		{"AP-01 runs", "GET", "/threads/t/runs"},
		{"AP-01 steps", "GET", "/threads/t/runs/r/steps"},
		{"AP-01 files", "GET", "/files"},
		{"AP-01 batches", "GET", "/batches"},
		{"AP-02 vector stores", "GET", "/vector_stores"},
		{"AP-02 files of a vector store", "GET", "/vector_stores/v/files"},
		{"AP-02 files of a batch", "GET", "/vector_stores/v/file_batches/b/files"},
	} {
		t.Run(test.name, func(t *testing.T) {
			const query = "limit=5&after=x&order=desc&include[]=a%20b&include[]=%2B&empty=&flag"
			r.passed(r.call(k.secret, test.method, openai+test.path+"?"+query, ""))
			if got := r.fake.Last(); got.Path != "/v1"+test.path || got.Query != query {
				t.Errorf("the provider saw %s?%s", got.Path, got.Query)
			}
		})
	}
}

// HD-17.
func testHealth(t *testing.T) {
	r := newRig(t)
	for _, method := range []string{"GET", "POST"} {
		if a := r.call("", method, "/api/health", ""); a.status != 200 || a.body != "" {
			t.Errorf("%s: %d %q", method, a.status, a.body)
		}
	}
}

// ER-03: what is not served.
func TestUnknownURLs(t *testing.T) {
	r := newRig(t)
	k := r.newKey()
	for _, test := range []struct{ method, path string }{
		{"POST", "/nope"}, {"PUT", chat}, {"POST", openai + "/nosuch"}, {"PUT", "/api/health"}, {"GET", "/"},
		{"POST", "/api/providers/openai/chat/completions"}, {"POST", openai + "/realtime/sessions"},
		{"POST", openai + "//chat/completions"}, {"POST", openai + "/../v1/chat/completions"},
	} {
		t.Run("ER-03 "+test.method+" "+test.path, func(t *testing.T) {
			r.refused(r.call(k.secret, test.method, test.path, ""), 404, "unknown_url")
		})
	}
}

// ER-04, ER-05: the provider's errors are the caller's, with all that belongs to them.
func TestUpstreamErrorsPass(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 409, 422, 429, 500, 503, 529} {
		for contentType, body := range map[string]string{
			"application/json":         `{"error":{"message":"provider says no","type":"t","param":null,"code":"c"}}`,
			"text/html; charset=utf-8": "<html>no</html>",
		} {
			t.Run(fmt.Sprint("ER-04 ER-05 ", status, " ", contentType), func(t *testing.T) {
				r := newRig(t, standing)
				r.fake.Override = func(w http.ResponseWriter, req *http.Request, b []byte) bool {
					w.Header().Set("Retry-After", "7")
					w.Header().Set("X-Ratelimit-Remaining-Tokens", "3")
					w.Header().Set("X-Request-Id", "req_theirs")
					return answers(status, contentType, body)(w, req, b)
				}
				k := r.newKey(limited(perMinute(5)))
				a := r.chat(k, hello)
				if a.status != status || a.body != body || a.header.Get("Content-Type") != contentType {
					t.Errorf("got %d %q %q", a.status, a.header.Get("Content-Type"), a.body)
				}
				h := a.header
				if h.Get("Retry-After") != "7" || h.Get("X-Ratelimit-Remaining-Tokens") != "3" || h.Get("X-Upstream-Request-Id") != "req_theirs" {
					t.Errorf("headers %v", h)
				}
				e := r.event(k)
				if e.Status != status || e.Cost != 0 || h.Get("X-Request-Id") != e.ID || h.Get("X-Ratelimit-Remaining-Requests") != "4" {
					t.Errorf("event %+v, headers %v", e, h)
				}
			})
		}
	}
}

// HD-16: a compressed answer is metered, and comes back plain.
func testCompressedAnswer(t *testing.T) {
	r := newRig(t)
	const plain = `{"model":"m","usage":{"prompt_tokens":10,"completion_tokens":20}}`
	r.fake.Override = func(w http.ResponseWriter, req *http.Request, _ []byte) bool {
		if req.Header.Get("Accept-Encoding") != "gzip" {
			t.Errorf("Accept-Encoding %q", req.Header.Get("Accept-Encoding"))
		}
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Type", "application/json")
		z := gzip.NewWriter(w)
		io.WriteString(z, plain)
		z.Close()
		return true
	}
	k := r.newKey()
	a := r.passed(r.chat(k, hello, "Accept-Encoding: br, zstd"))
	if a.body != plain || a.header.Get("Content-Encoding") != "" {
		t.Errorf("got %q %v", a.body, a.header)
	}
	if e := r.event(k); e.Cost != 1_000_000 || e.Basis != gateway.BasisReported {
		t.Errorf("cost %v by %s", e.Cost, e.Basis)
	}
	// One that nobody asked for passes as it is; what it holds is not known.
	r.fake.Override = func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		w.Header().Set("Content-Encoding", "br")
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "\x8b\x02\x80nonsense\x03")
		return true
	}
	k = r.newKey()
	a = r.passed(r.chat(k, hello))
	if a.body != "\x8b\x02\x80nonsense\x03" || a.header.Get("Content-Encoding") != "br" {
		t.Errorf("got %q %v", a.body, a.header)
	}
	if e := r.event(k); e.Cost != 1_000_000 || e.Basis != gateway.BasisReserved {
		t.Errorf("cost %v by %s", e.Cost, e.Basis)
	}
}

// HD-16 for streams: events that come compressed, each flushed by itself, arrive plain,
// each before the next is sent, whatever the caller accepts, and are metered.
func TestCompressedStream(t *testing.T) {
	for _, test := range []struct{ name, accepts, body string }{
		{"HD-16 accepts gzip", "Accept-Encoding: gzip, br", stream},
		{"HD-16 accepts gzip, asks for usage", "Accept-Encoding: gzip", streamUsage},
		{"HD-16 accepts nothing", "Accept-Encoding: identity", stream},
		{"HD-16 does not say", "X-None: x", streamUsage},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			next := make(chan bool)
			r.fake.Override = func(w http.ResponseWriter, req *http.Request, _ []byte) bool {
				if got := req.Header.Get("Accept-Encoding"); got != "gzip" {
					t.Errorf("Accept-Encoding %q", got)
				}
				w.Header().Set("Content-Encoding", "gzip")
				w.Header().Set("Content-Type", "text/event-stream")
				z := gzip.NewWriter(w)
				for _, piece := range []string{wordPiece, wordPiece, usagePiece, donePiece} {
					io.WriteString(z, piece)
					z.Flush()
					w.(http.Flusher).Flush()
					r.wait(next)
				}
				z.Close()
				return true
			}
			k := r.newKey()
			res, err := r.client.Do(r.request(k.secret, "POST", chat, test.body, test.accepts))
			r.must(err)
			defer res.Body.Close()
			if res.StatusCode != 200 || res.Header.Get("Content-Encoding") != "" || res.Header.Get("Content-Type") != "text/event-stream" {
				t.Errorf("%d %v", res.StatusCode, res.Header)
			}
			pieces := []string{wordPiece, wordPiece, usagePiece, donePiece}
			for i, want := range pieces {
				if want == usagePiece && test.body == stream { // the gateway has asked for it
					want = ""
				}
				got := make([]byte, len(want))
				if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != want {
					t.Fatalf("event %d: %q, %v", i, got, err)
				}
				next <- true
			}
			if rest, err := io.ReadAll(res.Body); len(rest) != 0 || err != nil {
				t.Errorf("then %q, %v", rest, err)
			}
			if e := r.event(k); e.Cost != 1_000_000 || e.Basis != gateway.BasisReported || e.Usage["output"] != 20 || e.Truncated {
				t.Errorf("event %+v", e)
			}
		})
	}
}

// A compressed stream that breaks off in the middle of its compression ends as any
// other: with one error event, and the text that had come is charged.
func TestCompressedStreamBreaks(t *testing.T) {
	r := newRig(t)
	r.fake.Override = func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Type", "text/event-stream")
		z := gzip.NewWriter(w)
		io.WriteString(z, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"one two three\"}}]}\n\n")
		z.Flush()
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	k := r.newKey()
	a := r.passed(r.chat(k, stream))
	list := payloads(a.body)
	if len(list) != 3 || !strings.Contains(list[1], `"code":"upstream_interrupted"`) || list[2] != "[DONE]" || a.header.Get("Content-Encoding") != "" {
		t.Errorf("got %v %q", a.header, a.body)
	}
	if e := r.event(k); !e.Truncated || e.Basis != gateway.BasisEstimated || e.Usage["output"] != 3 || e.Cost != 150_000 {
		t.Errorf("event %+v", e)
	}
}

// AP-05 to AP-11: bytes of every kind, both ways.
func TestBytesPass(t *testing.T) {
	binary := string([]byte{0, 1, 2, 0xff, 0xfe, '\r', '\n', 0}) + strings.Repeat("\x80z", 40_000)
	r := newRig(t)
	k := r.newKey()
	for _, test := range []struct {
		name, method, path string
		fields             map[string]string
		body               string
		contentType, reply string
	}{
		{"AP-05 upload", "POST", "/files", map[string]string{"purpose": "batch"}, "", "application/json", `{"id":"file-1"}`},
		{"AP-06 download", "GET", "/files/file-1/content", nil, "", "application/octet-stream", binary},
		{"AP-07 image edit", "POST", "/images/edits", map[string]string{"model": "gpt-image-1", "prompt": "cat"}, "", "application/json", `{"data":[]}`},
		{"AP-08 speech", "POST", "/audio/speech", nil, `{"model":"tts-1","input":"hi","voice":"alloy"}`, "audio/mpeg", binary},
		{"AP-09 json", "POST", "/audio/transcriptions", map[string]string{"model": "whisper-1"}, "", "application/json", `{"text":"hi"}`},
		{"AP-09 text", "POST", "/audio/transcriptions", map[string]string{"model": "whisper-1", "response_format": "text"}, "", "text/plain; charset=utf-8", "hi\n"},
		{"AP-09 srt", "POST", "/audio/transcriptions", map[string]string{"model": "whisper-1", "response_format": "srt"}, "", "text/plain; charset=utf-8", "1\r\n00:00:00,000 --> 00:00:01,000\r\nhi\r\n"},
		{"AP-09 vtt", "POST", "/audio/transcriptions", map[string]string{"model": "whisper-1", "response_format": "vtt"}, "", "text/vtt", "WEBVTT\n\n"},
		{"AP-10 translation", "POST", "/audio/translations", map[string]string{"model": "whisper-1"}, "", "application/json", `{"text":"hi"}`},
		{"AP-11 float", "POST", "/embeddings", nil, `{"model":"text-embedding-3-small","input":["a","b"]}`, "application/json", `{"data":[{"embedding":[0.1,-2e-05]}],"usage":{"prompt_tokens":2,"total_tokens":2}}`},
		{"AP-11 base64", "POST", "/embeddings", nil, `{"model":"text-embedding-3-small","input":[1,2],"encoding_format":"base64"}`, "application/json", `{"data":[{"embedding":"AAAA"}],"usage":{"prompt_tokens":2,"total_tokens":2}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			r.fake.Override = answers(200, test.contentType, test.reply)
			body, contentType := test.body, "application/json"
			if test.fields != nil {
				body, contentType = multipartForm(t, test.fields, "file", "ü.bin", binary)
			}
			req := r.request(k.secret, test.method, openai+test.path, body)
			if body != "" {
				req.Header.Set("Content-Type", contentType)
			}
			a := r.passed(r.do(req))
			if a.body != test.reply || a.header.Get("Content-Type") != test.contentType {
				t.Errorf("got %q, %d bytes of %d", a.header.Get("Content-Type"), len(a.body), len(test.reply))
			}
			if got := r.fake.Last(); string(got.Body) != body {
				t.Errorf("the provider saw %d bytes of %d", len(got.Body), len(body))
			}
		})
	}
}
