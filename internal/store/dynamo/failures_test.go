package dynamo_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/internal/gateway"
	"tollgate/internal/store/dynamo"
	"tollgate/internal/store/storetest"
)

// Answers that a local database never gives.
var (
	throttled = answer{http.StatusBadRequest, `{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"The level of configured provisioned throughput for table secret-table was exceeded"}`}
	internal  = answer{http.StatusInternalServerError, `{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError","message":"oops"}`}
	denied    = answer{http.StatusBadRequest, `{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"User arn:aws:iam::123:x is not authorized"}`}
	conflict  = answer{http.StatusBadRequest, `{"__type":"com.amazonaws.dynamodb.v20120810#TransactionConflictException","message":"Transaction is ongoing for the item"}`}
	canceled  = answer{http.StatusBadRequest, `{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","message":"Transaction cancelled","CancellationReasons":[{"Code":"None"},{"Code":"TransactionConflict","Message":"Transaction is ongoing for the item"}]}`}
	raced     = answer{http.StatusBadRequest, `{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","message":"Transaction cancelled","CancellationReasons":[{"Code":"ConditionalCheckFailed"},{"Code":"None"}]}`}
	html      = answer{http.StatusServiceUnavailable, `<html>try later</html>`}
)

// Failures are sorted by whether trying again can help, and say nothing of AWS.
func TestFailures(t *testing.T) {
	b := newBench(t, 1, dynamo.Options{})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name string
		ctx  context.Context
		fake answer
		want gateway.Kind
	}{
		{"throttled", t.Context(), throttled, gateway.Unavailable},
		{"internal", t.Context(), internal, gateway.Unavailable},
		{"no JSON", t.Context(), html, gateway.Unavailable},
		{"conflict", t.Context(), conflict, gateway.Unavailable},
		{"no right", t.Context(), denied, gateway.Internal},
		{"caller left", ended, answer{}, gateway.Unavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			calls := map[string]func() error{
				"UpdateItem": func() error { _, err := b.Reserve(tt.ctx, b.claim(0, 0)); return err },
				"PutItem":    func() error { return b.Record(tt.ctx, gateway.Event{KeyID: "k", At: time.Now()}) },
				"GetItem":    func() error { _, err := b.KeyByHash(tt.ctx, "h"); return err },
				"Query":      func() error { _, err := b.Keys(tt.ctx); return err },
				"BatchGetItem": func() error {
					_, err := b.Settings(tt.ctx, []string{"s"})
					return err
				},
				"TransactWriteItems": func() error {
					if tt.fake == conflict {
						return b.Warm(ended) // repeated until it works: TestTransactionRetries
					}
					return b.CreateSetting(tt.ctx, gateway.Setting{ID: "s"})
				},
			}
			for op, call := range calls {
				if tt.fake.status != 0 {
					b.wire.answer(op, 1, tt.fake)
				}
				err := call()
				var e *gateway.Error
				if !errors.As(err, &e) {
					t.Fatalf("%s: %v, want a *gateway.Error", op, err)
				}
				if e.Kind != tt.want {
					t.Errorf("%s: kind %d, want %d", op, e.Kind, tt.want)
				}
				if strings.Contains(e.Message, "table") || strings.Contains(e.Message, "arn") || !strings.Contains(e.Message, "storage") {
					t.Errorf("%s: message %q", op, e.Message)
				}
				if tt.want == gateway.Unavailable && e.RetryAfter != time.Second {
					t.Errorf("%s: retry after %v, want 1s", op, e.RetryAfter)
				}
			}
		})
	}
}

func TestMissingTable(t *testing.T) {
	s := dynamo.New(newClient(t, &wire{}, 1), dynamo.Options{GatewayTable: "missing-gateway", UsageTable: "missing-usage"})
	if err := s.Ping(t.Context()); gateway.KindOf(err) != gateway.Internal {
		t.Errorf("error %v, want kind Internal", err)
	}
}

