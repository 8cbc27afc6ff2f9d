package dynamo_test

import (
	"net/http"
	"os"
	"strconv"
	"testing"

	"tollgate/internal/awsconfig"
	"tollgate/internal/store/dynamo"
	"tollgate/internal/store/dynamo/dynoxidetest"
	"tollgate/internal/store/storetest"
)

func TestSums(t *testing.T) {
	dynoxidetest.Start(t) // one server for all that follows
	calls := 1000
	if n, err := strconv.Atoi(os.Getenv("TOLLGATE_TEST_CALLS")); err == nil {
		calls = n // 10000 take the emulator three minutes
	}
	storetest.TestSums(t, calls, func(t *testing.T, opt storetest.Options) storetest.SumStore {
		w := &wire{fault: opt.Fault}
		client := newClient(t, w, 3)
		w.HTTPClient = awsconfig.Patient{HTTPClient: &http.Client{}} // the emulator may take more than a second for a transaction
		return dynamo.New(client, withTables(t, client, dynamo.Options{Now: opt.Now}))
	})
}
