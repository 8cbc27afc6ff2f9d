package lambdahttp_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"tollgate/internal/lambdahttp"
)

const samples = "../../events"

func readEvent(t testing.TB, name string) events.APIGatewayProxyRequest {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(samples, name))
	if err != nil {
		t.Fatal(err)
	}
	var e events.APIGatewayProxyRequest
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return e
}

func TestSampleEvents(t *testing.T) {
	for _, test := range []struct {
		file, line, contentType string
		length                  int64
		body                    string // part of it
	}{
		{"chat.json", "POST /api/providers/openai/v1/chat/completions", "application/json", 91, `"Say hello."`},
		{"chat-stream.json", "POST /api/providers/openai/v1/chat/completions", "application/json", 149, `"stream":true`},
		{"multipart.json", "POST /api/providers/openai/v1/audio/transcriptions", "multipart/form-data; boundary=tollgate-boundary", 263, "\x80\x3e\x00\x00\x02"},
		{"admin-provider-setting.json", "PUT /api/provider-settings", "application/json", 72, `"sk-example"`},
		{"health.json", "GET /api/health", "", 0, ""},
	} {
		t.Run(test.file, func(t *testing.T) {
			r, err := lambdahttp.NewRequest(t.Context(), readEvent(t, test.file))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Fatal(err)
			}
			if line := r.Method + " " + r.RequestURI; line != test.line {
				t.Errorf("%s, want %s", line, test.line)
			}
			if got := r.Header.Get("Content-Type"); got != test.contentType {
				t.Errorf("content type %q, want %q", got, test.contentType)
			}
			if r.ContentLength != test.length || int64(len(body)) != test.length || !strings.Contains(string(body), test.body) {
				t.Errorf("length %d, body %q; want %d bytes with %q", r.ContentLength, body, test.length, test.body)
			}
			if r.Host != "abc123defg.execute-api.eu-central-1.amazonaws.com" || r.Header.Get("Host") != "" {
				t.Errorf("host %q, header %q", r.Host, r.Header.Get("Host"))
			}
			if r.RemoteAddr != "203.0.113.7:0" {
				t.Errorf("remote address %q", r.RemoteAddr)
			}
		})
	}
}

func TestPath(t *testing.T) {
	for _, test := range []struct {
		name, path, resource, proxy string
		escaped, decoded            string
	}{
		{"plain", "/v1/models", "/{proxy+}", "v1/models", "/v1/models", "/v1/models"},
		{"encoded slash and question mark", "/v1/a%2Fb%3Fc", "/{proxy+}", "v1/a/b?c", "/v1/a%2Fb%3Fc", "/v1/a/b?c"},
		{"lower-case escape", "/v1/a%2fb", "/{proxy+}", "v1/a/b", "/v1/a%2fb", "/v1/a/b"},
		{"needless escape", "/v1/%61", "/{proxy+}", "v1/a", "/v1/%61", "/v1/a"},
		{"colon", "/models/gemini:generateContent", "/{proxy+}", "models/gemini:generateContent", "/models/gemini:generateContent", "/models/gemini:generateContent"},
		{"not encoded by a local tool", "/a b?c#d/é", "/{proxy+}", "a b?c#d/é", "/a%20b%3Fc%23d/%C3%A9", "/a b?c#d/é"},
		{"trailing slash", "/v1/models/", "/{proxy+}", "v1/models", "/v1/models/", "/v1/models/"},
		{"base path", "/gw/v1/models", "/{proxy+}", "v1/models", "/v1/models", "/v1/models"},
		{"base path of two segments, encoded id", "/my/gw/v1/a%2Fb/", "/{proxy+}", "v1/a/b", "/v1/a%2Fb/", "/v1/a/b/"},
		{"base path like the path", "/v1/v1", "/{proxy+}", "v1", "/v1", "/v1"},
		{"parameter still encoded", "/gw/v1/a%2Fb", "/{proxy+}", "v1/a%2Fb", "/v1/a%2Fb", "/v1/a/b"},
		{"parameter that does not fit", "/v1/models", "/{proxy+}", "other", "/v1/models", "/v1/models"},
		{"root", "/", "/", "", "/", "/"},
		{"root under a base path", "/gw", "/", "", "/", "/"},
		{"none", "", "", "", "/", "/"},
		{"two slashes", "//v1", "/{proxy+}", "v1", "//v1", "//v1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := events.APIGatewayProxyRequest{HTTPMethod: "GET", Path: test.path, Resource: test.resource}
			if test.proxy != "" {
				e.PathParameters = map[string]string{"proxy": test.proxy}
			}
			e.RequestContext.Path = "/dev" + test.path // has to be without effect
			r, err := lambdahttp.NewRequest(t.Context(), e)
			if err != nil {
				t.Fatal(err)
			}
			if got := r.URL.EscapedPath(); got != test.escaped || r.RequestURI != test.escaped {
				t.Errorf("escaped %q, request URI %q, want %q", got, r.RequestURI, test.escaped)
			}
			if r.URL.Path != test.decoded {
				t.Errorf("path %q, want %q", r.URL.Path, test.decoded)
			}
		})
	}
}

