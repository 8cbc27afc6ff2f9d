package lambdahttp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"tollgate/internal/afterwork"
	"tollgate/internal/lambdahttp"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // panics are provoked below
	os.Exit(m.Run())
}

func event(method string) events.APIGatewayProxyRequest {
	return events.APIGatewayProxyRequest{HTTPMethod: method, Path: "/"}
}

func invoke(t testing.TB, ctx context.Context, method string, h http.HandlerFunc) *events.APIGatewayProxyStreamingResponse {
	t.Helper()
	response, err := lambdahttp.Stream(h, lambdahttp.Options{})(ctx, event(method))
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// deliver does what the runtime does with a response; the body is without prelude.
func deliver(response *events.APIGatewayProxyStreamingResponse) (string, error) {
	body, err := io.ReadAll(response.Body)
	response.Close()
	return string(body), err
}

func TestResponses(t *testing.T) {
	plain := map[string][]string{"Content-Type": {"text/plain"}}
	unnamed := map[string][]string{"Content-Type": {"application/octet-stream"}}
	broken := `{"error":{"code":"internal_error","message":"The gateway made an error. Please try again.",` +
		`"param":null,"type":"server_error"},"request_id":"","type":"error"}`
	for _, test := range []struct {
		name    string
		method  string
		handler http.HandlerFunc
		status  int
		header  map[string][]string
		body    string
		cut     bool
	}{
		{name: "nothing", handler: func(http.ResponseWriter, *http.Request) {}, status: 200, header: unnamed},
		{name: "write only", handler: func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "a")
			w.WriteHeader(500) // too late
			w.Header().Set("X-Late", "1")
			io.WriteString(w, "b")
		}, status: 200, header: unnamed, body: "ab"},
		{name: "head", handler: func(w http.ResponseWriter, _ *http.Request) {
			h := w.Header()
			h.Set("Content-Type", "text/plain")
			h["set-cookie"] = []string{"a=1", "b=2"}
			h.Set("Connection", "X-Hop")
			h.Set("X-Hop", "1")
			h.Set("Content-Length", "99")
			h.Set("Transfer-Encoding", "chunked")
			h.Set("X-Line", "a\r\nb")
			h[http.TrailerPrefix+"X-End"] = []string{"1"}
			w.WriteHeader(100)
			w.WriteHeader(103)
			w.WriteHeader(429)
		}, status: 429, header: map[string][]string{
			"Content-Type": {"text/plain"}, "Set-Cookie": {"a=1", "b=2"}, "X-Line": {"a  b"},
		}},
		{name: "HEAD request", method: "HEAD", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			if n, err := io.WriteString(w, "abc"); n != 3 || err != nil {
				panic(fmt.Sprint(n, err))
			}
		}, status: 200, header: plain},
		{name: "no content", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(204)
			if _, err := io.WriteString(w, "abc"); !errors.Is(err, http.ErrBodyNotAllowed) {
				panic(err)
			}
		}, status: 204, header: map[string][]string{}},
		{name: "impossible status", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(999)
		}, status: 502, header: plain},
		{name: "panic before the head", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Unsure", "1")
			panic("gone wrong")
		}, status: 500, header: map[string][]string{"Content-Type": {"application/json"}}, body: broken},
		{name: "panic after the head", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			io.WriteString(w, "begun")
			panic("gone wrong")
		}, status: 200, header: plain, body: "begun", cut: true},
		{name: "abort", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, status: 200, header: plain, cut: true},
		{name: "unsupported by a stream", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			err := http.NewResponseController(w).SetReadDeadline(time.Time{})
			fmt.Fprint(w, errors.Is(err, http.ErrNotSupported))
		}, status: 200, header: plain, body: "true"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.method == "" {
				test.method = "GET"
			}
			response := invoke(t, t.Context(), test.method, test.handler)
			if response.StatusCode != test.status || response.Headers != nil {
				t.Errorf("status %d, single headers %v; want %d and none", response.StatusCode, response.Headers, test.status)
			}
			if diff := cmp.Diff(test.header, response.MultiValueHeaders); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
			body, err := deliver(response)
			if body != test.body || (err != nil) != test.cut {
				t.Errorf("body %q, error %v; want %q, cut: %v", body, err, test.body, test.cut)
			}
		})
	}
}

