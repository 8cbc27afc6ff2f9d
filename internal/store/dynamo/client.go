package dynamo

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// NewClient makes a client that tries again as this store can bear it.
func NewClient(cfg aws.Config, change ...func(*dynamodb.Options)) *dynamodb.Client {
	retries := func(o *dynamodb.Options) { o.Retryer = newRetryer() }
	return dynamodb.NewFromConfig(cfg, append([]func(*dynamodb.Options){retries}, change...)...)
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