func TestUnreachable(t *testing.T) {
	w := &wire{fault: func(string) storetest.When { return storetest.Before }}
	s := dynamo.New(newClient(t, w, 3), dynamo.Options{GatewayTable: "none", UsageTable: "none"})
	start := time.Now()
	if err := s.Ping(t.Context()); gateway.KindOf(err) != gateway.Unavailable {
		t.Errorf("error %v, want kind Unavailable", err)
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("took %v to give up", d)
	}
	if n := w.requests.Load(); n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
}

// The SDK repeats a plain write that met a transaction.
func TestReserveMeetsTransaction(t *testing.T) {
	b := newBench(t, 3, dynamo.Options{})
	b.wire.answer("UpdateItem", 2, conflict)
	if _, err := b.Reserve(t.Context(), b.claim(0, 0)); err != nil {
		t.Fatal(err)
	}
	c, err := b.Counters(t.Context(), b.key.Hash)
	if err != nil || c.Values["n"] != 1 || len(c.Open) != 1 {
		t.Errorf("counters %v (%v), want one call in flight", c, err)
	}
}

// The store repeats transactions itself: the SDK does not.
func TestTransactionRetries(t *testing.T) {
	for name, fake := range map[string]answer{"conflict": canceled, "race": raced} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 1, dynamo.Options{})
			b.wire.answer("TransactWriteItems", 3, fake)
			changes := 0
			k, err := b.UpdateKey(t.Context(), b.key.ID, func(k *gateway.Key) error {
				changes++
				k.Name += "!"
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if changes != 4 || k.Name != "!" {
				t.Errorf("%d changes to %q, want 4 to \"!\"", changes, k.Name)
			}
			c, err := b.Counters(t.Context(), b.key.Hash)
			if err != nil || c.Version != k.Version || k.Version <= b.key.Version {
				t.Errorf("version %d, of the counters %d (%v), before %d", k.Version, c.Version, err, b.key.Version)
			}
		})
	}
}

func TestTransactionRetriesEnd(t *testing.T) {
	b := newBench(t, 1, dynamo.Options{})
	b.wire.answer("TransactWriteItems", 1000, canceled)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := b.UpdateKey(ctx, b.key.ID, func(*gateway.Key) error { return nil })
	if gateway.KindOf(err) != gateway.Unavailable {
		t.Errorf("error %v, want kind Unavailable", err)
	}
}

// A transaction whose answer is lost is repeated by the SDK with the same token,
// so it neither fails on its own write nor changes anything twice.
func TestTransactionAnswerLost(t *testing.T) {
	b := newBench(t, 3, dynamo.Options{})
	lost := 0
	b.wire.fault = func(op string) storetest.When {
		if op == "TransactWriteItems" && lost == 0 {
			lost++
			return storetest.After
		}
		return storetest.Never
	}
	changes := 0
	k, err := b.UpdateKey(t.Context(), b.key.ID, func(k *gateway.Key) error {
		changes++
		k.Name += "!"
		return nil
	})
	if err != nil || lost != 1 || changes != 1 || k.Name != "!" {
		t.Errorf("name %q after %d changes, %d lost answers (%v), want \"!\" after 1, 1", k.Name, changes, lost, err)
	}
	lost = 0
	if err := b.CreateSetting(t.Context(), gateway.Setting{ID: "s1"}); err != nil || lost != 1 {
		t.Errorf("create: %v after %d lost answers", err, lost)
	}
}

