package dynamo_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/internal/awsconfig"
	"tollgate/internal/store/dynamo"
)

// A connection on which nothing comes back, as after a freeze of the process,
// must not use up the time of the whole call.
func TestSilentConnection(t *testing.T) {
	var requests atomic.Int64
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) == 1 {
			<-over
		}
		w.Write([]byte("{}"))
	}))
	defer server.Close()
	defer close(over)
	t.Setenv("AWS_ENDPOINT_URL_DYNAMODB", server.URL)
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "local")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "local")
	cfg, err := awsconfig.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client := dynamo.NewClient(cfg)
	start := time.Now()
	if err := dynamo.New(client, dynamo.Options{GatewayTable: "gateway", UsageTable: "usage"}).Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d, n := time.Since(start), requests.Load(); d > 1800*time.Millisecond || n != 2 {
		t.Errorf("answered after %v and %d requests, want 1s or so and 2", d, n)
	}
}
