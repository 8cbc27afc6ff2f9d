package adminclient_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"tollgate/internal/adminclient"
)

// serve answers every request with status and body and keeps the last one.
func serve(t *testing.T, status int, body string, header http.Header) (base string, last *http.Request) {
	t.Helper()
	last = &http.Request{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*last = *r.Clone(t.Context())
		text, _ := io.ReadAll(r.Body)
		last.Body = io.NopCloser(strings.NewReader(string(text)))
		for name := range header {
			w.Header().Set(name, header.Get(name))
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL, last
}

func TestCall(t *testing.T) {
	base, last := serve(t, 200, `{"a":1}`, http.Header{"X-Next-Cursor": {"more"}})
	c := adminclient.Client{Base: base + "/prod/", Signer: adminclient.Password("open")}
	var answer struct{ A int }
	page, err := c.Call(t.Context(), "PUT", "/api/x", url.Values{"b": {"1", "2"}}, map[string]int{"n": 3}, &answer)
	if err != nil || answer.A != 1 || page.Next != "more" {
		t.Fatalf("%+v, %+v, %v", answer, page, err)
	}
	sent, _ := io.ReadAll(last.Body)
	if last.Method != "PUT" || last.URL.String() != "/prod/api/x?b=1&b=2" || string(sent) != `{"n":3}` ||
		last.Header.Get("X-Api-Key") != "open" || last.Header.Get("Content-Type") != "application/json" {
		t.Errorf("sent %s %s %s with %v", last.Method, last.URL, sent, last.Header)
	}
}

func TestCallFails(t *testing.T) {
	for _, tt := range []struct {
		status int
		body   string
		want   string
	}{
		{400, `{"type":"/errors/validation","title":"key validation failed","status":400,"detail":"name is missing"}`, "name is missing (400)"},
		{403, `{"message":"User is not authorized to access this resource"}`, "User is not authorized to access this resource (403)"},
		{404, `{"title":"path is not found"}`, "path is not found (404)"},
		{502, `<html>`, "Bad Gateway (502)"},
	} {
		base, _ := serve(t, tt.status, tt.body, http.Header{"X-Request-Id": {"r1"}})
		_, err := (&adminclient.Client{Base: base}).Call(t.Context(), "GET", "/api/x", nil, nil, nil)
		var refused *adminclient.Error
		if !errors.As(err, &refused) || err.Error() != tt.want || refused.Status != tt.status || refused.RequestID != "r1" {
			t.Errorf("%d %s: %#v", tt.status, tt.body, err)
		}
	}
	base, _ := serve(t, 200, "<html>", nil)
	var answer map[string]any
	if _, err := (&adminclient.Client{Base: base}).Call(t.Context(), "GET", "/api/x", nil, nil, &answer); err == nil || !strings.Contains(err.Error(), "is this its URL?") {
		t.Errorf("a page instead of an answer: %v", err)
	}
	var silent *adminclient.Unreachable
	if _, err := (&adminclient.Client{Base: "http://127.0.0.1:1"}).Call(t.Context(), "GET", "/api/x", nil, nil, nil); !errors.As(err, &silent) {
		t.Errorf("nobody there: %v", err)
	}
}

// The signature is over method, path, query and body, for execute-api. The figure
// was checked against a computation of the four steps by hand.
func TestSigV4(t *testing.T) {
	base, last := serve(t, 200, `{}`, nil)
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	s := &adminclient.SigV4{
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", "token"),
		Region:      "eu-central-1", Now: func() time.Time { return now },
	}
	c := adminclient.Client{Base: base, Signer: s}
	for _, body := range []any{nil, map[string]int{"n": 1}} {
		if _, err := c.Call(t.Context(), "POST", "/api/v2/events", url.Values{"a": {"b c"}}, body, nil); err != nil {
			t.Fatal(err)
		}
		got := last.Header.Get("Authorization")
		if !strings.HasPrefix(got, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261123/eu-central-1/execute-api/aws4_request, SignedHeaders=") ||
			last.Header.Get("X-Amz-Date") != "20261123T120000Z" || last.Header.Get("X-Amz-Security-Token") != "token" {
			t.Errorf("signed with %q, %v", got, last.Header)
		}
		if want := signature(t, last, now, "secret", "eu-central-1"); !strings.HasSuffix(got, "Signature="+want) {
			t.Errorf("%s, want the signature %s", got, want)
		}
	}
}

func TestNoCredentials(t *testing.T) {
	s := &adminclient.SigV4{Credentials: aws.AnonymousCredentials{}, Region: "eu-central-1", Now: time.Now}
	_, err := (&adminclient.Client{Base: "http://127.0.0.1:1", Signer: s}).Call(t.Context(), "GET", "/", nil, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "AWS_PROFILE") {
		t.Errorf("%v", err)
	}
}
