package dynamo

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/internal/gateway"
)

func TestEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most, done atomic.Int64
		err := each(t.Context(), 100, func(context.Context, int) error {
			n := running.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			time.Sleep(time.Second)
			running.Add(-1)
			done.Add(1)
			return nil
		})
		if err != nil || done.Load() != 100 || most.Load() != atOnce {
			t.Errorf("%d done, %d at once (%v), want 100 and %d", done.Load(), most.Load(), err, atOnce)
		}
	})
}

func TestEachStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var started atomic.Int64
		bad := &gateway.Error{Kind: gateway.Internal}
		err := each(t.Context(), 1000, func(ctx context.Context, i int) error {
			started.Add(1)
			if i == 3 {
				return bad
			}
			<-ctx.Done()
			return ctx.Err()
		})
		if !errors.Is(err, bad) || started.Load() > atOnce+1 {
			t.Errorf("%d started (%v), want %d at most and the first error", started.Load(), err, atOnce+1)
		}
	})
}

func TestAgainEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		err := again(t.Context(), func(context.Context) error { return errBusy })
		if gateway.KindOf(err) != gateway.Unavailable || !errors.Is(err, errBusy) {
			t.Errorf("error %v, want errBusy as Unavailable", err)
		}
		if d := time.Since(start); d != writeWithin {
			t.Errorf("gave up after %v, want %v", d, writeWithin)
		}
	})
}
