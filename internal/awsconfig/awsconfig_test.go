package awsconfig_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	smithyhttp "github.com/aws/smithy-go/transport/http"

	"tollgate/internal/awsconfig"
)

// sender takes a request as the SDK built it.
type sender func(*http.Request) (*http.Response, error)

func (s sender) Do(r *http.Request) (*http.Response, error) { return s(r) }

// A request's body that the SDK has closed is at its end for whoever copies it.
func TestClosedBodyIsAtItsEnd(t *testing.T) {
	built, err := smithyhttp.NewStackRequest().(*smithyhttp.Request).SetStream(strings.NewReader("the body"))
	if err != nil {
		t.Fatal(err)
	}
	built.ContentLength = 8
	r := built.Build(t.Context())
	var sent *http.Request
	_, err = awsconfig.Patient{HTTPClient: sender(func(r *http.Request) (*http.Response, error) {
		sent = r
		body, err := io.ReadAll(r.Body)
		if string(body) != "the body" {
			t.Errorf("sent %q", body)
		}
		return nil, err
	})}.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := sent.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, sent.Body); n != 0 || err != nil {
		t.Errorf("copying the rest: %d bytes, %v", n, err)
	}
}

// A request without a body stays one: a body of unknown length would be sent in chunks.
func TestNoBody(t *testing.T) {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = awsconfig.Patient{HTTPClient: sender(func(r *http.Request) (*http.Response, error) {
		if r.Body != nil {
			t.Errorf("body %v", r.Body)
		}
		return nil, nil
	})}.Do(r)
}
