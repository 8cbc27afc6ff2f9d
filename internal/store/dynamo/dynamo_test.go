package dynamo_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/internal/awsconfig"
	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/secret"
	"tollgate/internal/store/dynamo"
	"tollgate/internal/store/dynamo/dynoxidetest"
	"tollgate/internal/store/storetest"
)

// TestStore runs the contract with the SDK's own retries off, so that the store's
// caller sees each failure, and on, so that writes are repeated behind its back.
func TestStore(t *testing.T) {
	for _, attempts := range []int{1, 3} {
		t.Run(fmt.Sprintf("attempts=%d", attempts), func(t *testing.T) {
			dynoxidetest.Start(t) // one server for all that follows
			storetest.Test(t, func(t *testing.T, opt storetest.Options) storetest.Store {
				client := newClient(t, &wire{fault: opt.Fault}, attempts)
				return dynamo.New(client, withTables(t, client, dynamo.Options{Now: opt.Now}))
			})
		})
	}
}

// newClient is a client for the local database that sends through wire.
func newClient(t testing.TB, w *wire, attempts int) *dynamodb.Client {
	t.Helper()
	endpoint := dynoxidetest.Start(t)
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "local")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "local")
	cfg, err := awsconfig.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return dynamo.NewClient(cfg, func(o *dynamodb.Options) {
		o.BaseEndpoint = &endpoint
		o.RetryMaxAttempts = attempts
		w.HTTPClient, o.HTTPClient = o.HTTPClient, w
	})
}

var tables atomic.Int64

// withTables creates new tables and names them in the options.
func withTables(t testing.TB, client *dynamodb.Client, opts dynamo.Options) dynamo.Options {
	t.Helper()
	// The time makes names differ between runs on a database that stays.
	name := fmt.Sprintf("%x-%d", time.Now().UnixNano(), tables.Add(1))
	opts.GatewayTable, opts.UsageTable = "gateway-"+name, "usage-"+name
	if err := dynamo.CreateTables(t.Context(), client, opts); err != nil {
		t.Fatal(err)
	}
	return opts
}

// bench is a store with one key, as the tests below and the benchmarks need it.
type bench struct {
	*dynamo.Store
	opts dynamo.Options
	wire *wire
	key  gateway.Key
}

func newBench(t testing.TB, attempts int, opts dynamo.Options, limits ...gateway.Limit) *bench {
	t.Helper()
	w := &wire{}
	client := newClient(t, w, attempts)
	opts = withTables(t, client, opts)
	b := &bench{Store: dynamo.New(client, opts), opts: opts, wire: w}
	k := gateway.Key{ID: "k1", Hash: secret.HashKey("sk-1"), CreatedAt: time.Now(), Limits: limits}
	if err := b.CreateKey(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	var err error
	if b.key, err = b.Key(t.Context(), k.ID); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) claim(tokens int64, cost gateway.NanoUSD) *limit.Claim {
	now := time.Now().UTC().Truncate(time.Millisecond)
	return &limit.Claim{
		ID: limit.NewID(), Key: b.key.Hash, Version: b.key.Version, Limits: b.key.AllLimits(),
		Tokens: tokens, Cost: cost, At: now, Expires: now.Add(15 * time.Minute),
	}
}

func (b *bench) settlement(c *limit.Claim, tokens int64, cost gateway.NanoUSD) *limit.Settlement {
	return &limit.Settlement{
		Key: c.Key, Reservation: c.Reservation(), Tokens: tokens, Cost: cost,
		IdempotencyKey: c.IdempotencyKey,
		Event:          gateway.Event{ID: "e-" + c.ID, KeyID: b.key.ID, Status: 200, Model: "gpt-4o-mini"},
	}
}
