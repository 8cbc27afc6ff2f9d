package admin_test

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/internal/admin"
	"tollgate/internal/awsconfig"
	"tollgate/internal/store/bolt"
	"tollgate/internal/store/dynamo"
	"tollgate/internal/store/dynamo/dynoxidetest"
)

// onStores runs a test on every store: that in memory, the embedded one, and
// DynamoDB where there is one.
func onStores(t *testing.T, test func(t *testing.T, r *rig)) {
	onStoresWith(t, func(*admin.Config) {}, test)
}

func onStoresWith(t *testing.T, change func(*admin.Config), test func(t *testing.T, r *rig)) {
	open := map[string]func(*testing.T, func() time.Time) admin.Store{"bolt": openBolt, "dynamo": openDynamo}
	for _, name := range []string{"memory", "bolt", "dynamo"} {
		t.Run(name, func(t *testing.T) {
			test(t, newRigWith(t, func(c *admin.Config) {
				if name != "memory" {
					c.Store = open[name](t, c.Now)
				}
				change(c)
			}))
		})
	}
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