func TestQueryAndHeader(t *testing.T) {
	e := events.APIGatewayProxyRequest{
		HTTPMethod:                      "GET",
		Path:                            "/",
		QueryStringParameters:           map[string]string{"k": "2"},
		MultiValueQueryStringParameters: map[string][]string{"k": {"1", "2"}, "a b": {"&=é"}, "empty": {""}},
		Headers:                         map[string]string{"x": "single"},
		MultiValueHeaders: map[string][]string{
			"x": {"1", "2"}, "host": {"api.example.com"}, "content-length": {"7"},
			"Connection": {"close, X-Hop"}, "X-Hop": {"1"}, "Te": {"trailers"},
		},
	}
	r, err := lambdahttp.NewRequest(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	if want := "/?a+b=%26%3D%C3%A9&empty=&k=1&k=2"; r.RequestURI != want {
		t.Errorf("request URI %q, want %q", r.RequestURI, want)
	}
	if diff := cmp.Diff(http.Header{"X": {"1", "2"}}, r.Header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	if r.Host != "api.example.com" {
		t.Errorf("host %q", r.Host)
	}

	e.MultiValueQueryStringParameters, e.MultiValueHeaders = nil, nil
	if r, err = lambdahttp.NewRequest(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if r.RequestURI != "/?k=2" || r.Header.Get("X") != "single" {
		t.Errorf("without the multi-value maps: %q, %v", r.RequestURI, r.Header)
	}
}

func TestMalformedEvents(t *testing.T) {
	for name, test := range map[string]struct {
		event events.APIGatewayProxyRequest
		want  string
	}{
		"empty":          {events.APIGatewayProxyRequest{}, "no valid method"},
		"method":         {events.APIGatewayProxyRequest{HTTPMethod: "GET /", Path: "/"}, "no valid method"},
		"relative path":  {events.APIGatewayProxyRequest{HTTPMethod: "GET", Path: "v1"}, "does not begin with a slash"},
		"bad escape":     {events.APIGatewayProxyRequest{HTTPMethod: "GET", Path: "/%zz"}, "percent-encoding"},
		"cut escape":     {events.APIGatewayProxyRequest{HTTPMethod: "GET", Path: "/%2"}, "percent-encoding"},
		"bad base64":     {events.APIGatewayProxyRequest{HTTPMethod: "GET", Path: "/", Body: "*", IsBase64Encoded: true}, "base64"},
		"header name":    {events.APIGatewayProxyRequest{HTTPMethod: "GET", Path: "/", Headers: map[string]string{"a b": ""}}, "invalid name"},
		"header newline": {events.APIGatewayProxyRequest{HTTPMethod: "GET", Path: "/", Headers: map[string]string{"A": "b\r\nC: d"}}, "header A has an invalid value"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := lambdahttp.NewRequest(t.Context(), test.event)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one about %q", err, test.want)
			}
		})
	}
}

// Whatever an event holds, its request is one that net/http could have made.
func FuzzNewRequest(f *testing.F) {
	for _, name := range []string{"chat.json", "multipart.json", "health.json"} {
		text, err := os.ReadFile(filepath.Join(samples, name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"httpMethod":"GET","path":"/%2F?#%","resource":"/{proxy+}","pathParameters":{"proxy":"//"}}`))
	f.Add([]byte(`{"httpMethod":"GET","path":"//a/b","headers":{"Connection":"x"},"body":"=","isBase64Encoded":true}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var e events.APIGatewayProxyRequest
		if json.Unmarshal(text, &e) != nil {
			return
		}
		r, err := lambdahttp.NewRequest(t.Context(), e)
		if err != nil {
			return
		}
		again, err := url.ParseRequestURI("http://host" + r.RequestURI)
		if err != nil {
			t.Fatalf("request URI %q: %v", r.RequestURI, err)
		}
		if again.Path != r.URL.Path || again.EscapedPath() != r.URL.EscapedPath() || again.RawQuery != r.URL.RawQuery {
			t.Errorf("request URI %q does not give back %+v", r.RequestURI, r.URL)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || int64(len(body)) != r.ContentLength {
			t.Errorf("body of %d bytes, error %v; content length %d", len(body), err, r.ContentLength)
		}
	})
}

func BenchmarkNewRequest(b *testing.B) {
	e := readEvent(b, "chat.json")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := lambdahttp.NewRequest(b.Context(), e); err != nil {
			b.Fatal(err)
		}
	}
}
