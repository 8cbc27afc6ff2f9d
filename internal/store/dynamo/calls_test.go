package dynamo_test

import (
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/store/dynamo"
)

var threeLimits = []gateway.Limit{
	{Measure: gateway.Requests, Per: gateway.Minute, Max: 100_000},
	{Measure: gateway.Tokens, Per: gateway.Minute, Max: 1_000_000_000},
	{Measure: gateway.Cost, Per: gateway.Month, Max: 1000 * int64(gateway.OneUSD)},
}

// A call costs one request before it and two after it, and one more each with an
// idempotency key.
func TestRequestsPerCall(t *testing.T) {
	b := newBench(t, 3, dynamo.Options{}, threeLimits...)
	took := func(what string, want int64, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if got := b.wire.requests.Swap(0); got != want {
			t.Errorf("%s: %d requests, want %d", what, got, want)
		}
	}
	b.wire.requests.Store(0)
	took("warm", 1, b.Warm(t.Context()))
	took("ping", 2, b.Ping(t.Context()))

	c := b.claim(1000, gateway.OneUSD/100)
	_, err := b.Reserve(t.Context(), c)
	took("reserve", 1, err)
	_, err = b.Settle(t.Context(), b.settlement(c, 500, gateway.OneUSD/200))
	took("settle", 2, err)

	c = b.claim(1000, gateway.OneUSD/100)
	c.IdempotencyKey = "order 66"
	_, err = b.Reserve(t.Context(), c)
	took("reserve with an idempotency key", 2, err)
	_, err = b.Settle(t.Context(), b.settlement(c, 500, gateway.OneUSD/200))
	took("settle with an idempotency key", 3, err)

	c = b.claim(2_000_000_000, 0)
	_, err = b.Reserve(t.Context(), c)
	var denied *limit.Denied
	if !errors.As(err, &denied) {
		t.Fatalf("error %v, want a denial", err)
	}
	took("denied reserve", 1, nil)

	_, err = b.KeyByHash(t.Context(), b.key.Hash)
	took("key by hash", 1, err)
	_, err = b.UpdateKey(t.Context(), b.key.ID, func(k *gateway.Key) error { k.Rotate("second", time.Now(), time.Hour); return nil })
	took("rotation", 4, err) // where the key is, the key, whether the secret is free, the transaction
	_, err = b.KeyByHash(t.Context(), b.key.Hash)
	took("rotated key by its first hash", 1, err)
	_, err = b.KeyByHash(t.Context(), "second")
	took("rotated key by another hash", 2, err)
	_, err = b.Settings(t.Context(), []string{"a", "b", "c"})
	took("settings", 1, err)
}

// A write costs its item's size, so the counter item has to stay small.
func TestCounterItemSize(t *testing.T) {
	w := &wire{}
	client := newClient(t, w, 3)
	for _, tt := range []struct{ open, most int }{{0, 300}, {35, 1100}, {250, 7000}} {
		b := newBench(t, 3, dynamo.Options{}, threeLimits...)
		done := b.claim(3000, gateway.OneUSD/100)
		if _, err := b.Reserve(t.Context(), done); err != nil {
			t.Fatal(err)
		}
		for range tt.open {
			if _, err := b.Reserve(t.Context(), b.claim(3000, gateway.OneUSD/100)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := b.Settle(t.Context(), b.settlement(done, 1234, gateway.OneUSD/123)); err != nil {
			t.Fatal(err)
		}
		size := itemSize(t, b.counterItem(t, client))
		t.Logf("%3d open calls: %d bytes, %d write units", tt.open, size, (size+1023)/1024)
		if size > tt.most {
			t.Errorf("%d open calls: %d bytes, want at most %d", tt.open, size, tt.most)
		}
	}
}

// counterItem is the key's item as the database has it.
func (b *bench) counterItem(t *testing.T, client *dynamodb.Client) map[string]types.AttributeValue {
	t.Helper()
	return b.countersAt(t, client, "K#"+b.key.Hash)
}

func (b *bench) countersAt(t *testing.T, client *dynamodb.Client, pk string) map[string]types.AttributeValue {
	t.Helper()
	consistent := true
	out, err := client.GetItem(t.Context(), &dynamodb.GetItemInput{
		TableName:      &b.opts.GatewayTable,
		ConsistentRead: &consistent,
		Key: map[string]types.AttributeValue{
			"pk": &types.AttributeValueMemberS{Value: pk},
			"sk": &types.AttributeValueMemberS{Value: "COUNTERS"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Item
}

// itemSize is the size of an item by DynamoDB's rules, in bytes: names and values,
// two digits of a number in a byte and one byte more.
func itemSize(t *testing.T, it map[string]types.AttributeValue) int {
	t.Helper()
	var n int
	for name, v := range it {
		n += len(name)
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			n += len(v.Value)
		case *types.AttributeValueMemberB:
			n += len(v.Value)
		case *types.AttributeValueMemberN:
			n += (len(v.Value)+1)/2 + 1
		default:
			t.Fatalf("attribute %q is a %T", name, v)
		}
	}
	return n
}

// The put that claims an idempotency key may arrive once more after the call has
// ended. It must not make the call a running one again.
func TestIdempotencyPutArrivesLate(t *testing.T) {
	b := newBench(t, 1, dynamo.Options{})
	c := b.claim(0, 0)
	c.IdempotencyKey = "once"
	if _, err := b.Reserve(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Settle(t.Context(), b.settlement(c, 0, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Reserve(t.Context(), c); !errors.Is(err, limit.ErrRepeated) {
		t.Errorf("the ended claim again: %v, want ErrRepeated", err)
	}
	other := b.claim(0, 0)
	other.IdempotencyKey = "once"
	if _, err := b.Reserve(t.Context(), other); !errors.Is(err, limit.ErrRepeated) {
		t.Errorf("another claim: %v, want ErrRepeated", err)
	}
}
