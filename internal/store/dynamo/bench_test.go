package dynamo_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/internal/awsconfig"
	"tollgate/internal/gateway"
	"tollgate/internal/store/dynamo"
)

// BenchmarkCall is a Reserve and its Settle on one key, by so many callers.
func BenchmarkCall(b *testing.B) {
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s := newBench(b, 3, dynamo.Options{}, threeLimits...)
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					for left.Add(-1) >= 0 {
						c := s.claim(100, gateway.OneUSD/1_000_000)
						if _, err := s.Reserve(b.Context(), c); err != nil {
							b.Error(err)
							return
						}
						if _, err := s.Settle(b.Context(), s.settlement(c, 50, gateway.OneUSD/2_000_000)); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}

// BenchmarkNewClient is on the way of every cold start.
func BenchmarkNewClient(b *testing.B) {
	b.Setenv("AWS_REGION", "us-east-1")
	b.Setenv("AWS_ACCESS_KEY_ID", "local")
	b.Setenv("AWS_SECRET_ACCESS_KEY", "local")
	b.Setenv("AWS_CA_BUNDLE", "") // reading one takes ten times as long as all the rest
	b.ReportAllocs()
	var client *dynamodb.Client
	for b.Loop() {
		cfg, err := awsconfig.Load(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		client = dynamo.NewClient(cfg)
	}
	if client.Options().Region != "us-east-1" {
		b.Errorf("region %q", client.Options().Region)
	}
}
