package dynoxidetest

import (
	"net/http"
	"os"
	"testing"
)

// Tests share a server, which ends with the last of them.
func TestStartAndEnd(t *testing.T) {
	if os.Getenv("DYNAMODB_ENDPOINT") != "" {
		t.Skip("DYNAMODB_ENDPOINT names a database that is not ours to end")
	}
	var endpoint string
	t.Run("users", func(t *testing.T) {
		endpoint = Start(t)
		t.Run("second", func(t *testing.T) {
			if again := Start(t); again != endpoint {
				t.Errorf("%s and %s, want one server", endpoint, again)
			}
		})
		res, err := http.Get(endpoint)
		if err != nil {
			t.Fatalf("it ended with its second user: %v", err)
		}
		res.Body.Close()
	})
	if endpoint == "" {
		t.Skip(howTo)
	}
	if res, err := http.Get(endpoint); err == nil {
		res.Body.Close()
		t.Error("it still answers after its last user")
	}
}

func TestNamedEndpoint(t *testing.T) {
	t.Setenv("DYNAMODB_ENDPOINT", "http://127.0.0.1:1")
	if got := Start(t); got != "http://127.0.0.1:1" {
		t.Errorf("%s, want what DYNAMODB_ENDPOINT names", got)
	}
}
