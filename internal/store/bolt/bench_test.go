package bolt_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"tollgate/internal/store/bolt"
)

// BenchmarkCalls makes calls, each a Reserve and a Settle with its event, from
// several callers at once: of one key, and of a key each.
func BenchmarkCalls(b *testing.B) {
	for _, keys := range []string{"one key", "own keys"} {
		for _, callers := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("%s/%d callers", keys, callers), func(b *testing.B) {
				benchCalls(b, callers, keys == "own keys")
			})
		}
	}
}

func benchCalls(b *testing.B, callers int, own bool) {
	s := open(b, filepath.Join(b.TempDir(), "db"), bolt.Options{})
	k := newKey(b, s, "k")
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ResetTimer()
	for i := range callers {
		k := k
		if own {
			k = newKey(b, s, fmt.Sprint("k", i))
		}
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				c := claim(k, 2000)
				if _, err := s.Reserve(b.Context(), c); err != nil {
					b.Error(err)
				}
				if _, err := s.Settle(b.Context(), settlement(k, c, 1000)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}
