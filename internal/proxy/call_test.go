package proxy_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"

	"tollgate/internal/web"
)

// answer is what the caller got.
type answer struct {
	status int
	header http.Header
	body   string
	err    error // no answer, or it broke off
}

// request makes a request to the proxy. Header lines are "Name: value"; the key
// is sent as a bearer unless it is empty.
func (r *rig) request(key, method, path, body string, header ...string) *http.Request {
	r.Helper()
	req, err := http.NewRequest(method, r.server.URL+path, strings.NewReader(body))
	r.must(err)
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	return req
}

// call sends a request and reads the whole answer.
func (r *rig) call(key, method, path, body string, header ...string) answer {
	r.Helper()
	return r.do(r.request(key, method, path, body, header...))
}

func (r *rig) do(req *http.Request) answer {
	res, err := r.client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(b), err}
}

// chat makes a chat call.
func (r *rig) chat(k apiKey, body string, header ...string) answer {
	r.Helper()
	return r.call(k.secret, "POST", chat, body, header...)
}

// wireError is the gateway's error body.
type wireError struct {
	Type  string
	Error struct {
		Type, Message, Code string
		Param               *string
	}
	RequestID string `json:"request_id"`
}

// refused checks that the answer is an error of the gateway's own, whole and in
// the one form of errors, and returns it.
func (r *rig) refused(a answer, status int, code string) wireError {
	r.Helper()
	var e wireError
	if err := json.Unmarshal([]byte(a.body), &e); err != nil {
		r.Fatalf("%d: %v in %q (%v)", a.status, err, a.body, a.err)
	}
	if a.status != status || e.Error.Code != code {
		r.Errorf("got %d %s, want %d with code %s", a.status, a.body, status, code)
	}
	if e.Type != "error" || e.Error.Type == "" || !strings.HasPrefix(e.Error.Message, web.Prefix) {
		r.Errorf("not the form of an error: %s", a.body)
	}
	if ct := a.header.Get("Content-Type"); ct != "application/json; charset=utf-8" {
		r.Errorf("Content-Type %q", ct)
	}
	if id := a.header.Get("X-Request-Id"); id == "" || id != e.RequestID {
		r.Errorf("request id %q in the header and %q in the body", id, e.RequestID)
	}
	return e
}

// passed checks for a 200 from the provider.
func (r *rig) passed(a answer) answer {
	r.Helper()
	if a.status != http.StatusOK || a.err != nil {
		r.Fatalf("got %d %s (%v), want 200", a.status, a.body, a.err)
	}
	return a
}

// clients runs n callers that make the calls together, and counts the statuses
// they got.
func (r *rig) clients(n, calls int, call func(i int) answer) map[int]int {
	r.Helper()
	next := make(chan int)
	counts := make([]map[int]int, n)
	var wg sync.WaitGroup
	for c := range n {
		counts[c] = make(map[int]int)
		wg.Go(func() {
			for i := range next {
				counts[c][call(i).status]++
			}
		})
	}
	for i := range calls {
		next <- i
	}
	close(next)
	wg.Wait()
	all := make(map[int]int)
	for _, m := range counts {
		for status, n := range m {
			all[status] += n
		}
	}
	return all
}

func (r *rig) same(what string, got, want map[int]int) {
	r.Helper()
	if !maps.Equal(got, want) {
		r.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// usageAnswer is a chat completion that reports the usage.
func usageAnswer(usage string) string {
	return fmt.Sprintf(`{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}],"usage":%s}`, usage)
}

// answers has the fake provider answer like this.
func answers(status int, contentType, body string) func(http.ResponseWriter, *http.Request, []byte) bool {
	return func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		io.WriteString(w, body)
		return true
	}
}
