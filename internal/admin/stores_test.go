package admin_test

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/internal/admin"
	"tollgate/internal/awsconfig"
	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/store/bolt"
	"tollgate/internal/store/dynamo"
	"tollgate/internal/store/dynamo/dynoxidetest"
)

// stores are what acceptance is about, by the name of the subtest that is on one.
var stores = map[string]func(*testing.T, func() time.Time) admin.Store{"bolt": openBolt, "dynamo": openDynamo}

// eachStore runs a test on the embedded store, and on DynamoDB where there is one:
// the rigs that it makes have that store. A test that is not run by eachStore has the
// store in memory, whose faults it can choose.
func eachStore(t *testing.T, test func(*testing.T)) {
	for _, name := range slices.Sorted(maps.Keys(stores)) {
		t.Run(name, func(t *testing.T) {
			if name == "dynamo" {
				dynoxidetest.Start(t) // or the test is skipped, as a whole
			}
			test(t)
		})
	}
}

// onEach is the test on each store.
func onEach(test func(*testing.T)) func(*testing.T) {
	return func(t *testing.T) { eachStore(t, test) }
}

// storeOf opens the store that a test runs on, which is a part of its name. It is nil
// for the store in memory.
func storeOf(t *testing.T) func(*testing.T, func() time.Time) admin.Store {
	for part := range strings.SplitSeq(t.Name(), "/") {
		if open, ok := stores[part]; ok {
			return open
		}
	}
	return nil
}

// onStores is eachStore for a test with one rig.
func onStores(t *testing.T, test func(t *testing.T, r *rig)) {
	onStoresWith(t, func(*admin.Config) {}, test)
}

func onStoresWith(t *testing.T, change func(*admin.Config), test func(t *testing.T, r *rig)) {
	eachStore(t, func(t *testing.T) { test(t, newRigWith(t, change)) })
}

// race makes the store in memory lose every race once; real ones lose those that
// there are.
func (r *rig) race() {
	if r.store != nil {
		r.store.racing = true
	}
}

// storedKey is a key as the store has it.
func (r *rig) storedKey(id string) gateway.Key {
	r.t.Helper()
	k, err := r.given.Key(context.Background(), id)
	r.must(err)
	return k
}

func (r *rig) storedKeys() []gateway.Key {
	r.t.Helper()
	keys, err := r.given.Keys(context.Background())
	r.must(err)
	return keys
}

// storedSetting is a setting as the store has it.
func (r *rig) storedSetting(id string) gateway.Setting {
	r.t.Helper()
	found, err := r.given.Settings(context.Background(), []string{id})
	r.must(err)
	if len(found) != 1 {
		r.t.Fatalf("there is no setting %s", id)
	}
	return found[0]
}

func (r *rig) storedSettings() []gateway.Setting {
	r.t.Helper()
	all, err := r.given.AllSettings(context.Background())
	r.must(err)
	return all
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// ledger is what the proxy does with a real store.
type ledger interface {
	limit.Ledger
	Record(ctx context.Context, e gateway.Event) error
}

// reserves starts a call that costs so much at worst, for whom the counters belong
// to: the hash of a key, or the subject of a record.
func (r *rig) reserves(subject string, cost gateway.NanoUSD, expires time.Time) *limit.Claim {
	r.t.Helper()
	c, err := r.given.Counters(context.Background(), subject)
	r.must(err)
	claim := &limit.Claim{ID: limit.NewID(), Key: subject, Version: c.Version, Cost: cost, At: r.now, Expires: expires}
	_, err = r.given.(ledger).Reserve(context.Background(), claim)
	r.must(err)
	return claim
}

// spends makes a call that costs so much.
func (r *rig) spends(subject string, cost gateway.NanoUSD) {
	r.t.Helper()
	claim := r.reserves(subject, cost, r.now.Add(time.Minute))
	_, err := r.given.(ledger).Settle(context.Background(), &limit.Settlement{Key: subject, Reservation: claim.Reservation(), Cost: cost,
		Event: gateway.Event{ID: claim.ID, ReservationID: claim.ID, KeyID: "spender", At: r.now, Cost: cost}})
	r.must(err)
}

// record stores events of calls, and their sums.
func (r *rig) record(events ...gateway.Event) {
	r.t.Helper()
	if r.store != nil {
		r.store.events = append(r.store.events, events...)
		return
	}
	for _, e := range events {
		r.must(r.given.(ledger).Record(context.Background(), e))
	}
	_, err := r.given.Fold(context.Background(), events)
	r.must(err)
}

func openBolt(t *testing.T, now func() time.Time) admin.Store {
	s, err := bolt.Open(filepath.Join(t.TempDir(), "tollgate.db"), bolt.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

var tables atomic.Int64

func openDynamo(t *testing.T, now func() time.Time) admin.Store {
	endpoint := dynoxidetest.Start(t)
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "local")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "local")
	cfg, err := awsconfig.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client := dynamo.NewClient(cfg, func(o *dynamodb.Options) { o.BaseEndpoint = &endpoint })
	name := fmt.Sprintf("%x-%d", time.Now().UnixNano(), tables.Add(1))
	o := dynamo.Options{GatewayTable: "gateway-" + name, UsageTable: "usage-" + name, Now: now}
	if err := dynamo.CreateTables(t.Context(), client, o); err != nil {
		t.Fatal(err)
	}
	return dynamo.New(client, o)
}
