// Package awsconfig is how this program talks to AWS: in the usual AWS environment,
// with time-outs that fit a caller who waits.
package awsconfig

import (
	"context"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
)

// patience is how long one attempt waits for a connection, for its handshake and for
// the head of an answer. The SDK's own would let one dead connection take half a minute.
// A connection that died unnoticed, as they do while a Lambda environment is frozen,
// must leave time for another try.
const patience = time.Second

// Load reads the environment (AWS_ENDPOINT_URL_DYNAMODB and the like included). All
// clients of a process share what it returns, and so credentials and connections.
func Load(ctx context.Context) (aws.Config, error) {
	cfg, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(newHTTPClient()))
	cfg.HTTPClient = Patient{cfg.HTTPClient}
	return cfg, err
}

// Patient is an HTTP client that does not lose answers to long requests.
//
// The SDK closes a request's body when the head of the answer is there. If net/http
// has not seen the body's end by then, it asks the body to write itself, and what the
// SDK wraps around it says io.EOF, which net/http takes for a failed write: it drops
// the connection that the answer is coming on. About one write in 50,000 of more than
// 4 KB was lost so. A body that can only be read is at its end, and nothing has failed.
type Patient struct{ aws.HTTPClient }

// Do sends the request with a body that can be read and closed, and nothing more.
func (p Patient) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return p.HTTPClient.Do(r)
}

func newHTTPClient() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = patience }).
		WithTransportOptions(func(t *http.Transport) {
			t.TLSHandshakeTimeout = patience
			t.ResponseHeaderTimeout = patience
			t.MaxIdleConns = 256
			t.MaxIdleConnsPerHost = 256 // DynamoDB is nearly all there is
		})
}