func TestPreludeOnTheWire(t *testing.T) {
	response := invoke(t, t.Context(), "GET", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(201)
		io.WriteString(w, "body")
	})
	defer response.Close()
	wire, err := io.ReadAll(response)
	want := `{"statusCode":201,"multiValueHeaders":{"Content-Type":["text/plain"]}}` + "\x00\x00\x00\x00\x00\x00\x00\x00body"
	if err != nil || string(wire) != want {
		t.Errorf("wire %q, error %v; want %q", wire, err, want)
	}
}

func TestMalformedEventIsAnswered(t *testing.T) {
	serve := lambdahttp.Stream(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "served")
	}), lambdahttp.Options{})
	response, err := serve(t.Context(), events.APIGatewayProxyRequest{HTTPMethod: "GET", Path: "/%zz"})
	if err != nil {
		t.Fatal(err)
	}
	body, err := deliver(response)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Error struct{ Code, Message string }
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != 400 || got.Error.Code != "invalid_request" ||
		got.Error.Message != "The request cannot be read: its path has an invalid percent-encoding." {
		t.Errorf("%d %s", response.StatusCode, body)
	}
	response, err = serve(t.Context(), event("GET")) // the next is served as ever
	if err != nil {
		t.Fatal(err)
	}
	if body, err := deliver(response); body != "served" || err != nil {
		t.Errorf("next request: %q, %v", body, err)
	}
}

// A piece ends where the handler flushes, or at 32 KiB.
func TestPieces(t *testing.T) {
	response := invoke(t, t.Context(), "GET", func(w http.ResponseWriter, _ *http.Request) {
		for i := range 3 {
			fmt.Fprintf(w, "event %d", i)
			io.WriteString(w, "\n\n")
			http.NewResponseController(w).Flush()
		}
		for range 5 {
			w.Write(make([]byte, 10<<10))
		}
	})
	defer response.Close()
	var sizes []int
	piece := make([]byte, 64<<10)
	for {
		n, err := response.Body.Read(piece)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, n)
	}
	if diff := cmp.Diff([]int{9, 9, 9, 32 << 10, 18 << 10}, sizes); diff != "" {
		t.Errorf("pieces (-want +got):\n%s", diff)
	}
}

func TestConcurrentInvocations(t *testing.T) {
	var settled atomic.Int64
	serve := lambdahttp.Stream(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		afterwork.Do(r.Context(), func(context.Context) { settled.Add(1) })
		body, _ := io.ReadAll(r.Body)
		for _, b := range body {
			w.Write([]byte{b})
			w.(http.Flusher).Flush()
		}
	}), lambdahttp.Options{})
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 20 {
				want := strings.Repeat(string(rune('a'+i)), j)
				response, err := serve(t.Context(), events.APIGatewayProxyRequest{HTTPMethod: "POST", Path: "/", Body: want})
				if err != nil {
					t.Error(err)
					return
				}
				if body, err := deliver(response); body != want || err != nil {
					t.Errorf("%q, error %v; want %q", body, err, want)
				}
			}
		})
	}
	wg.Wait()
	if got := settled.Load(); got != 320 {
		t.Errorf("%d settled, want 320", got)
	}
}

func BenchmarkStream(b *testing.B) {
	piece := bytes.Repeat([]byte("x"), 200)
	serve := lambdahttp.Stream(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range 20 {
			w.Write(piece)
			w.(http.Flusher).Flush()
		}
	}), lambdahttp.Options{})
	b.ReportAllocs()
	for b.Loop() {
		response, err := serve(b.Context(), event("POST"))
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, response)
		response.Close()
	}
}
