package admin_test

import (
	"fmt"
	"sync"
	"testing"

	"tollgate/internal/admin"
	"tollgate/internal/gateway"
)

// AK-66: ten thousand keys are listed page by page, each once, and no answer holds
// more than a page.
func testTenThousandKeys(t *testing.T) {
	const keys, callers, size = 10_000, 50, 500
	var store admin.Store
	r := newRigWith(t, func(c *admin.Config) {
		store = openBolt(t, c.Now)
		c.Store = store
	})
	var done sync.WaitGroup
	for caller := range callers {
		done.Go(func() {
			for i := caller; i < keys; i += callers {
				id := fmt.Sprintf("%08d-0000-4000-8000-000000000000", i)
				if err := store.CreateKey(t.Context(), gateway.Key{ID: id, Hash: fmt.Sprintf("%064d", i), Name: "k", CreatedAt: r.now}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	done.Wait()
	seen, pages := map[any]bool{}, 0
	for cursor, more := "", true; more; more = cursor != "" {
		w := r.call("GET", fmt.Sprintf("%s?limit=%d&cursor=%s", K, size, cursor), "")
		page := unpack[[]object](w.Body.Bytes())
		if w.Code != 200 || len(page) > size {
			t.Fatalf("%d, %d keys", w.Code, len(page))
		}
		for _, k := range page {
			seen[k["keyId"]] = true
		}
		cursor = w.Header().Get("X-Next-Cursor")
		pages++
	}
	if len(seen) != keys || pages != keys/size {
		t.Errorf("%d keys on %d pages, want %d on %d", len(seen), pages, keys, keys/size)
	}
}
