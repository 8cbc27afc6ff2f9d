package dynamo

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// NewClient makes a client from the usual AWS environment
// (AWS_ENDPOINT_URL_DYNAMODB included), with time-outs that fit a caller who
// waits: the SDK's own would let one dead connection take half a minute.
func NewClient(ctx context.Context, change ...func(*dynamodb.Options)) (*dynamodb.Client, error) {
	cfg, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(newHTTPClient()))
	if err != nil {
		return nil, err
	}
	retries := func(o *dynamodb.Options) { o.Retryer = newRetryer() }
	return dynamodb.NewFromConfig(cfg, append([]func(*dynamodb.Options){retries}, change...)...), nil
}

func newHTTPClient() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = time.Second }).
		WithTransportOptions(func(t *http.Transport) {
			t.TLSHandshakeTimeout = time.Second
			// A connection that died unnoticed, as they do while a Lambda
			// environment is frozen, must leave time for another try.
			t.ResponseHeaderTimeout = time.Second
			t.MaxIdleConns = 256
			t.MaxIdleConnsPerHost = 256 // one host is all there is
		})
}

// newRetryer makes three attempts with short pauses. Every write of the store may
// be repeated, so it also repeats a plain write that met a transaction.
func newRetryer() *retry.Standard {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = 3
		o.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) {
			return backoff(attempt), nil
		})
		o.Retryables = append(o.Retryables, retry.RetryableErrorCode{
			Codes: map[string]struct{}{conflictCode: {}},
		})
	})
}

// backoff is a random pause before try number n+1, in the mean 12 ms after the
// first and 250 ms at most.
func backoff(n int) time.Duration {
	most := 25 * time.Millisecond << min(max(n-1, 0), 4)
	return rand.N(most) + time.Millisecond
}

// pause waits for backoff(n), or until ctx ends.
func pause(ctx context.Context, n int) error {
	t := time.NewTimer(backoff(n))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