// DynamoDB may leave out part of a batch; what it left out is asked again.
func TestBatchReadInParts(t *testing.T) {
	b := newBench(t, 1, dynamo.Options{})
	var ids, want []string
	for i := range 150 {
		id := fmt.Sprintf("s%03d", i)
		ids = append(ids, id, "unknown")
		want = append(want, id)
		if err := b.CreateSetting(t.Context(), gateway.Setting{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	b.wire.answer("BatchGetItem", 1, answer{http.StatusOK, fmt.Sprintf(
		`{"Responses":{},"UnprocessedKeys":{%q:{"ConsistentRead":true,"Keys":[{"pk":{"S":"SETTING#s000"},"sk":{"S":"SETTING"}}]}}}`,
		b.opts.GatewayTable)})
	b.wire.requests.Store(0)
	first, err := b.Settings(t.Context(), []string{"s000"})
	if err != nil || len(first) != 1 || first[0].ID != "s000" {
		t.Errorf("%v (%v), want s000", first, err)
	}
	if n := b.wire.requests.Swap(0); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
	list, err := b.Settings(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range list {
		got = append(got, v.ID)
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("got %v, want %v", got, want)
	}
	if n := b.wire.requests.Load(); n != 2 {
		t.Errorf("%d requests for 151 ids, want 2", n)
	}
}

func TestCreateTables(t *testing.T) {
	b := newBench(t, 1, dynamo.Options{})
	client := newClient(t, &wire{}, 1)
	if err := dynamo.CreateTables(t.Context(), client, b.opts); err != nil {
		t.Fatalf("again: %v", err)
	}
	for name, indexes := range map[string]int{b.opts.GatewayTable: 1, b.opts.UsageTable: 2} {
		out, err := client.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: &name})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(out.Table.GlobalSecondaryIndexes); n != indexes {
			t.Errorf("%s has %d indexes, want %d", name, n, indexes)
		}
		stream := out.Table.StreamSpecification
		if got, want := stream != nil && stream.StreamViewType == "NEW_IMAGE", name == b.opts.UsageTable; got != want {
			t.Errorf("%s has a stream of new images: %v, want %v", name, got, want)
		}
		ttl, err := client.DescribeTimeToLive(t.Context(), &dynamodb.DescribeTimeToLiveInput{TableName: &name})
		if err != nil {
			t.Fatal(err)
		}
		if d := ttl.TimeToLiveDescription; d.AttributeName == nil || *d.AttributeName != "ttl" {
			t.Errorf("%s: time to live %+v, want it in ttl", name, d)
		}
	}
}

func TestTooManySettings(t *testing.T) {
	b := newBench(t, 1, dynamo.Options{})
	_, err := b.UpdateKey(t.Context(), b.key.ID, func(k *gateway.Key) error {
		for i := range 99 {
			k.SettingIDs = append(k.SettingIDs, fmt.Sprint("s", i))
		}
		return nil
	})
	if gateway.KindOf(err) != gateway.Invalid {
		t.Errorf("error %v, want kind Invalid", err)
	}
}

// A setting that was written and whose keys could not be told comes with the error:
// the write stands. The same update again completes it.
func TestSettingWithoutItsKeys(t *testing.T) {
	b := newBench(t, 1, dynamo.Options{})
	if err := b.CreateSetting(t.Context(), gateway.Setting{ID: "half", Name: "old"}); err != nil {
		t.Fatal(err)
	}
	if err := b.CreateKey(t.Context(), gateway.Key{ID: "user", Hash: "user-hash", SettingID: "half"}); err != nil {
		t.Fatal(err)
	}
	before, err := b.Key(t.Context(), "user")
	if err != nil {
		t.Fatal(err)
	}
	rename := func(v *gateway.Setting) error { v.Name = "new"; return nil }
	b.wire.answer("Query", 1, denied) // that for the keys
	v, err := b.UpdateSetting(t.Context(), "half", rename)
	if err == nil || v.Name != "new" || v.ID != "half" || v.Version == 0 {
		t.Errorf("%+v, %v, want the setting as written, and an error", v, err)
	}
	if _, err := b.UpdateSetting(t.Context(), "half", rename); err != nil {
		t.Fatal(err)
	}
	if after, err := b.Key(t.Context(), "user"); err != nil || after.Version <= before.Version {
		t.Errorf("the key has version %d after %d (%v)", after.Version, before.Version, err)
	}
}
