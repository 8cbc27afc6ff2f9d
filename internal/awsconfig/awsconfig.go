// Package awsconfig is how this program talks to AWS: in the usual AWS environment,
// with time-outs that fit a caller who waits.
package awsconfig

import (
	"context"
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
	return config.LoadDefaultConfig(ctx, config.WithHTTPClient(newHTTPClient()))
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
